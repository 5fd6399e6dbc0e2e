#pragma once
/// A folder that is filled beside its place and takes it whole.
#include <filesystem>

namespace fmgs {

/// What does not get as far as put_in_place() leaves nothing.
class AsideFolder {
  public:
    /// Makes `.NAME.PROCESS.partial` beside `target`, and the folders above where they are missing;
    /// those that processes left there which have ended go. Error with the system's reason.
    explicit AsideFolder(const std::filesystem::path& target);
    ~AsideFolder();
    AsideFolder(const AsideFolder&) = delete;
    AsideFolder& operator=(const AsideFolder&) = delete;

    const std::filesystem::path& path() const { return path_; }
    /// In the place of `target` at one stroke; what was there is removed.
    void put_in_place();

  private:
    std::filesystem::path target_, path_;
};

}  // namespace fmgs
