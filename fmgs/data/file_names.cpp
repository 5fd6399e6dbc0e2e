#include <fmgs/data/file_names.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmt/format.h>

#include <algorithm>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

// Cameras and scanners write upper case.
constexpr const char* kPictures[] = {".png", ".jpg", ".jpeg", ".PNG", ".JPG", ".JPEG"};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

bool is_picture(const fs::path& file) {
    const auto extension = file.extension();
    return std::find(std::begin(kPictures), std::end(kPictures), extension) != std::end(kPictures);
}

fs::path find_picture(const fs::path& folder, const std::string& stem) {
    for (const char* extension : kPictures) {
        const fs::path file = folder / (stem + extension);
        if (is_there(file)) return file;
    }
    for (const char* extension : {".npy", ".npz", ".exr"}) {
        const fs::path file = folder / (stem + extension);
        if (is_there(file)) return file;
    }
    return folder / (stem + ".png");
}

fs::path find_mask(const fs::path& masks, const std::string& stem) {
    std::vector<std::string> stems = {stem};
    const fs::path path(stem);  // CAMERA/NAME where there are several cameras
    const auto name = path.filename().string();
    const auto beside = [&](const std::string& other) {
        return (path.parent_path() / other).string();
    };
    if (name.starts_with("image_")) stems.insert(stems.begin(), beside("mask_" + name.substr(6)));
    for (const char* ending : {".png", ".jpg", ".jpeg", ".mask", "_mask"})
        stems.push_back(stem + ending);
    stems.push_back(beside("mask_" + name));
    for (const auto& each : stems) {
        if (const auto file = find_picture(masks, each); is_there(file)) return file;
    }
    return find_picture(masks, stem);
}

bool natural_less(const std::string& a, const std::string& b) {
    size_t i = 0, k = 0;
    while (i < a.size() && k < b.size()) {
        if (!is_digit(a[i]) || !is_digit(b[k])) {
            if (a[i] != b[k]) return a[i] < b[k];
            ++i;
            ++k;
            continue;
        }
        // A number with more digits, leading zeros aside, is larger.
        const auto next = [&](const std::string& text, size_t& at) {
            while (at < text.size() && text[at] == '0') ++at;
            const size_t begin = at;
            while (at < text.size() && is_digit(text[at])) ++at;
            return text.substr(begin, at - begin);
        };
        const auto x = next(a, i), y = next(b, k);
        if (x != y) return x.size() != y.size() ? x.size() < y.size() : x < y;
    }
    const size_t left_a = a.size() - i, left_b = b.size() - k;
    return left_a != left_b ? left_a < left_b : a < b;  // "01" and "1" are two names
}

int64_t frame_number(const std::string& name) {
    size_t end = name.size();
    while (end > 0 && !is_digit(name[end - 1])) --end;
    size_t begin = end;
    while (begin > 0 && is_digit(name[begin - 1])) --begin;
    constexpr size_t kMostDigits = 18;  // of an int64
    if (begin == end || end - begin > kMostDigits) return -1;
    return std::stoll(name.substr(begin, end - begin));
}

std::string some_of(const std::vector<std::string>& names) {
    if (names.size() == 1) return fmt::format("'{}'", names[0]);
    if (names.size() == 2) return fmt::format("'{}' and '{}'", names[0], names[1]);
    return fmt::format("'{}', '{}' and {} more", names[0], names[1], names.size() - 2);
}

std::vector<std::string> list_pictures(const fs::path& folder) {
    std::vector<std::string> names;
    std::error_code code;
    for (const auto& entry : fs::directory_iterator(folder, code)) {
        if (is_picture(entry.path())) names.push_back(entry.path().stem());
    }
    if (code || names.empty())
        throw Error(fmt::format("{}: expected a folder of pictures (.png or .jpg), got {}",
                                folder.string(), code ? code.message() : "none"));
    std::sort(names.begin(), names.end(), natural_less);
    return names;
}

std::vector<std::string> list_pictures_below(const fs::path& folder) {
    std::vector<std::string> names;
    std::error_code code;
    for (const auto& entry : fs::directory_iterator(folder, code)) {
        if (is_picture(entry.path())) return list_pictures(folder);
    }
    for (const auto& entry : fs::recursive_directory_iterator(folder, code)) {
        const auto name = entry.path().lexically_relative(folder);
        if (is_picture(name)) names.push_back((name.parent_path() / name.stem()).string());
    }
    if (names.empty()) return list_pictures(folder);  // an Error that says what is expected
    std::sort(names.begin(), names.end(), natural_less);
    return names;
}

std::vector<std::string> list_folders(const fs::path& folder) {
    std::vector<std::string> names;
    std::error_code code;
    for (const auto& entry : fs::directory_iterator(folder, code)) {
        if (entry.is_directory(code)) names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end(), natural_less);
    return names;
}

std::vector<std::string> list_files(const fs::path& folder, const std::string& extension) {
    std::vector<std::string> names;
    std::error_code code;
    for (const auto& entry : fs::directory_iterator(folder, code)) {
        if (entry.path().extension() == extension) names.push_back(entry.path().filename());
    }
    std::sort(names.begin(), names.end(), natural_less);
    return names;
}

}  // namespace fmgs
