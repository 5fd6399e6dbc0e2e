#include <fmgs/core/config/config.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/option_node.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/names.h>
#include <fmt/format.h>
#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <sstream>

namespace fmgs {

namespace fs = std::filesystem;
using detail::in_range;
using detail::join;
using detail::OptionNode;
using Kind = OptionNode::Kind;

struct Config::Layer {
    std::string name;  ///< of the file, or "argument 'key=value'"
    bool is_file;
    fs::path base;  ///< what its relative paths count from
    YAML::Node root;
    YAML::Node value = {};    ///< of an argument: what stands behind the '='
    std::string text = {};    ///< the same as it was given; text and paths are not read as YAML
    std::string broken = {};  ///< why it is not YAML

    /// Is this node all that an argument gives?
    bool is_argument(const YAML::Node& node) const { return !is_file && node.is(value); }
    std::string where(const YAML::Node& node) const {
        return is_file ? fmt::format("{}:{}", name, node.Mark().line + 1) : name;
    }
};

namespace {

// YAML reads no plain key past 1,024 characters; an escape takes four
constexpr size_t kLongestKey = 200;

/// Hears where documents start, and refuses the second.
class OneDocument : public YAML::EventHandler {
    using Mark = YAML::Mark;
    using Text = std::string;
    using Anchor = YAML::anchor_t;
    using Style = YAML::EmitterStyle::value;

    bool started_ = false;

    void OnDocumentStart(const Mark& mark) override {
        if (started_) throw YAML::ParserException(mark, "expected one document");
        started_ = true;
    }
    void OnDocumentEnd() override {}
    void OnNull(const Mark&, Anchor) override {}
    void OnAlias(const Mark&, Anchor) override {}
    void OnScalar(const Mark&, const Text&, Anchor, const Text&) override {}
    void OnSequenceStart(const Mark&, const Text&, Anchor, Style) override {}
    void OnSequenceEnd() override {}
    void OnMapStart(const Mark&, const Text&, Anchor, Style) override {}
    void OnMapEnd() override {}
};

/// The one document of a text. yaml-cpp's Load is silent about what follows the first, and its
/// LoadAll never ends where a document begins with ','. Both call what is nested too deep for them
/// a "bad file".
YAML::Node document(const std::string& text) {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    OneDocument events;
    try {
        while (parser.HandleNextDocument(events)) {
        }
    } catch (const YAML::DeepRecursion& e) {
        throw YAML::ParserException(e.mark, fmt::format("nested {} deep", e.depth()));
    }
    return YAML::Load(text);
}

void collect_keys(const OptionNode& node, const std::string& path, std::vector<std::string>& keys) {
    for (const auto& child : node.children) {
        const std::string full = join(path, child.key);
        keys.push_back(full);
        collect_keys(child, full, keys);
    }
}

/// The valid key nearest to `path.key`: a sibling, unless the same word stands elsewhere in the
/// tree.
std::string nearest_key(const OptionNode& root, const OptionNode& group, const std::string& path,
                        const std::string& key) {
    std::string best;
    size_t least = SIZE_MAX;
    for (const auto& child : group.children) {
        const size_t distance = detail::edit_distance(key, child.key);
        if (distance < least) least = distance, best = join(path, child.key);
    }
    if (least <= std::max<size_t>(1, key.size() / 3)) return best;
    std::vector<std::string> keys;
    collect_keys(root, "", keys);
    for (const auto& candidate : keys) {
        if (candidate.substr(candidate.rfind('.') + 1) == key) return candidate;
    }
    return best;
}

/// What came, for messages.
std::string came(const YAML::Node& node) {
    if (node.IsNull()) return "nothing (null)";
    if (node.IsSequence()) return "a list";
    if (node.IsMap()) return "a map";
    return (node.Tag() == "!" ? "the text '" : "'") + node.Scalar() + "'";
}

/// Puts a YAML value into a field; throws what was expected as text.
struct Expected {
    std::string text;
};

/// An unquoted scalar: a quoted "1" is text.
const std::string& plain(const YAML::Node& node, const char* expected) {
    if (!node.IsScalar() || node.Tag() == "!") throw Expected{expected};
    return node.Scalar();
}

template <class Number>
Number number(const YAML::Node& node, const char* expected) {
    const std::string& text = plain(node, expected);
    Number value{};
    const char* end = text.data() + text.size();
    const char* begin = text.data() + (text.size() > 1 && text[0] == '+' && text[1] != '-');
    const auto [stop, error] = std::from_chars(begin, end, value);
    if (error != std::errc() || stop != end) throw Expected{expected};
    return value;
}

double finite(const YAML::Node& node, const char* expected = "a finite number") {
    const auto value = number<double>(node, expected);
    if (!std::isfinite(value)) throw Expected{expected};
    return value;
}

std::string text(const YAML::Node& node) {
    if (!node.IsScalar()) throw Expected{"text"};
    return node.Scalar();
}

std::vector<std::string> texts(const YAML::Node& node) {
    if (!node.IsSequence()) throw Expected{"a list of words, as in [a, b]"};
    std::vector<std::string> out;
    for (const auto& item : node) out.push_back(text(item));
    return out;
}

Schedule schedule(const YAML::Node& node) {
    static constexpr const char* kForm =
        "a finite number or a schedule [[at, value], …] with `at` in [0,1], rising, the first 0";
    if (node.IsScalar()) return finite(node, kForm);
    if (!node.IsSequence()) throw Expected{kForm};
    Schedule::Pieces pieces;
    for (const auto& piece : node) {
        if (!piece.IsSequence() || piece.size() != 2) throw Expected{kForm};
        pieces.emplace_back(finite(piece[0], kForm), finite(piece[1], kForm));
    }
    try {
        return pieces;
    } catch (const Error&) {
        throw Expected{kForm};
    }
}

struct Assign {
    const YAML::Node& node;

