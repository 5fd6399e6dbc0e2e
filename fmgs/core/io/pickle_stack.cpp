/// What PickleMachine's opcodes do to its stack and its memo.
#include <fmgs/core/io/pickle_machine.h>

namespace fmgs::detail {
namespace {

/// Bounds of what a file may make this process hold: some gigabytes at the very most.
constexpr size_t kMostPushed = size_t{1} << 25;
constexpr uint64_t kMostRemembered = uint64_t{1} << 25;

}  // namespace

NodeId PickleMachine::add(PickleNode node) {
    out_.nodes.push_back(node);
    return static_cast<NodeId>(out_.nodes.size() - 1);
}

void PickleMachine::push(NodeId id) {
    if (++pushed_ > kMostPushed) bytes_.fail("more than {} values", kMostPushed);
    stack_.push_back(id);
}

void PickleMachine::push_text(Kind kind, std::string_view text) {
    PickleNode node;
    node.kind = kind;
    node.text = text;
    push(node);
}

void PickleMachine::push_owned(Kind kind, std::string text) {
    out_.unescaped.push_back(std::move(text));
    push_text(kind, out_.unescaped.back());
}

void PickleMachine::push_integer(Kind kind, int64_t integer) {
    PickleNode node;
    node.kind = kind;
    node.integer = integer;
    push(node);
}

void PickleMachine::push_parts(Kind kind, std::vector<NodeId> parts) {
    PickleNode node;
    node.kind = kind;
    if (!parts.empty()) {
        node.parts = static_cast<uint32_t>(out_.parts.size());
        out_.parts.push_back(std::move(parts));
    }
    push(node);
}

NodeId PickleMachine::top() const {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) bytes_.fail("a value is missing");
    return stack_.back();
}

NodeId PickleMachine::pop() {
    const auto id = top();
    stack_.pop_back();
    return id;
}

std::vector<NodeId> PickleMachine::pop_mark() {
    if (marks_.empty()) bytes_.fail("a mark is missing");
    const auto from = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<NodeId> items(from, stack_.end());
    stack_.erase(from, stack_.end());
    marks_.pop_back();
    return items;
}

std::vector<NodeId>& PickleMachine::own_parts(NodeId id) {
    auto& node = out_.nodes[id];
    if (node.parts == 0) {
        node.parts = static_cast<uint32_t>(out_.parts.size());
        out_.parts.emplace_back();
    }
    return out_.parts[node.parts];
}

void PickleMachine::append(NodeId to, const std::vector<NodeId>& items, Kind kind) {
    if (!out_.is(to, kind)) bytes_.fail("items of what is no list or set");
    auto& parts = own_parts(to);
    parts.insert(parts.end(), items.begin(), items.end());
}

void PickleMachine::set_items(NodeId to, const std::vector<NodeId>& items) {
    if (!out_.is(to, Kind::kDict) && !out_.is(to, Kind::kObject))
        bytes_.fail("entries of what is no dictionary");
    if (items.size() % 2) bytes_.fail("a key without a value");
    auto& parts = own_parts(to);
    parts.insert(parts.end(), items.begin(), items.end());
}

void PickleMachine::put(uint64_t index) {
    if (index >= kMostRemembered) bytes_.fail("more than {} values to remember", kMostRemembered);
    if (index >= memo_.size()) memo_.resize(index + 1, kNoNode);
    remembered_ += memo_[index] == kNoNode;
    memo_[index] = top();
}

void PickleMachine::get(uint64_t index) {
    if (index >= memo_.size() || memo_[index] == kNoNode)
        bytes_.fail("it refers to value {}, which is not there", index);
    push(memo_[index]);
}

}  // namespace fmgs::detail
