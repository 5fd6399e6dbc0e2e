#include <fmgs/data/picture_header.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmt/format.h>

namespace fmgs {
namespace {

/// A number of big-endian bytes.
int64_t number(std::string_view bytes, size_t at, size_t count) {
    int64_t value = 0;
    for (size_t i = 0; i < count; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
    return value;
}

PictureHeader of_png(std::string_view bytes) {
    // Signature, then the chunk IHDR: length, name, width, height.
    if (bytes.size() < 24 || bytes.substr(12, 4) != "IHDR") return {};
    return {number(bytes, 16, 4), number(bytes, 20, 4), true};
}

/// Where the entropy-coded data that begin at `at` end: at the next marker, which is none of their
/// own (a stuffed zero, or a restart).
size_t end_of_scan(std::string_view bytes, size_t at) {
    for (; at + 1 < bytes.size(); ++at) {
        if (bytes[at] != '\xFF') continue;
        const auto marker = static_cast<uint8_t>(bytes[at + 1]);
        if (marker != 0 && marker != 0xFF && (marker < 0xD0 || marker > 0xD7)) return at;
    }
    return bytes.size();
}

/// Segment after segment: a thumbnail in one of them has markers of its own, which do not count.
PictureHeader of_jpeg(std::string_view bytes) {
    constexpr uint8_t kScan = 0xDA, kEnd = 0xD9;
    PictureHeader out;
    size_t at = 2;
    while (at + 2 <= bytes.size() && bytes[at] == '\xFF') {
        const auto marker = static_cast<uint8_t>(bytes[at + 1]);
        if (marker == 0xFF) {  // padding
            ++at;
            continue;
        }
        out.whole = marker == kEnd;
        if (out.whole || at + 4 > bytes.size()) break;
        const auto length = static_cast<size_t>(number(bytes, at + 2, 2));
        // The frames' headers: C0 to CF without tables (C4), an extension (C8) and arithmetic (CC).
        const bool frame =
            marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
        if (frame && at + 9 <= bytes.size()) {
            out.height = number(bytes, at + 5, 2);
            out.width = number(bytes, at + 7, 2);
        }
        at += 2 + length;
        if (marker == kScan) at = end_of_scan(bytes, at);
    }
    return out;
}

}  // namespace

PictureHeader parse_picture_header(std::string_view bytes, const std::string& what) {
    if (bytes.starts_with("\x89PNG\r\n\x1A\n")) return of_png(bytes);
    if (bytes.starts_with("\xFF\xD8\xFF")) return of_jpeg(bytes);
    throw Error(
        fmt::format("{}: not a readable picture: expected a PNG or JPEG, got {}; save it as PNG",
                    what, bytes.empty() ? "an empty file" : "something else"));
}

PictureHeader read_picture_header(const std::filesystem::path& file) {
    // Profiles and thumbnails may stand before a JPEG's size.
    for (const size_t size : {size_t{1} << 10, size_t{1} << 16, SIZE_MAX}) {
        const auto header = parse_picture_header(read_first(file, size), file.string());
        if (header.width > 0 && header.height > 0) return header;
    }
    throw Error(fmt::format(
        "{}: not a readable picture (cut short or damaged?): it does not say its size; write this "
        "file again",
        file.string()));
}

}  // namespace fmgs
