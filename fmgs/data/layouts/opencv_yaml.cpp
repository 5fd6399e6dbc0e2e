#include <fmgs/data/layouts/opencv_yaml.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace fmgs {

namespace {

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(" \t\r\n\"'");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r\n\"'") - first + 1);
}

double number(std::string_view text, const std::string& where) {
    double value = 0;
    if (text.ends_with('.')) text.remove_suffix(1);  // OpenCV writes "1."
    if (text.starts_with('+')) text.remove_prefix(1);
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
        throw Error(fmt::format("{}: expected a number, got '{}'", where, text));
    return value;
}

/// The text of one top-level key.
struct Block {
    std::string_view key, body;
};

// "KEY:" at the beginning of a line, up to the next one.
std::vector<Block> blocks(std::string_view text) {
    std::vector<Block> out;
    for (size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        const auto line = text.substr(at, end - at);
        const auto colon = line.find(':');
        const bool is_key = !line.empty() && colon != std::string_view::npos &&
                            std::string_view(" \t-%#\r").find(line[0]) == std::string_view::npos;
        if (is_key) {
            out.push_back({trimmed(line.substr(0, colon)), text.substr(at + colon + 1)});
            if (out.size() > 1) {
                auto& before = out[out.size() - 2];
                before.body = before.body.substr(
                    0, static_cast<size_t>(text.data() + at - before.body.data()));
            }
        }
        at = end + 1;
    }
    return out;
}

// "NAME: value" inside a block.
std::string_view entry(std::string_view body, std::string_view name) {
    for (size_t at = body.find(name); at != std::string_view::npos; at = body.find(name, at + 1)) {
        const auto after = body.substr(at + name.size());
        const bool starts =
            at == 0 || std::string_view(" \n\t").find(body[at - 1]) != std::string_view::npos;
        if (starts && after.starts_with(':')) return after.substr(1);
    }
    return {};
}

std::vector<double> matrix(std::string_view body, const std::string& where) {
    auto data = entry(body, "data");
    const auto open = data.find('['), close = data.find(']');
    if (open == std::string_view::npos || close == std::string_view::npos || close < open)
        throw Error(fmt::format("{}: expected data: [ … ]", where));
    data = data.substr(open + 1, close - open - 1);
    std::vector<double> values;
    while (!trimmed(data).empty()) {
        const auto comma = std::min(data.find(','), data.size());
        values.push_back(number(trimmed(data.substr(0, comma)), where));
        data.remove_prefix(std::min(comma + 1, data.size()));
    }
    const auto size = [&](const char* name) {
        const auto text = entry(body, name);
        return number(trimmed(text.substr(0, text.find('\n'))), where + ": " + name);
    };
    if (size("rows") * size("cols") != static_cast<double>(values.size()))
        throw Error(fmt::format("{}: expected {} x {} numbers, got {}", where, size("rows"),
                                size("cols"), values.size()));
    return values;
}

}  // namespace

OpencvYaml parse_opencv_yaml(std::string_view text, const std::string& what) {
    OpencvYaml out;
    out.what = what;
    for (const auto& [key, body] : blocks(text)) {
        const auto where = fmt::format("{}: {}", what, key);
        if (body.find("!!opencv-matrix") != std::string_view::npos) {
            out.matrices[std::string(key)] = matrix(body, where);
        } else if (key == "names") {
            // - "01" in lines, or [ "01", "02" ]
            std::string list(body);
            for (char& c : list) {
                if (c == '[' || c == ']' || c == ',' || c == '\r') c = '\n';
            }
            for (size_t at = 0; at < list.size();) {
                const auto end = std::min(list.find('\n', at), list.size());
                auto word = trimmed(std::string_view(list).substr(at, end - at));
                if (word.starts_with('-')) word = trimmed(word.substr(1));
                if (!word.empty()) out.names.emplace_back(word);
                at = end + 1;
            }
        }
    }
    if (out.names.empty())
        throw Error(fmt::format("{}: expected a list 'names' with the cameras", what));
    return out;
}

OpencvYaml read_opencv_yaml(const std::filesystem::path& file) {
    return parse_opencv_yaml(read_text(file), file.string());
}

}  // namespace fmgs
