#pragma once
/// Where the masks of a capture are whose layout does not say it.
#include <fmgs/data/frame_files.h>

namespace fmgs {

/// The folder of masks in `root`: the first that there is of masks, mask, mask_cihp, mask-schp,
/// segmentations, alpha, matte and pha. Without one, pictures with an alpha channel are their own
/// masks.
class MaskFolder {
  public:
    /// Adds a note where there are several, of which others are not read.
    MaskFolder(const std::filesystem::path& root, std::vector<std::string>& notes);

    /// Of a picture that is called `stem` (find_mask). One that is missing is an Error of the frame
    /// that is read (check_mask_there).
    MaskSource of(const std::string& stem, const std::filesystem::path& picture) const;

  private:
    std::filesystem::path root_, folder_;  // folder_: empty where there is none
};

/// Error that says where masks are looked for, and how they are made, when this one is missing.
void check_mask_there(const std::filesystem::path& mask);

}  // namespace fmgs
