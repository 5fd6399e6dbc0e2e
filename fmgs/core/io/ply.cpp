#include <fmgs/core/check.h>
#include <fmgs/core/io/body_file.h>
#include <fmgs/core/io/files.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <string_view>

namespace fmgs {
namespace {

enum class Format { kAscii, kLittle, kBig };

struct Property {
    std::string name;
    std::string type;        // as NumPy has it
    std::string count_type;  // of a list; empty: one value
};

struct Element {
    std::string name;
    int64_t count = 0;
    std::vector<Property> properties;
};

/// A PLY's names of types are of two kinds.
std::string type_of(std::string_view word) {
    constexpr std::array<std::array<std::string_view, 3>, 8> kTypes{{{"char", "int8", "i1"},
                                                                     {"uchar", "uint8", "u1"},
                                                                     {"short", "int16", "i2"},
                                                                     {"ushort", "uint16", "u2"},
                                                                     {"int", "int32", "i4"},
                                                                     {"uint", "uint32", "u4"},
                                                                     {"float", "float32", "f4"},
                                                                     {"double", "float64", "f8"}}};
    for (const auto& [short_name, long_name, dtype] : kTypes) {
        if (word == short_name || word == long_name) return std::string(dtype);
    }
    return {};
}

class PlyReader {
  public:
    PlyReader(std::string_view bytes, std::string what) : rest_(bytes), what_(std::move(what)) {}

    Mesh read() {
        read_header();
        for (const auto& element : elements_) {
            if (element.properties.empty()) continue;
            for (int64_t row = 0; row < element.count; ++row) read_row(element);
        }
        if (vertices_.empty() || faces_.empty())
            fail("expected a mesh, found no vertex or no face");
        const auto count = static_cast<int64_t>(vertices_.size() / 3);
        for (const auto corner : faces_) {
            if (corner < 0 || corner >= count)
                fail(fmt::format("expected corners in [0,{}), got {}", count, corner));
        }
        return {torch::tensor(vertices_, torch::kDouble).view({-1, 3}).to(torch::kFloat),
                torch::tensor(faces_, torch::kLong).view({-1, 3})};
    }

  private:
    [[noreturn]] void fail(const std::string& problem) const {
        throw Error(fmt::format("{}: {}", what_, problem));
    }

    std::string_view line() {
        const auto end = rest_.find('\n');
        if (end == rest_.npos) fail("not a PLY file, or cut off: its header does not end");
        auto out = rest_.substr(0, end);
        rest_.remove_prefix(end + 1);
        if (out.ends_with('\r')) out.remove_suffix(1);
        return out;
    }

    static std::vector<std::string> words(std::string_view line) {
        std::vector<std::string> out;
        for (size_t at = 0; (at = line.find_first_not_of(" \t", at)) != line.npos;) {
            const auto end = std::min(line.find_first_of(" \t", at), line.size());
            out.emplace_back(line.substr(at, end - at));
            at = end;
        }
        return out;
    }

    void read_header() {
        if (line() != "ply") fail("not a PLY file");
        bool has_format = false;
        for (auto at = words(line()); at.empty() || at[0] != "end_header"; at = words(line())) {
            if (at.size() >= 2 && at[0] == "format") {
                has_format = true;
                format_ = at[1] == "ascii"                  ? Format::kAscii
                          : at[1] == "binary_little_endian" ? Format::kLittle
                                                            : Format::kBig;
            } else if (at.size() == 3 && at[0] == "element") {
                int64_t count = -1;
                std::from_chars(at[2].data(), at[2].data() + at[2].size(), count);
                if (count < 0) fail(fmt::format("'{}' is no number of elements", at[2]));
                elements_.push_back({at[1], count, {}});
            } else if (at.size() >= 3 && at[0] == "property") {
                add_property(at);
            }
        }
        if (!has_format) fail("not a PLY file: its header names no format");
    }

    void add_property(const std::vector<std::string>& at) {
        const bool is_list = at[1] == "list" && at.size() == 5;
        const Property property{at.back(), type_of(at[at.size() - 2]),
                                is_list ? type_of(at[2]) : ""};
        if (elements_.empty() || property.type.empty() ||
            (is_list && property.count_type.empty()) || (!is_list && at.size() != 3))
            fail(fmt::format("a property '{}' that is not known", at.back()));
        elements_.back().properties.push_back(property);
    }

    void read_row(const Element& element) {
        std::array<double, 3> point{NAN, NAN, NAN};
        for (const auto& property : element.properties) {
            if (!property.count_type.empty()) {
                read_list(property, element.name == "face");
                continue;
            }
            const double value = number(property.type);
            if (property.name.size() == 1 && property.name[0] >= 'x' && property.name[0] <= 'z')
                point[static_cast<size_t>(property.name[0] - 'x')] = value;
        }
        if (element.name != "vertex") return;
        for (const double x : point) {
            if (!std::isfinite(static_cast<float>(x))) fail("a vertex without finite x, y, z");
            vertices_.push_back(x);
        }
    }

    void read_list(const Property& property, bool is_face) {
        const double count = number(property.count_type);
        if (!(count >= 0 && count <= static_cast<double>(rest_.size())))
            fail("cut off: a list is longer than the file");
        std::vector<int64_t> corners;
        for (int64_t i = 0; i < static_cast<int64_t>(count); ++i) {
            const double corner = number(property.type);
            corners.push_back(corner >= 0 && corner < 9e15 ? static_cast<int64_t>(corner) : -1);
        }
        const bool wanted =
            is_face && (property.name == "vertex_indices" || property.name == "vertex_index");
        for (size_t k = 2; wanted && k < corners.size(); ++k)
            faces_.insert(faces_.end(), {corners[0], corners[k - 1], corners[k]});
    }

    template <class T>
    double binary() {
        if (rest_.size() < sizeof(T)) fail("cut off: values are missing");
        std::array<char, sizeof(T)> bytes;
        std::copy_n(rest_.data(), sizeof(T), bytes.data());
        if (format_ == Format::kBig) std::reverse(bytes.begin(), bytes.end());
        T value;
        std::memcpy(&value, bytes.data(), sizeof(T));
        rest_.remove_prefix(sizeof(T));
        return static_cast<double>(value);
    }

    double number(const std::string& type) {
        if (format_ == Format::kAscii) return ascii();
        if (type == "i1") return binary<int8_t>();
        if (type == "u1") return binary<uint8_t>();
        if (type == "i2") return binary<int16_t>();
        if (type == "u2") return binary<uint16_t>();
        if (type == "i4") return binary<int32_t>();
        if (type == "u4") return binary<uint32_t>();
        return type == "f4" ? binary<float>() : binary<double>();
    }

    double ascii() {
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

    std::string_view rest_;
    std::string what_;
    Format format_ = Format::kAscii;
    std::vector<Element> elements_;
    std::vector<double> vertices_;
    std::vector<int64_t> faces_;
};

}  // namespace

Mesh read_ply(const std::filesystem::path& file) {
    const auto bytes = read_whole(file);
    return PlyReader(bytes, file.string()).read();
}

}  // namespace fmgs