    void operator()(bool* field) const {
        const std::string& word = plain(node, "true or false");
        if (word != "true" && word != "false") throw Expected{"true or false"};
        *field = word == "true";
    }
    void operator()(int64_t* field) const { *field = number<int64_t>(node, "an integer"); }
    void operator()(double* field) const { *field = finite(node); }
    void operator()(std::string* field) const { *field = text(node); }
    void operator()(std::vector<std::string>* field) const { *field = texts(node); }
    void operator()(std::optional<std::vector<std::string>>* field) const {
        if (node.IsNull()) {
            field->reset();
        } else {
            *field = texts(node);
        }
    }
    void operator()(Schedule* field) const { *field = schedule(node); }
};

/// "~/runs" is in the home folder wherever it stands: a shell does not expand it in
/// "output=~/runs", nor anybody in a file.
std::string absolute(const fs::path& base, std::string path) {
    if (path.empty()) return path;
    const char* home = std::getenv("HOME");
    if (home && (path == "~" || path.starts_with("~/"))) path.replace(0, 1, home);
    auto full = (base / path).lexically_normal().string();
    while (full.size() > 1 && full.back() == '/') full.pop_back();
    return full;
}

/// One walk of a layer over the options.
class Reader {
  public:
    Reader(OptionNode& root, const Config::Layer& layer) : root_(root), layer_(layer) {}

    void group(OptionNode& options, const YAML::Node& yaml, const std::string& path) const {
        if (yaml.IsNull()) return;
        if (!yaml.IsMap()) {
            throw Error(fmt::format("{}: {}: expected a map of keys, got {}", layer_.where(yaml),
                                    path.empty() ? "the file" : path, came(yaml)));
        }
        std::set<std::string> seen;
        for (const auto& item : yaml) {
            if (!item.first.IsScalar())
                throw Error(fmt::format("{}: expected a word as key, got {}",
                                        layer_.where(item.first), came(item.first)));
            const std::string key = item.first.Scalar();
            if (key.size() > kLongestKey)
                throw Error(fmt::format("{}: a key of {} bytes; at most {} are read",
                                        layer_.where(item.first), key.size(), kLongestKey));
            const std::string full = join(path, key);
            if (!seen.insert(key).second)
                throw Error(
                    fmt::format("{}: key '{}' is given twice", layer_.where(item.first), full));
            child(options, item, key, full, path);
        }
    }

