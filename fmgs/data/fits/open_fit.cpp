#include <fmgs/data/fits/read_fit.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/file_names.h>
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace fmgs::detail {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMostFiles = 200000;  // of a folder: an hour of video

bool is_data_file(const fs::path& file) {
    auto extension = file.extension().string();
    std::transform(extension.begin(), extension.end(), extension.begin(),
                   [](unsigned char c) { return std::tolower(c); });
    for (const char* known : {".json", ".npz", ".npy", ".pkl", ".pt"}) {
        if (extension == known) return true;
    }
    return false;
}

// File name without its extension → content, in the order of the numbers in the names.
Value read_folder(const fs::path& folder) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder)) {
        if (entry.is_regular_file() && is_data_file(entry.path())) files.push_back(entry.path());
        if (files.size() > kMostFiles)
            throw Error(
                fmt::format("{}: expected at most {} files of poses", folder.string(), kMostFiles));
    }
    if (files.empty())
        throw Error(fmt::format(
            "{}: expected a file of poses per frame (.json, .npz, .npy, .pkl), there is none",
            folder.string()));
    std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) {
        return natural_less(a.filename().string(), b.filename().string());
    });
    Value::Dict entries;
    for (const auto& file : files)
        entries.emplace_back(Value(file.stem().string()), read_value(file));
    return Value(std::move(entries));
}

}  // namespace

Fit read_fit(const fs::path& path, const PoseFileOptions& options) {
    if (!is_there(path)) throw Error(fmt::format("{}: there is no such file", path.string()));
    const bool is_folder = fs::is_directory(path);
    if (!is_folder && is_bvh(path)) return read_bvh_fit(path);
    return read_fit({path.string(), path, is_folder ? read_folder(path) : read_value(path),
                     is_folder, options});
}

}  // namespace fmgs::detail
