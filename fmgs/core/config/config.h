#pragma once
/// Configuration: plain option structs with defaults, read in layers and dumped, all from one
/// `visit` per struct.
///
///   struct Options {
///       int64_t steps = 1500;
///       GridOptions grid;
///       std::map<std::string, FieldOptions> fields;
///       template <class V>
///       void visit(V& v) {
///           v("steps", steps, Range::at_least(0), "training steps");
///           v.group("grid", grid);
///           v.groups("fields", fields, "by name");
///       }
///   };
///
/// What v is asked to read:
///   v("key", field, "meaning")        a bool, int64_t, double, std::string, Schedule,
///                                     std::vector<std::string>, or an optional one
///   v("key", number, range, "…")      a number, or a schedule of numbers, with bounds
///   v.path("root", root, "…")         a std::string that is a path
///   v.group("grid", grid)             a nested struct
///   v.groups("fields", map, "…")      a map of structs
///   v.others(map)                     a map of structs: all keys but those above it
///   v.renamed("step_count", "steps")  an old key: refused, the new one named
#include <fmgs/core/config/range.h>
#include <fmgs/core/config/schedule.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace fmgs {

namespace detail {

using OptionSlot = std::variant<bool*, int64_t*, double*, std::string*, std::vector<std::string>*,
                                std::optional<std::vector<std::string>>*, Schedule*>;

/// A field, or a struct whose further keys may be entries of a map, pointing into the options it
/// was made from.
struct OptionNode {
    enum class Kind { value, path, group };

    Kind kind = Kind::group;
    std::string key, doc;
    OptionSlot slot;                             ///< of a value or path
    Range range;                                 ///< of numbers
    std::vector<OptionNode> children;            ///< fields of a group in order, then entries
    std::map<std::string, std::string> renamed;  ///< keys of earlier versions → their names now
    bool is_entry = false;                       ///< of the map that `others` or `groups` named
    std::shared_ptr<OptionNode> sample;  ///< with a map: an entry with its struct's defaults
    std::function<OptionNode(const std::string&)> insert;  ///< with a map: adds an entry
    std::function<void(const std::string&)> erase;         ///< with a map: removes an entry
    std::shared_ptr<void> owner;  ///< of a sample: the struct that it points into

    const OptionNode* find(const std::string& name) const;
    OptionNode* find(const std::string& name);
};

template <class T>
OptionNode option_tree(T& options);

/// The V of visit(): writes down what it meets.
class OptionVisitor {
  public:
    explicit OptionVisitor(OptionNode& parent) : parent_(parent) {}

    template <class F>
    void operator()(const std::string& key, F& field, const std::string& doc = "") {
        add(OptionNode::Kind::value, key, doc).slot = &field;
    }
    template <class F>
    void operator()(const std::string& key, F& field, const Range& range,
                    const std::string& doc = "") {
        auto& node = add(OptionNode::Kind::value, key, doc);
        node.slot = &field;
        node.range = range;
    }
    void path(const std::string& key, std::string& field, const std::string& doc = "") {
        add(OptionNode::Kind::path, key, doc).slot = &field;
    }
    template <class Sub>
    void group(const std::string& key, Sub& sub, const std::string& doc = "") {
        OptionVisitor inner(add(OptionNode::Kind::group, key, doc));
        sub.visit(inner);
    }
    template <class Sub>
    void groups(const std::string& key, std::map<std::string, Sub>& map,
                const std::string& doc = "") {
        OptionVisitor(add(OptionNode::Kind::group, key, doc)).others(map);
    }
    /// Comes last in a visit: every key of the struct that was not named before it is an entry of
    /// the map.
    template <class Sub>
    void others(std::map<std::string, Sub>& map) {
        auto make = [&map](const std::string& name) {
            OptionNode entry = option_tree(map[name]);
            entry.key = name;
            entry.is_entry = true;
            return entry;
        };
        for (auto& [name, sub] : map) parent_.children.push_back(make(name));
        parent_.insert = make;
        parent_.erase = [&map](const std::string& name) { map.erase(name); };
        auto defaults = std::make_shared<Sub>();
        parent_.sample = std::make_shared<OptionNode>(option_tree(*defaults));
        parent_.sample->owner = defaults;
    }

