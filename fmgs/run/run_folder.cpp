#include <fmgs/run/run_folder.h>

#include <fcntl.h>
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <regex>
#include <utility>

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

/// Files of a run besides those in its folders.
std::vector<fs::path> files_of(const RunFolder& run) {
    return {run.config(), run.history(),       run.metrics(),         run.gradients(),
            run.timing(), run.avatar(),        run.poses(),           run.pose_encoder(),
            run.report(), run.template_mesh(), run.template_picture()};
}

/// Did a run write what is here? Before config.yaml had its first line, checkpoints have to tell.
bool is_of_a_run(const RunFolder& run) {
    if (has_checkpoints(run.checkpoints())) return true;
    return fs::is_regular_file(run.config()) &&
           read_whole(run.config()).starts_with(kRunConfigHead);
}

void check_free(const RunFolder& run, bool overwrite) {
    if (!is_of_a_run(run)) {
        for (const auto& file : files_of(run)) {
            if (fs::exists(fs::symlink_status(file)))
                throw Error(fmt::format(
                    "{}: no run wrote this file, and a run here would replace it; give another "
                    "output=",
                    file.string()));
        }
    } else if (has_checkpoints(run.checkpoints()) && !overwrite) {
        throw Error(
            fmt::format("{0}: holds the checkpoints of an earlier run; resume it (train {0}), give "
                        "another output=, or pass --overwrite",
                        run.root.string()));
    }
}

/// What runs write into their folders, from the run's folder on.
bool is_written_by_runs(const std::string& path) {
    static const std::regex kPattern(
        R"(checkpoints/(\.unfinished-)?\d+/(model\.safetensors|optimizer\.safetensors|state\.json))"
        R"(|sheets/\d+\.png|eval/([^/]+\.(csv|png)|metrics\.json|timing\.json|table\.(md|tex)))"
        R"(|render/[^/]+(/[^/]+/\d+\.png|\.(mp4|avi))|influence/[^/]+\.png)");
    return std::regex_match(path, kPattern);
}

/// Removes what is_written_by_runs in the folder, and what is empty then.
void remove_written(const fs::path& root, const fs::path& folder) {
    if (!fs::is_directory(fs::symlink_status(folder))) return;
    const std::vector<fs::directory_entry> entries{fs::directory_iterator(folder), {}};
    for (const auto& entry : entries) {
        const auto path = entry.path();
        if (entry.is_directory() && !entry.is_symlink())
            remove_written(root, path);
        else if (is_written_by_runs(path.lexically_relative(root).generic_string()))
            fs::remove(path);
    }
    if (fs::is_empty(folder)) fs::remove(folder);
}

/// Locked while it is there. The lock is on the folder itself, so that nothing is left behind.
std::shared_ptr<void> locked(const fs::path& folder) {
    struct Descriptor {
        int value;
        ~Descriptor() { ::close(value); }
    };
    const int opened = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (opened < 0)
        throw Error(
            fmt::format("{}: cannot open the folder: {}", folder.string(), std::strerror(errno)));
    auto descriptor = std::make_shared<Descriptor>(opened);
    if (::flock(opened, LOCK_EX | LOCK_NB) == 0) return descriptor;
    if (errno == EWOULDBLOCK)
        throw Error(
            fmt::format("{}: another process is training in this folder; wait for it, or "
                        "give another output=",
                        folder.string()));
    throw Error(
        fmt::format("{}: cannot lock the folder: {}", folder.string(), std::strerror(errno)));
}

std::vector<std::string> cells_of(std::string_view line) {
    std::vector<std::string> cells;
    for (size_t begin = 0; begin <= line.size();) {
        const auto end = std::min(line.find(',', begin), line.size());
        cells.emplace_back(line.substr(begin, end - begin));
        begin = end + 1;
    }
    return cells;
}

/// The lines of a table: columns first, then the whole rows up to `last_step`. A carriage return at
/// the end of a line is what another system's editor leaves.
std::vector<std::vector<std::string>> kept_rows(const fs::path& file, int64_t last_step) {
    const auto text = read_whole(file);
    std::vector<std::vector<std::string>> rows;
    for (size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos;
         begin = end + 1) {
        std::string_view line(text.data() + begin, end - begin);
        if (line.ends_with('\r')) line.remove_suffix(1);
        auto cells = cells_of(line);
        if (rows.empty() && cells.front() != "step")
            throw Error(
                fmt::format("{}:1: expected 'step' as the first column, got '{}'; move this "
                            "file away to go on without it",
                            file.string(), cells.front()));
        int64_t step = 0;
        const auto& first = cells.front();
        const auto parsed = std::from_chars(first.data(), first.data() + first.size(), step);
        const bool whole = parsed.ec == std::errc() && *parsed.ptr == 0 && !rows.empty() &&
                           cells.size() == rows.front().size();
        if (!rows.empty() && (!whole || step > last_step)) break;
        rows.push_back(std::move(cells));
    }
    return rows;
}

std::string line_of(const std::vector<std::string>& cells) {
    return fmt::format("{}\n", fmt::join(cells, ","));
}

}  // namespace

RunFolder RunFolder::create(const fs::path& root, bool overwrite) {
    const RunFolder run{.root = fs::absolute(root), .is_new = true, .overwrite = overwrite};
    if (fs::exists(run.root) && !fs::is_directory(run.root))
        throw Error(fmt::format("{}: expected a folder for the run, got a file", root.string()));
    check_free(run, overwrite);
    return run;
}

void RunFolder::begin() {
    std::error_code error;
    fs::create_directories(root, error);
    if (error)
        throw Error(fmt::format("{}: the folder of the run cannot be made: {}", root.string(),
                                error.message()));
    lock = locked(root);
    if (is_new)
        check_free(*this, overwrite);  // again: a process that had the lock may have written
    is_new = false;
    if (!std::exchange(overwrite, false)) return;
    for (const auto& file : files_of(*this)) fs::remove(file);
    for (const auto& folder : {sheets(), checkpoints(), eval(), render(), influence()})
        remove_written(root, folder);
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
    : path_(file) {
    std::vector<std::vector<std::string>> rows;
    if (resumed_step > 0 && fs::exists(file)) rows = kept_rows(file, resumed_step);
    if (rows.empty()) rows.push_back({"step"});
    auto& head = rows.front();
    for (const auto& column : columns) {
        const auto found = std::find(head.begin(), head.end(), column);
        places_.push_back(static_cast<size_t>(found - head.begin()));
        if (found == head.end()) head.push_back(column);
    }
    cells_ = head.size();
    std::string text;
    for (auto& row : rows) {
        row.resize(cells_);
        text += line_of(row);
    }
    write_whole(file, text);
    file_.open(file, std::ios::app);
    if (!file_)
        throw Error(fmt::format("{}: cannot be written: {}", file.string(), std::strerror(errno)));
}

void MetricsLog::add(int64_t step, const std::vector<double>& values) {
    if (values.size() != places_.size())
        throw Error(fmt::format("{}: expected {} values, got {}", path_.string(), places_.size(),
                                values.size()));
    std::vector<std::string> row(cells_);
    row.front() = std::to_string(step);
    for (size_t k = 0; k < values.size(); ++k)
        if (!std::isnan(values[k])) row[places_[k]] = fmt::format("{:.9g}", values[k]);
    file_ << line_of(row) << std::flush;
    if (!file_)
        throw Error(fmt::format("{}: cannot be written: {}", path_.string(), std::strerror(errno)));
}

}  // namespace fmgs
