#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/mesh.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <charconv>
#include <cmath>
#include <string_view>

namespace fmgs {
namespace {

// The next word of a line, taken off its front; empty at the end.
std::string_view next_word(std::string_view& line) {
    const auto begin = line.find_first_not_of(" \t\r");
    if (begin == std::string_view::npos) return line = {};
    const auto end = std::min(line.find_first_of(" \t\r", begin), line.size());
    const auto word = line.substr(begin, end - begin);
    line.remove_prefix(end);
    return word;
}

struct ObjReader {
    std::string name;
    int64_t line = 0;
    std::vector<double> vertices;
    std::vector<int64_t> faces;

    [[noreturn]] void fail(const std::string& expected, std::string_view got) const {
        throw Error(fmt::format("{}:{}: expected {}, got '{}'", name, line, expected, got));
    }

    void vertex(std::string_view text) {
        for (int k = 0; k < 3; ++k) {
            const auto word = next_word(text);
            double value = 0;
            const auto [end, error] =
                std::from_chars(word.data(), word.data() + word.size(), value);
            if (error != std::errc() || end != word.data() + word.size() ||
                !std::isfinite(static_cast<float>(value))) {
                fail("three finite numbers after 'v'", word);
            }
            vertices.push_back(value);
        }
    }

    // "7", "7/1", "7//3", "-1": only the position counts; negative ones count from the last vertex
    // read.
    int64_t corner(std::string_view word) const {
        const auto text = word.substr(0, word.find('/'));
        int64_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (error != std::errc() || end != text.data() + text.size())
            fail("the number of a vertex", word);
        const auto count = static_cast<int64_t>(vertices.size() / 3);
        const int64_t index = value < 0 ? count + value : value - 1;
        if (index < 0 || index >= count)
            fail(fmt::format("the number of one of the {} vertices so far", count), word);
        return index;
    }

    void face(std::string_view text) {
        std::vector<int64_t> polygon;
        for (auto word = next_word(text); !word.empty(); word = next_word(text))
            polygon.push_back(corner(word));
        if (polygon.size() < 3)
            fail("at least three corners after 'f'", std::to_string(polygon.size()));
        for (size_t k = 2; k < polygon.size(); ++k) {
            faces.insert(faces.end(), {polygon[0], polygon[k - 1], polygon[k]});
        }
    }
};

}  // namespace

Mesh read_obj(const std::filesystem::path& file) {
    const auto text = read_whole(file);
    std::string_view rest = text;
    ObjReader reader{file.string(), 0, {}, {}};
    while (!rest.empty()) {
        auto line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        ++reader.line;
        line = line.substr(0, line.find('#'));
        const auto keyword = next_word(line);
        if (keyword == "v") reader.vertex(line);
        if (keyword == "f") reader.face(line);
    }
    if (reader.faces.empty())
        throw Error(fmt::format("{}: expected a mesh, found no face", file.string()));
    return {torch::tensor(reader.vertices, torch::kDouble).view({-1, 3}).to(torch::kFloat),
            torch::tensor(reader.faces, torch::kLong).view({-1, 3})};
}

void write_obj(const std::filesystem::path& file, const Mesh& mesh) {
    check_shape(mesh.vertices, {-1, 3}, "mesh vertices");
    check_shape(mesh.faces, {-1, 3}, "mesh faces");
    // values for a file
    const auto v = mesh.vertices.detach().to(torch::kCPU, torch::kDouble).contiguous();
    const auto f = mesh.faces.to(torch::kCPU, torch::kLong).contiguous();
    std::string text;
    for (int64_t i = 0; i < v.size(0); ++i) {
        const auto* p = v.data_ptr<double>() + 3 * i;
        fmt::format_to(std::back_inserter(text), "v {:.9g} {:.9g} {:.9g}\n", p[0], p[1], p[2]);
    }
    for (int64_t i = 0; i < f.size(0); ++i) {
        const auto* c = f.data_ptr<int64_t>() + 3 * i;
        fmt::format_to(std::back_inserter(text), "f {} {} {}\n", c[0] + 1, c[1] + 1, c[2] + 1);
    }
    write_whole(file, text);
}

}  // namespace fmgs
