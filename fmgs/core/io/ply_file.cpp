#include <fmgs/core/io/ply_file.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/file_kind.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace fmgs::detail {

namespace {

struct TypeName {
    std::string_view name, sized;
    PlyType type;
    size_t size;
};

// A PLY's names of types are of two kinds.
constexpr std::array<TypeName, 8> kTypes{{{"char", "int8", PlyType::kInt8, 1},
                                          {"uchar", "uint8", PlyType::kUint8, 1},
                                          {"short", "int16", PlyType::kInt16, 2},
                                          {"ushort", "uint16", PlyType::kUint16, 2},
                                          {"int", "int32", PlyType::kInt32, 4},
                                          {"uint", "uint32", PlyType::kUint32, 4},
                                          {"float", "float32", PlyType::kFloat, 4},
                                          {"double", "float64", PlyType::kDouble, 8}}};

PlyType type_of(std::string_view word) {
    for (const auto& type : kTypes) {
        if (word == type.name || word == type.sized) return type.type;
    }
    return PlyType::kNone;
}

size_t size_of(PlyType type) {
    for (const auto& known : kTypes) {
        if (known.type == type) return known.size;
    }
    return 0;
}

std::vector<std::string> words_of(std::string_view line) {
    std::vector<std::string> out;
    for (size_t at = 0; (at = line.find_first_not_of(" \t", at)) != line.npos;) {
        const auto end = std::min(line.find_first_of(" \t", at), line.size());
        out.emplace_back(line.substr(at, end - at));
        at = end;
    }
    return out;
}

}  // namespace

PlyFile::PlyFile(std::string_view bytes, std::string what) : rest_(bytes), what_(std::move(what)) {
    read_header();
    check_room();
}

void PlyFile::fail(const std::string& problem) const {
    throw Error(fmt::format("{}: {}", what_, problem));
}

std::string_view PlyFile::line() {
    const auto end = rest_.find('\n');
    if (end == rest_.npos) fail("cut off: its header does not end");
    auto out = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    if (out.ends_with('\r')) out.remove_suffix(1);
    return out;
}

void PlyFile::read_header() {
    const auto kind = kind_of(rest_);
    if (kind != FileKind::kPly) fail(fmt::format("expected a PLY file, got {}", words_of(kind)));
    if (line() != "ply") fail("expected a PLY file: its first line is not 'ply'");
    bool has_format = false;
    for (auto text = line(); text != "end_header"; text = line()) {
        const auto words = words_of(text);
        if (words.empty()) continue;
        if (words[0] == "format") {
            read_format(words);
            has_format = true;
        } else if (words[0] == "comment") {
            const auto begin = text.find_first_not_of(" \t", text.find("comment") + 7);
            comments_.emplace_back(begin == text.npos ? "" : text.substr(begin));
        } else if (words[0] == "element") {
            add_element(words);
        } else if (words[0] == "property") {
            add_property(words);
        }
    }
    if (!has_format) fail("expected a PLY file: its header names no format");
}

void PlyFile::read_format(const std::vector<std::string>& words) {
    const std::string name = words.size() > 1 ? words[1] : "";
    if (name != "ascii" && name != "binary_little_endian" && name != "binary_big_endian")
        fail(fmt::format(
            "expected format ascii, binary_little_endian or binary_big_endian, got '{}'", name));
    format_ = name == "ascii"                  ? Format::kAscii
              : name == "binary_little_endian" ? Format::kLittle
                                               : Format::kBig;
}

void PlyFile::add_element(const std::vector<std::string>& words) {
    int64_t count = -1;
    if (words.size() == 3) {
        const auto* last = words[2].data() + words[2].size();
        const auto [end, error] = std::from_chars(words[2].data(), last, count);
        if (error != std::errc() || end != last) count = -1;
    }
    if (count < 0) fail(fmt::format("'{}' is no number of elements", words.back()));
    elements_.push_back({words[1], count, {}});
}

void PlyFile::add_property(const std::vector<std::string>& words) {
    const bool is_list = words.size() == 5 && words[1] == "list";
    PlyProperty property{words.back()};
    if (is_list || words.size() == 3) property.type = type_of(words[words.size() - 2]);
    if (is_list) property.count_type = type_of(words[2]);
    if (elements_.empty() || property.type == PlyType::kNone || (is_list && !property.is_list()))
        fail(fmt::format("a property '{}' that is not known", words.back()));
    elements_.back().properties.push_back(property);
}

// A row takes its values, or at least a digit and a blank for each of them.
void PlyFile::check_room() const {
    double bytes = 0;
    for (const auto& element : elements_) {
        double row = 0;
        for (const auto& property : element.properties) {
            const auto least = property.is_list() ? property.count_type : property.type;
            row += format_ == Format::kAscii ? 2 : static_cast<double>(size_of(least));
        }
        bytes += row * static_cast<double>(element.count);
    }
    // The blank behind the last digit may be missing.
    if (bytes > static_cast<double>(rest_.size()) + 1)
        fail(fmt::format("cut off: its header claims at least {:.0f} bytes of values, {} are there",
                         bytes, rest_.size()));
}

double PlyFile::number(PlyType type) {
    if (format_ == Format::kAscii) return ascii();
    switch (type) {
        case PlyType::kInt8:
            return binary<int8_t>();
        case PlyType::kUint8:
            return binary<uint8_t>();
        case PlyType::kInt16:
            return binary<int16_t>();
        case PlyType::kUint16:
            return binary<uint16_t>();
        case PlyType::kInt32:
            return binary<int32_t>();
        case PlyType::kUint32:
            return binary<uint32_t>();
        case PlyType::kFloat:
            return binary<float>();
        default:
            return binary<double>();
    }
}

int64_t PlyFile::list_size(const PlyProperty& property) {
    const double count = number(property.count_type);
    const auto bytes = format_ == Format::kAscii ? 1 : size_of(property.type);
    if (!(count >= 0 && count * static_cast<double>(bytes) <= static_cast<double>(rest_.size())))
        fail("cut off: a list is longer than the file");
    return static_cast<int64_t>(count);
}

void PlyFile::skip(const PlyProperty& property) {
    const int64_t count = property.is_list() ? list_size(property) : 1;
    for (int64_t i = 0; i < count; ++i) number(property.type);
}

template <class T>
double PlyFile::binary() {
    if (rest_.size() < sizeof(T)) fail("cut off: values are missing");
    std::array<char, sizeof(T)> bytes;
    std::copy_n(rest_.data(), sizeof(T), bytes.data());
    if (format_ == Format::kBig) std::reverse(bytes.begin(), bytes.end());
    T value;
    std::memcpy(&value, bytes.data(), sizeof(T));
    rest_.remove_prefix(sizeof(T));
    return static_cast<double>(value);
}

double PlyFile::ascii() {
    const auto begin = rest_.find_first_not_of(" \t\r\n");
    if (begin == rest_.npos) fail("cut off: values are missing");
    rest_.remove_prefix(begin);
    const auto word = rest_.substr(0, rest_.find_first_of(" \t\r\n"));
    double value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size())
        fail(fmt::format("expected a number, got '{}'", word.substr(0, 40)));
    rest_.remove_prefix(word.size());
    return value;
}

}  // namespace fmgs::detail
