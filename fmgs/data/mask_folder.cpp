#include <fmgs/data/mask_folder.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/file_names.h>
#include <fmgs/data/picture_header.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

constexpr const char* kFolders[] = {"masks",         "mask",  "mask_cihp", "mask-schp",
                                    "segmentations", "alpha", "matte",     "pha"};

// A picture that cannot be read has no alpha channel either: who reads it says why.
bool has_alpha(const fs::path& picture) {
    try {
        return is_there(picture) && read_picture_header(picture).alpha;
    } catch (const Error&) {
        return false;
    }
}

}  // namespace

MaskFolder::MaskFolder(const fs::path& root, std::vector<std::string>& notes) : root_(root) {
    std::vector<std::string> others;
    for (const char* name : kFolders) {
        if (!fs::is_directory(root / name)) continue;
        if (folder_.empty())
            folder_ = root / name;
        else
            others.emplace_back(name);
    }
    if (!others.empty())
        notes.push_back(fmt::format("{}: the masks are taken from {}, and {} not read",
                                    root.string(), folder_.filename().string(),
                                    some_of(others) + (others.size() > 1 ? " are" : " is")));
}

MaskSource MaskFolder::of(const std::string& stem, const fs::path& picture) const {
    if (!folder_.empty()) return {{find_mask(folder_, stem)}};
    if (has_alpha(picture)) return {{}, MaskSource::Says::alpha};
    return {{find_mask(root_ / kFolders[0], stem)}};
}

void check_mask_there(const fs::path& mask) {
    if (is_there(mask)) return;
    throw Error(fmt::format(
        "{}: there is no such mask; expected one of each picture's name in one of the folders {}, "
        "or pictures with an alpha channel; extract_priors --seg makes masks, too (seg/NAME.npy)",
        mask.string(), fmt::join(kFolders, ", ")));
}

}  // namespace fmgs
