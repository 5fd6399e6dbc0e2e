#pragma once
/// Names of pictures, masks and frames in the folders of a capture.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace fmgs {

/// Whether the name ends in .png, .jpg or .jpeg, in lower or upper case.
bool is_picture(const std::filesystem::path& file);
/// The first of <stem>.png, .jpg, .jpeg, these in upper case, .npy, .npz and .exr (which its
/// readers refuse with a cure) that exists in `folder`; the .png's path when none does.
std::filesystem::path find_picture(const std::filesystem::path& folder, const std::string& stem);
/// The mask of the picture `stem` in a folder as its makers name them: find_picture's names,
/// mask_NNNN for image_NNNN, and <stem>.EXT.png, <stem>.mask.png, <stem>_mask.png, mask_<stem>.png.
/// The picture's own name when there is none.
std::filesystem::path find_mask(const std::filesystem::path& folder, const std::string& stem);

/// Whether the name a comes before b: as text, but digits in a row count as one number.
bool natural_less(const std::string& a, const std::string& b);
/// The last number in a name, "image_0012" → 12; -1 where there is none.
int64_t frame_number(const std::string& name);

/// "'a'", "'a' and 'b'", "'a', 'b' and 54 more": at least one name, for messages.
std::string some_of(const std::vector<std::string>& names);

/// The stems of the pictures in a folder, naturally sorted. Error: no folder, no picture in it.
std::vector<std::string> list_pictures(const std::filesystem::path& folder);
/// The same of a folder whose pictures may lie in folders below it, as "FOLDER/STEM", where there
/// is none in the folder itself.
std::vector<std::string> list_pictures_below(const std::filesystem::path& folder);
/// The names of what a folder holds, naturally sorted: of its folders, or of the files that end so
/// (".npz"). Empty where there is no such folder.
std::vector<std::string> list_folders(const std::filesystem::path& folder);
std::vector<std::string> list_files(const std::filesystem::path& folder,
                                    const std::string& extension);

}  // namespace fmgs
