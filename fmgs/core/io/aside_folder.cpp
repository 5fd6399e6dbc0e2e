#include <fmgs/core/io/aside_folder.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <vector>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

constexpr const char* kEnding = ".partial";

// Of processes that have ended, or of an earlier try of this one.
void remove_abandoned(const fs::path& folder, const std::string& beginning) {
    std::vector<fs::path> left;
    for (const auto& entry : fs::directory_iterator(folder)) {
        const auto name = entry.path().filename().string();
        if (!name.starts_with(beginning) || name.find(kEnding) == name.npos) continue;
        const pid_t process = std::atoi(name.c_str() + beginning.size());
        if (process > 0 && (process == ::getpid() || ::kill(process, 0) != 0))
            left.push_back(entry.path());
    }
    for (const auto& path : left) fs::remove_all(path);
}

}  // namespace

AsideFolder::AsideFolder(const fs::path& target)
    : target_(fs::absolute(target).lexically_normal()) {
    if (!target_.has_filename()) target_ = target_.parent_path();
    const auto beginning = fmt::format(".{}.", target_.filename().string());
    path_ = target_.parent_path() / fmt::format("{}{}{}", beginning, ::getpid(), kEnding);
    try {
        fs::create_directories(target_.parent_path());
        remove_abandoned(target_.parent_path(), beginning);
        fs::create_directory(path_);
    } catch (const fs::filesystem_error& error) {
        throw Error(fmt::format("{}: cannot make the folder: {}", target_.string(),
                                error.code().message()));
    }
}

AsideFolder::~AsideFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
}

void AsideFolder::put_in_place() {
    replace_folder(path_, target_);
    path_.clear();
}

}  // namespace fmgs
