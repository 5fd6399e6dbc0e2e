#pragma once
/// The stack machine behind parse_pickle. Not public.
#include <fmgs/core/io/pickle.h>
#include <fmt/format.h>

#include <fmgs/core/check.h>

namespace fmgs::detail {

/// Bytes with a place in them; every read is checked.
class PickleBytes {
  public:
    PickleBytes(std::string_view bytes, const std::string& what) : bytes_(bytes), what_(what) {}

    template <class... Args>
    [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
        throw Error(fmt::format("{}: not a whole pickle: {} (before byte {})", what_,
                                fmt::format(format, std::forward<Args>(args)...), at_));
    }
    size_t at() const { return at_; }
    void skip_to(size_t at) { at_ = at; }
    std::string_view rest() const { return bytes_.substr(at_); }
    std::string_view take(uint64_t count);
    /// Little endian.
    uint64_t number(int bytes);
    /// Up to the next line end, which is taken, too.
    std::string_view line();
    double big_endian_double();
    /// Two's complement of any length. Error when it does not fit 64 bits.
    int64_t long_integer(uint64_t bytes);
    /// Of a line: "12", "12L".
    int64_t integer_of(std::string_view line) const;
    double real_of(std::string_view line) const;

  private:
    std::string_view bytes_;
    const std::string& what_;
    size_t at_ = 0;
};

class PickleMachine {
  public:
    /// Nodes are added to `out`.
    PickleMachine(Pickle& out, std::string_view bytes, const PickleOptions& options)
        : out_(out), bytes_(bytes, out.what), options_(options) {}
    /// Runs up to STOP: the node that is left.
    NodeId run();
    size_t at() const { return bytes_.at(); }

  private:
    using Kind = PickleNode::Kind;

    // Each returns false when the opcode is none of its kind.
    bool take_number(uint8_t opcode);
    bool take_text(uint8_t opcode);
    bool take_container(uint8_t opcode);
    bool take_items(uint8_t opcode);
    bool take_memo(uint8_t opcode);
    bool take_object(uint8_t opcode);
    [[noreturn]] void refuse(uint8_t opcode) const;

    NodeId add(PickleNode node);
    void push(NodeId id);
    void push(PickleNode node) { push(add(node)); }
    void push_text(Kind kind, std::string_view text);
    void push_owned(Kind kind, std::string text);
    void push_integer(Kind kind, int64_t integer);
    void push_parts(Kind kind, std::vector<NodeId> parts);
    NodeId pop();
    NodeId top() const;
    /// What lies above the last mark.
    std::vector<NodeId> pop_mark();
    std::vector<NodeId>& own_parts(NodeId id);
    void append(NodeId to, const std::vector<NodeId>& items, Kind kind);
    void set_items(NodeId to, const std::vector<NodeId>& items);
    void put(uint64_t index);
    void get(uint64_t index);
    void push_global(std::string_view module, std::string_view name);
    void call(NodeId called, NodeId arguments);
    void build();
    void take_joblib_array(NodeId object);

    Pickle& out_;
    PickleBytes bytes_;
    PickleOptions options_;
    std::vector<NodeId> stack_, memo_;
    std::vector<size_t> marks_;
    size_t remembered_ = 0, pushed_ = 0;
};

}  // namespace fmgs::detail