    /// A key of an earlier version, of this struct or ("map.key") of one of its maps. `key` counts
    /// from this struct, and so may lie deeper.
    void renamed(const std::string& old_key, const std::string& key);

  private:
    OptionNode& add(OptionNode::Kind kind, const std::string& key, const std::string& doc);

    OptionNode& parent_;
};

template <class T>
OptionNode option_tree(T& options) {
    OptionNode root;
    OptionVisitor visitor(root);
    options.visit(visitor);
    return root;
}

std::string dump(const OptionNode& options, const OptionNode& defaults, bool with_docs);
std::string markdown(const OptionNode& options);
std::string value_text(const OptionNode& node);
void check_ranges(const OptionNode& options, const std::string& path);
void flatten(const OptionNode& options, const std::string& path,
             std::map<std::string, std::string>& out);

}  // namespace detail

/// Error "PATH.key: expected …, got …" for the first number of a struct, or of one inside it, that
/// is out of its range. Reading a configuration does this; so does whatever is made from options in
/// C++.
template <class T>
void check_ranges(T options, const std::string& path) {
    detail::check_ranges(detail::option_tree(options), path);
}

/// The newest version of a configuration file's keys that is read.
inline constexpr int64_t kConfigFormat = 1;

/// Layers of settings: files, then arguments, each over what came before. Maps merge, lists
/// replace.
class Config {
  public:
    struct Layer;  // of the .cpp alone
    Config();
    ~Config();
    Config(const Config&);
    Config& operator=(const Config&);

    /// A YAML file. Error, with file and line: missing, not YAML, or of a newer format: a file may
    /// give the version of its keys as `format` (none: 1).
    void add_file(const std::string& file);
    /// The text of such a file that is called `name`. Its relative paths count from the working
    /// directory.
    void add_text(const std::string& yaml, const std::string& name);
    /// "key.path=value". Text and paths are taken as they stand; other values are YAML, so that
    /// lists and maps work, too. Paths count from the working directory.
    void add_argument(const std::string& text);

    /// Applies all layers in order to one struct that holds every key. Error, with file and line
    /// (or the argument): a key that is not there (with the nearest one that is) or given twice, a
    /// value of another type, not finite, out of its range, or a broken schedule. Entries of a map
    /// of structs: a new name starts from the struct's defaults, `name: null` removes the entry. A
    /// key of an earlier version is refused and its new name said. Paths come out absolute.
    /// `options` is untouched after an Error.
    template <class T>
    void read(T& options) const {
        T result = options;
        auto tree = detail::option_tree(result);
        apply(tree);
        options = std::move(result);
    }

  private:
    void apply(detail::OptionNode& options) const;
    void add_layer(const std::string& yaml, const std::string& name, const std::string& base);

    std::vector<std::shared_ptr<const Layer>> layers_;
};

/// The effective configuration as YAML. Reading it back gives the same struct bit for bit.
/// `with_docs` adds each field's description as a comment: configs/default.yaml.
template <class T>
std::string dump_yaml(T options, bool with_docs = false) {
    T defaults;
    return detail::dump(detail::option_tree(options), detail::option_tree(defaults), with_docs);
}

/// Every key with its value as YAML, to compare two structs.
template <class T>
std::map<std::string, std::string> flattened(T options) {
    std::map<std::string, std::string> out;
    detail::flatten(detail::option_tree(options), "", out);
    return out;
}

/// A table of all keys with type, default and description: docs/options.md.
template <class T>
std::string options_markdown(T options) {
    return detail::markdown(detail::option_tree(options));
}

}  // namespace fmgs
