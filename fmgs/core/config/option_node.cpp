#include <fmgs/core/config/option_node.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace fmgs {

using detail::OptionNode;

const OptionNode* OptionNode::find(const std::string& name) const {
    for (const auto& child : children) {
        if (child.key == name) return &child;
    }
    return nullptr;
}

OptionNode* OptionNode::find(const std::string& name) {
    return const_cast<OptionNode*>(std::as_const(*this).find(name));
}

OptionNode& detail::OptionVisitor::add(OptionNode::Kind kind, const std::string& key,
                                       const std::string& doc) {
    OptionNode& node = parent_.children.emplace_back();
    node.kind = kind;
    node.key = key;
    node.doc = doc;
    return node;
}

void detail::OptionVisitor::renamed(const std::string& old_key, const std::string& key) {
    const auto dot = old_key.find('.');
    if (dot == std::string::npos) {
        parent_.renamed[old_key] = key;
        return;
    }
    auto* map = parent_.find(old_key.substr(0, dot));
    if (!map) throw Error(fmt::format("renamed: there is no map '{}'", old_key.substr(0, dot)));
    map->renamed[old_key.substr(dot + 1)] = key.substr(dot + 1);
}

std::string detail::join(const std::string& path, const std::string& key) {
    return path.empty() ? key : path + "." + key;
}

std::string Range::text() const {
    const bool from = std::isfinite(low), to = std::isfinite(high);
    if (from && to && low_is_in && high_is_in) return fmt::format("from {} to {}", low, high);
    if (from && to && !low_is_in && !high_is_in) return fmt::format("between {} and {}", low, high);
    std::string text;
    if (from) text = fmt::format("{} {}", low_is_in ? "at least" : "more than", low);
    if (from && to) text += " and ";
    if (to) text += fmt::format("{} {}", high_is_in ? "at most" : "less than", high);
    return text;
}

void detail::check_ranges(const OptionNode& options, const std::string& path) {
    for (const auto& child : options.children) {
        const auto key = join(path, child.key);
        check_ranges(child, key);
        if (child.kind == OptionNode::Kind::value && !in_range(child))
            throw Error(fmt::format("{}: expected a number {}, got {}", key, child.range.text(),
                                    value_text(child)));
    }
}

bool detail::in_range(const OptionNode& node) {
    const auto& range = node.range;
    if (const auto* integer = std::get_if<int64_t*>(&node.slot))
        return range.holds(static_cast<double>(**integer));
    if (const auto* number = std::get_if<double*>(&node.slot)) return range.holds(**number);
    const auto* schedule = std::get_if<Schedule*>(&node.slot);
    if (!schedule) return true;
    const auto& pieces = (*schedule)->pieces();
    return std::all_of(pieces.begin(), pieces.end(),
                       [&range](const auto& piece) { return range.holds(piece.second); });
}

}  // namespace fmgs
