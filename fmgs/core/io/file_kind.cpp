#include <fmgs/core/io/file_kind.h>

#include <algorithm>
#include <cctype>
#include <string>

namespace fmgs::detail {
namespace {

/// "cnumpy.core.multiarray\n…": how a text pickle of one object begins, CR or not.
bool begins_with_global(std::string_view text) {
    if (!text.starts_with('c')) return false;
    const auto line = text.substr(1, text.find('\n') == text.npos ? 0 : text.find('\n') - 1);
    return !line.empty() && std::all_of(line.begin(), line.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '\r';
    });
}

bool is_pickle(std::string_view bytes) {
    if (bytes.size() > 1 && bytes[0] == '\x80') return bytes[1] >= 1 && bytes[1] <= 5;
    // Protocols 0 and 1: a dictionary, a list, a tuple, an object.
    return bytes.starts_with('(') || bytes.starts_with(']') || bytes.starts_with('}') ||
           begins_with_global(bytes);
}

/// RFC 1950: deflate with the usual window, and a check of the two bytes.
bool is_zlib(std::string_view bytes) {
    if (bytes.size() < 2) return false;
    const auto first = static_cast<unsigned char>(bytes[0]),
               second = static_cast<unsigned char>(bytes[1]);
    return first == 0x78 && (first * 256 + second) % 31 == 0;
}

bool is_packed(std::string_view bytes) {
    using namespace std::string_view_literals;
    for (const auto magic : {"BZh"sv,
                             "\xFD"
                             "7zXZ\0"sv,
                             "\x5D\0\0"sv, "\x04\x22\x4D\x18"sv, "\x28\xB5\x2F\xFD"sv, "ZF0x"sv,
                             "Rar!"sv, "7z\xBC\xAF"sv}) {
        if (bytes.starts_with(magic)) return true;
    }
    return false;
}

bool is_web_page(std::string_view text) {
    std::string begin(text.substr(0, 16));
    std::transform(begin.begin(), begin.end(), begin.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return begin.starts_with("<!doctype html") || begin.starts_with("<html") ||
           begin.starts_with("<head");
}

FileKind kind_of_text(std::string_view text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    const auto at = text.find_first_not_of(" \t\r\n");
    if (at == text.npos) return FileKind::kUnknown;
    text.remove_prefix(at);
    if (text.starts_with("{") || text.starts_with("[")) return FileKind::kJson;
    if (text.starts_with("HIERARCHY")) return FileKind::kBvh;
    if (is_web_page(text)) return FileKind::kWebPage;
    return FileKind::kUnknown;
}

}  // namespace

FileKind kind_of(std::string_view bytes) {
    if (bytes.empty()) return FileKind::kEmpty;
    if (bytes.starts_with("version https://git-lfs")) return FileKind::kGitLfs;
    if (bytes.starts_with("PK\3\4") || bytes.starts_with("PK\5\6")) return FileKind::kZip;
    if (bytes.starts_with("\x93NUMPY")) return FileKind::kNpy;
    if (bytes.starts_with("\x89HDF")) return FileKind::kHdf5;
    if (bytes.starts_with("\x89PNG") || bytes.starts_with("\xFF\xD8\xFF"))
        return FileKind::kPicture;
    if (bytes.starts_with("MATLAB")) return FileKind::kMatlab;
    if (bytes.starts_with("ply\n") || bytes.starts_with("ply\r")) return FileKind::kPly;
    if (bytes.starts_with("\x1F\x8B")) return FileKind::kGzip;
    // The length of a header that is far below 16 MB, and the header.
    if (bytes.size() > 9 && bytes[8] == '{' && bytes.substr(3, 5) == std::string(5, '\0'))
        return FileKind::kSafetensors;
    if (is_pickle(bytes)) return FileKind::kPickle;
    if (is_packed(bytes)) return FileKind::kPacked;
    if (is_zlib(bytes)) return FileKind::kZlib;
    return kind_of_text(bytes);
}

std::string_view words_of(FileKind kind) {
    switch (kind) {
        case FileKind::kEmpty:
            return "an empty file (copy or download it again)";
        case FileKind::kGitLfs:
            return "a pointer of git-lfs instead of the data (fetch them with: git lfs pull)";
        case FileKind::kWebPage:
            return "a web page instead of the data (a download that needs a login?)";
        case FileKind::kZip:
            return "a zip archive";
        case FileKind::kNpy:
            return "a single array (.npy)";
        case FileKind::kPickle:
            return "a Python pickle (.pkl)";
        case FileKind::kZlib:
            return "data compressed by zlib";
        case FileKind::kGzip:
            return "data compressed by gzip";
        case FileKind::kPacked:
            return "data compressed by another program than zlib or gzip (unpack them; for joblib: "
                   "joblib.dump(joblib.load(FILE), FILE, compress=0))";
        case FileKind::kHdf5:
            return "an HDF5 file";
        case FileKind::kMatlab:
            return "a MATLAB file";
        case FileKind::kSafetensors:
            return "a safetensors file";
        case FileKind::kJson:
            return "JSON";
        case FileKind::kBvh:
            return "a BVH motion";
        case FileKind::kPly:
            return "a PLY file";
        case FileKind::kPicture:
            return "a picture";
        case FileKind::kUnknown:
            break;
    }
    return "a file of an unknown kind";
}

}  // namespace fmgs::detail
