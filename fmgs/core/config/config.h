#pragma once
/// Configuration: plain option structs with defaults, read in layers and dumped, all from one
/// `visit` per struct.
///
///   struct Options {
///       int64_t steps = 1500;
///       std::string root;
///       GridOptions grid;
///       std::map<std::string, FieldOptions> fields;
///       template <class V>
///       void visit(V& v) {
///           v("steps", steps, "training steps");       // bool, int64_t, double, std::string,
///           std::vector<std::string>,
///                                                       //
///                                                       std::optional<std::vector<std::string>>,
///                                                       Schedule
///           v.path("root", root, "folder");            // a std::string that is a path
///           v.group("grid", grid);                     // a nested struct
///           v.groups("fields", fields, "by name");     // a map of structs
///           v.others(more);                            // a map of structs: all keys but those
///           above v.renamed("step_count", "steps");          // an old key: refused, the new one
///           named
///       }
///   };
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

}  // namespace detail

/// The newest version of a configuration file's keys that is read.
inline constexpr int64_t kConfigFormat = 1;

/// Layers of settings: files, then arguments, each over what came before. Maps merge, lists
/// replace.
class Config {
  public:
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
    /// "key.path=value"; the value is YAML, so lists and maps work too. Paths count from the
    /// working directory.
    void add_argument(const std::string& text);

    /// Applies all layers in order to one struct that holds every key. Error, with file and line
    /// (or the argument): a key that is not there (with the nearest one that is) or given twice, a
    /// value of another type, not finite, or a broken schedule. Entries of a map of structs: a new
    /// name starts from the struct's defaults, `name: null` removes the entry. A key of an earlier
    /// version is refused and its new name said. Paths come out absolute. `options` is untouched
    /// after an Error.
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

    struct Layer;
    std::vector<std::shared_ptr<const Layer>> layers_;
};

/// The effective configuration as YAML. Reading it back gives the same struct bit for bit.
/// `with_docs` adds each field's description as a comment: configs/default.yaml.
template <class T>
std::string dump_yaml(T options, bool with_docs = false) {
    T defaults;
    return detail::dump(detail::option_tree(options), detail::option_tree(defaults), with_docs);
}

/// A table of all keys with type, default and description: docs/options.md.
template <class T>
std::string options_markdown(T options) {
    return detail::markdown(detail::option_tree(options));
}

}  // namespace fmgs
