#pragma once
/// What a PNG or JPEG says of itself before anything is decoded.
#include <cstdint>
#include <filesystem>
#include <string_view>

namespace fmgs {

struct PictureHeader {
    int64_t width = 0, height = 0;  ///< pixels, as stored; 0: the bytes end before they say it
    /// A JPEG ends with its end marker: one that is cut short still decodes, with grey below the
    /// cut. Of a PNG the decoder tells.
    bool whole = false;
    bool alpha = false;       ///< a PNG with an alpha channel
    int64_t orientation = 1;  ///< by EXIF data: 1 is upright, up to 8 turned or mirrored
};

/// Of the bytes of a file, or of its beginning. Error, naming `what`, when they are of no PNG and
/// no JPEG.
PictureHeader parse_picture_header(std::string_view bytes, const std::string& what);
/// Error, which says the cure, when EXIF data turn the picture: neither its mask nor its priors and
/// camera would follow.
void check_upright(const PictureHeader& header, const std::filesystem::path& file);
/// Of a file, of which it reads no more than it has to. Error, too, when it does not say its size.
PictureHeader read_picture_header(const std::filesystem::path& file);

}  // namespace fmgs
