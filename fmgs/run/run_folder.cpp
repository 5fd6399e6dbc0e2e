#include <fmgs/run/run_folder.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/train/checkpoint.h>
#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

bool has_checkpoints(const fs::path& folder) {
    if (!fs::is_directory(folder)) return false;
    for (const auto& entry : fs::directory_iterator(folder)) {
        if (fs::exists(entry.path() / "state.json") && entry.path().filename().string()[0] != '.')
            return true;
    }
    return false;
}

/// The header and the whole rows up to `last_step`.
std::string kept_rows(const std::string& text, const std::string& header, int64_t last_step,
                      const fs::path& file) {
    const auto head_end = text.find('\n');
    if (head_end == std::string::npos || text.substr(0, head_end) != header) {
        throw Error(fmt::format(
            "{}:1: expected the columns '{}', got '{}'; this run was made with other losses",
            file.string(), header, text.substr(0, head_end)));
    }
    std::string out = header + "\n";
    for (size_t begin = head_end + 1, end; (end = text.find('\n', begin)) != std::string::npos;
         begin = end + 1) {
        int64_t step = 0;
        const auto parsed = std::from_chars(text.data() + begin, text.data() + end, step);
        if (parsed.ec != std::errc() || *parsed.ptr != ',' || step > last_step) break;
        out += text.substr(begin, end + 1 - begin);
    }
    return out;
}

}  // namespace

RunFolder RunFolder::create(const fs::path& root, bool overwrite) {
    const RunFolder run{fs::absolute(root)};
    if (fs::exists(run.root) && !fs::is_directory(run.root))
        throw Error(fmt::format("{}: expected a folder for the run, got a file", root.string()));
    if (has_checkpoints(run.checkpoints())) {
        if (!overwrite) {
            throw Error(fmt::format(
                "{}: holds the checkpoints of an earlier run; resume it (train {}), give another "
                "output=, or pass --overwrite",
                root.string(), root.string()));
        }
        for (const auto& path :
             {run.config(), run.metrics(), run.timing(), run.avatar(), run.poses()})
            fs::remove(path);
        for (const auto& path :
             {run.sheets(), run.checkpoints(), run.eval(), run.render(), run.influence()})
            fs::remove_all(path);
    }
    std::error_code error;
    fs::create_directories(run.root, error);
    if (error)
        throw Error(fmt::format("{}: the folder of the run cannot be made: {}", root.string(),
                                error.message()));
    return run;
}

RunFolder RunFolder::open(const fs::path& root) {
    const RunFolder run{fs::absolute(root)};
    if (!fs::is_directory(run.root))
        throw Error(fmt::format("{}: there is no such run folder", root.string()));
    if (!fs::exists(run.config()))
        throw Error(fmt::format("{}: is not a run folder, config.yaml is missing", root.string()));
    return run;
}

MetricsLog::MetricsLog(const fs::path& file, const std::vector<std::string>& columns,
                       int64_t resumed_step)
    : path_(file), columns_(columns.size()) {
    std::string header = "step";
    for (const auto& column : columns) header += "," + column;
    const bool resumed = resumed_step > 0 && fs::exists(file);
    write_whole(file,
                resumed ? kept_rows(read_whole(file), header, resumed_step, file) : header + "\n");
    file_.open(file, std::ios::app);
    if (!file_)
        throw Error(fmt::format("{}: cannot be written: {}", file.string(), std::strerror(errno)));
}

void MetricsLog::add(int64_t step, const std::vector<double>& values) {
    if (values.size() != columns_)
        throw Error(
            fmt::format("{}: expected {} values, got {}", path_.string(), columns_, values.size()));
    std::string row = std::to_string(step);
    for (const double value : values)
        row += std::isnan(value) ? "," : fmt::format(",{:.9g}", value);
    file_ << row << "\n" << std::flush;
    if (!file_)
        throw Error(fmt::format("{}: cannot be written: {}", path_.string(), std::strerror(errno)));
}

}  // namespace fmgs