  private:
    void child(OptionNode& options, const YAML::detail::iterator_value& item,
               const std::string& key, const std::string& full, const std::string& path) const {
        const YAML::Node& yaml = item.second;
        OptionNode* target = options.find(key);
        if (const auto now = options.renamed.find(key); now != options.renamed.end()) {
            throw Error(fmt::format("{}: '{}' is now called '{}'", layer_.where(item.first), full,
                                    join(path, now->second)));
        }
        const bool has_entries = static_cast<bool>(options.insert);
        if (has_entries && yaml.IsNull() && (!target || target->kind == Kind::group)) {
            if (!target || !target->is_entry)
                throw Error(fmt::format("{}: {}: null removes an entry, but {}",
                                        layer_.where(item.first), full,
                                        target ? "this one is always there"
                                               : "there is none; write {} for its defaults"));
            options.erase(key);
            options.children.erase(options.children.begin() + (target - options.children.data()));
            return;
        }
        if (!target && has_entries) {
            options.children.push_back(options.insert(key));
            target = &options.children.back();
        }
        if (!target) {
            throw Error(fmt::format("{}: unknown key '{}'; the nearest valid key is '{}'",
                                    layer_.where(item.first), full,
                                    nearest_key(root_, options, path, key)));
        }
        auto* const words =
            target->kind == Kind::group ? nullptr : std::get_if<std::string*>(&target->slot);
        if (words && layer_.is_argument(yaml)) {
            **words = layer_.text;
        } else {
            if (!layer_.broken.empty())
                throw Error(
                    fmt::format("{}: the value is not valid YAML: {}", layer_.name, layer_.broken));
            if (target->kind == Kind::group) return group(*target, yaml, full);
            assign(*target, yaml, full);
        }
        if (target->kind == Kind::path) **words = absolute(layer_.base, **words);
    }

    void assign(const OptionNode& target, const YAML::Node& yaml, const std::string& full) const {
        try {
            std::visit(Assign{yaml}, target.slot);
            if (!in_range(target)) throw Expected{"a number " + target.range.text()};
        } catch (const Expected& expected) {
            throw Error(fmt::format("{}: {}: expected {}, got {}", layer_.where(yaml), full,
                                    expected.text, came(yaml)));
        }
    }

    OptionNode& root_;
    const Config::Layer& layer_;
};

/// Defaults that are relative paths count from the working directory.
void finish_paths(const OptionNode& node) {
    for (const auto& child : node.children) finish_paths(child);
    if (node.kind != Kind::path) return;
    auto& field = *std::get<std::string*>(node.slot);
    field = absolute(fs::current_path(), field);
}

}  // namespace

Config::Config() = default;
Config::~Config() = default;
Config::Config(const Config&) = default;
Config& Config::operator=(const Config&) = default;

void Config::add_file(const std::string& file) {
    const auto path = fs::absolute(file);
    if (!fs::is_regular_file(path))
        throw Error(fmt::format("{}: there is no such configuration file", file));
    add_layer(read_whole(path), file, path.parent_path());
}

void Config::add_text(const std::string& yaml, const std::string& name) {
    add_layer(yaml, name, fs::current_path());
}

void Config::add_layer(const std::string& yaml, const std::string& name, const std::string& base) {
    YAML::Node root;
    try {
        root = document(yaml);
    } catch (const YAML::Exception& e) {
        throw Error(fmt::format("{}:{}: not valid YAML: {}", name, e.mark.line + 1, e.msg));
    }
    const Layer layer{name, true, base, root};
    if (root.IsMap() && root["format"]) {
        check_format(layer.where(root["format"]), root["format"].as<int64_t>(0), kConfigFormat);
        root.remove("format");
    }
    layers_.push_back(std::make_shared<Layer>(layer));
}

void Config::add_argument(const std::string& text) {
    const std::string name = fmt::format("argument '{}'", text);
    const auto equals = text.find('=');
    if (equals == std::string::npos) throw Error(fmt::format("{}: expected key.path=value", name));
    const std::string value = text.substr(equals + 1);
    YAML::Node node(value);
    std::string broken;
    try {
        if (!value.empty()) node.reset(document(value));
    } catch (const YAML::Exception& e) {
        broken = e.msg;
    }
    if (node.IsNull()) node.reset(YAML::Node(YAML::NodeType::Null));  // of "#x": one that is there
    const YAML::Node given = node;
    std::string path = text.substr(0, equals);
    while (true) {
        const auto dot = path.rfind('.');
        const std::string key = dot == std::string::npos ? path : path.substr(dot + 1);
        if (key.empty())
            throw Error(fmt::format("{}: expected key.path=value, got an empty key", name));
        YAML::Node outer(YAML::NodeType::Map);
        outer[key] = node;
        node.reset(outer);
        if (dot == std::string::npos) break;
        path.resize(dot);
    }
    layers_.push_back(std::make_shared<Layer>(
        Layer{name, false, fs::current_path(), node, given, value, broken}));
}

void Config::apply(OptionNode& options) const {
    for (const auto& layer : layers_) {
        Reader(options, *layer).group(options, layer->root, "");
    }
    finish_paths(options);
}

}  // namespace fmgs
