#include <fmgs/data/picture_header.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmt/format.h>

#include <algorithm>

namespace fmgs {
namespace {

/// A number of big-endian bytes.
int64_t number(std::string_view bytes, size_t at, size_t count) {
    int64_t value = 0;
    for (size_t i = 0; i < count; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
    return value;
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

/// The orientation that EXIF data state, which are a TIFF directory of entries of 12 bytes.
int64_t orientation_of(std::string_view tiff) {
    constexpr size_t kEntry = 12;
    constexpr int64_t kOrientation = 0x0112;
    const bool little = tiff.starts_with("II");
    if (!little && !tiff.starts_with("MM")) return 1;
    const auto value = [&](size_t at, size_t count) {
        if (at + count > tiff.size()) return int64_t{0};
        std::string bytes(tiff.substr(at, count));
        if (little) std::reverse(bytes.begin(), bytes.end());
        return number(bytes, 0, count);
    };
    const auto directory = static_cast<size_t>(value(4, 4));
    const auto entries = static_cast<size_t>(value(directory, 2));
    for (size_t i = 0; i < entries; ++i) {
        const size_t entry = directory + 2 + i * kEntry;
        if (value(entry, 2) != kOrientation) continue;
        const int64_t orientation = value(entry + 8, 2);
        return orientation >= 1 && orientation <= 8 ? orientation : 1;
    }
    return 1;
}

/// Chunk after chunk: length, name, content, four bytes of checksum.
PictureHeader of_png(std::string_view bytes) {
    constexpr size_t kSignature = 8, kFrame = 12;
    PictureHeader out;
    for (size_t at = kSignature; at + kFrame <= bytes.size();) {
        const auto length = static_cast<size_t>(number(bytes, at, 4));
        const auto name = bytes.substr(at + 4, 4), content = bytes.substr(at + 8, length);
        if (at == kSignature) {  // width, height, depth, kind of colour
            if (name != "IHDR" || content.size() < 10) return {};
            out = {number(content, 0, 4), number(content, 4, 4), true, (content[9] & 4) != 0};
        }
        if (name == "eXIf") out.orientation = orientation_of(content);
        at += kFrame + length;
    }
    return out;
}

/// Segment after segment: a thumbnail in one of them has markers of its own, which do not count.
PictureHeader of_jpeg(std::string_view bytes) {
    constexpr uint8_t kScan = 0xDA, kEnd = 0xD9, kApp1 = 0xE1;
    constexpr std::string_view kExif("Exif\0\0", 6);
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
        const auto segment = bytes.substr(at + 4, std::max<size_t>(length, 2) - 2);
        if (marker == kApp1 && out.orientation == 1 && segment.starts_with(kExif))
            out.orientation = orientation_of(segment.substr(kExif.size()));
        at += 2 + length;
        if (marker == kScan) at = end_of_scan(bytes, at);
    }
    return out;
}

}  // namespace

PictureHeader parse_picture_header(std::string_view bytes, const std::string& what) {
    if (bytes.starts_with("\x89PNG\r\n\x1A\n")) return of_png(bytes);
    if (bytes.starts_with("\xFF\xD8\xFF")) return of_jpeg(bytes);
    if (bytes.starts_with("\x76\x2F\x31\x01"))
        throw Error(
            fmt::format("{}: OpenEXR, which is not read; save its values as .npy (the command is "
                        "in docs/data_layouts.md, Priors)",
                        what));
    throw Error(
        fmt::format("{}: not a readable picture: expected a PNG or JPEG, got {}; save it as PNG",
                    what, bytes.empty() ? "an empty file" : "something else"));
}

void check_upright(const PictureHeader& header, const std::filesystem::path& file) {
    if (header.orientation == 1) return;
    throw Error(fmt::format(
        "{}: its EXIF data say that it is to be turned (orientation {}), and masks, priors and "
        "cameras would not be; turn all pictures for good before anything is made of them, e.g. "
        "mogrify -auto-orient {}/*",
        file.string(), header.orientation, file.parent_path().string()));
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
