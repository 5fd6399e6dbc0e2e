/// Options as text: YAML and a Markdown table. (Written by hand: YAML emitters do not keep doubles
/// short and exact.)
#include <fmgs/core/check.h>
#include <fmgs/core/config/option_node.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

namespace fmgs::detail {

namespace {

using Kind = OptionNode::Kind;

std::string number_text(double value) {
    std::array<char, 64> buffer;
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
    return {buffer.data(), end};
}

/// A YAML scalar that reads back as this text.
std::string quoted(const std::string& text) {
    static const std::set<std::string> kReserved = {
        "null", "Null", "NULL", "true", "false", "True", "False", "TRUE", "FALSE",
        "yes",  "no",   "Yes",  "No",   "on",    "off",  "On",    "Off"};
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '/' || c == '.' || c == '-' || c == '+';
    };
    const bool starts_well =
        !text.empty() && plain(text[0]) && std::string("-+.").find(text[0]) == std::string::npos;
    if (starts_well && std::all_of(text.begin(), text.end(), plain) && !kReserved.count(text))
        return text;
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += std::string("\\") + c;
        } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        } else {
            out += c;
        }
    }
    return out + "\"";
}

struct ValueText {
    std::string operator()(const bool* v) const { return *v ? "true" : "false"; }
    std::string operator()(const int64_t* v) const { return std::to_string(*v); }
    std::string operator()(const double* v) const { return number_text(*v); }
    std::string operator()(const std::string* v) const { return quoted(*v); }
    std::string operator()(const std::vector<std::string>* v) const {
        std::string out;
        for (const auto& item : *v) out += (out.empty() ? "" : ", ") + quoted(item);
        return "[" + out + "]";
    }
    std::string operator()(const std::optional<std::vector<std::string>>* v) const {
        return v->has_value() ? (*this)(&v->value()) : "null";
    }
    std::string operator()(const Schedule* v) const {
        if (v->pieces().size() == 1) return number_text(v->pieces()[0].second);
        std::string out;
        for (const auto& [at, value] : v->pieces()) {
            out += (out.empty() ? "[" : ", [") + number_text(at) + ", " + number_text(value) + "]";
        }
        return "[" + out + "]";
    }
};

struct TypeName {
    bool path;
    std::string operator()(const bool*) const { return "true, false"; }
    std::string operator()(const int64_t*) const { return "integer"; }
    std::string operator()(const double*) const { return "number"; }
    std::string operator()(const std::string*) const { return path ? "path" : "text"; }
    std::string operator()(const std::vector<std::string>*) const { return "list"; }
    std::string operator()(const std::optional<std::vector<std::string>>*) const {
        return "list or null";
    }
    std::string operator()(const Schedule*) const { return "number or schedule"; }
};

std::string type_text(const OptionNode& node) {
    const auto type = std::visit(TypeName{node.kind == Kind::path}, node.slot);
    const auto range = node.range.text();
    return range.empty() ? type : type + " " + range;
}
bool is_leaf(const OptionNode& node) { return node.kind == Kind::value || node.kind == Kind::path; }

/// Children of `node`. `defaults`: what a reader starts from; entries of a map that are missing
/// here are written as removed.
void dump_children(const OptionNode& node, const OptionNode* defaults, bool with_docs, int depth,
                   std::string& out) {
    const std::string indent(static_cast<size_t>(2 * depth), ' ');
    for (const auto& child : node.children) {
        const std::string note = with_docs && !child.doc.empty() ? "  # " + child.doc : "";
        const std::string head = indent + quoted(child.key) + ":";
        if (is_leaf(child)) {
            out += head + " " + value_text(child) + note + "\n";
            continue;
        }
        const OptionNode* start = defaults ? defaults->find(child.key) : nullptr;
        if (!start && child.is_entry) start = node.sample.get();
        std::string inner;
        dump_children(child, start, with_docs, depth + 1, inner);
        out += head + (inner.empty() ? " {}" : "") + note + "\n" + inner;
    }
    if (!defaults) return;
    for (const auto& entry : defaults->children) {
        if (entry.is_entry && !node.find(entry.key)) out += indent + quoted(entry.key) + ": null\n";
    }
}

/// "|" would end a table cell.
std::string cell(std::string text) {
    for (size_t i = text.find('|'); i != std::string::npos; i = text.find('|', i + 2))
        text.insert(i, "\\");
    return text;
}

void row(const OptionNode& leaf, const std::string& path, std::string& out) {
    out += fmt::format("| `{}` | {} | `{}` | {} |\n", path, type_text(leaf), cell(value_text(leaf)),
                       cell(leaf.doc));
}

/// Entries of a map of structs show what differs from their struct's defaults.
void changed_rows(const OptionNode& node, const OptionNode* base, const std::string& path,
                  std::string& out) {
    for (const auto& child : node.children) {
        const auto* same = base ? base->find(child.key) : nullptr;
        const std::string full = path + "." + child.key;
        if (!is_leaf(child)) {
            changed_rows(child, same, full, out);
        } else if (!same || value_text(*same) != value_text(child)) {
            row(child, full, out);
        }
    }
}

/// Fields in order; then, where there is a map, what an entry has and which there are.
void rows(const OptionNode& node, const std::string& path, std::string& out) {
    std::string names;
    for (const auto& child : node.children) {
        const std::string full = join(path, child.key);
        if (is_leaf(child)) {
            row(child, full, out);
        } else if (child.is_entry) {
            names += (names.empty() ? "" : ", ") + child.key;
        } else {
            rows(child, full, out);
        }
    }
    if (!node.sample) return;
    out += fmt::format("| `{}` | map | `{{{}}}` | {} |\n", path, names, cell(node.doc));
    rows(*node.sample, path + ".<name>", out);
    for (const auto& child : node.children) {
        if (child.is_entry) changed_rows(child, node.sample.get(), path + "." + child.key, out);
    }
}

}  // namespace

std::string value_text(const OptionNode& node) { return std::visit(ValueText{}, node.slot); }

void flatten(const OptionNode& options, const std::string& path,
             std::map<std::string, std::string>& out) {
    for (const auto& child : options.children) {
        const auto key = join(path, child.key);
        if (is_leaf(child)) out[key] = value_text(child);
        flatten(child, key, out);
    }
}

std::string dump(const OptionNode& options, const OptionNode& defaults, bool with_docs) {
    std::string out;
    dump_children(options, &defaults, with_docs, 0, out);
    return out;
}

std::string markdown(const OptionNode& options) {
    std::string out = "| key | type | default | meaning |\n|---|---|---|---|\n";
    rows(options, "", out);
    return out;
}

}  // namespace fmgs::detail
