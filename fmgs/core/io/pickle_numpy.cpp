#include <fmgs/core/io/pickle_numpy.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/npy_layout.h>
#include <fmt/format.h>

namespace fmgs::detail {

using Kind = PickleNode::Kind;

namespace {

[[noreturn]] void fail(const Pickle& pickle, const std::string& problem) {
    throw Error(fmt::format("{}: {}", pickle.what, problem));
}

/// Of Python 3's protocol 2, which writes bytes as text and `latin1`. Error when they are not.
std::string latin1(const Pickle& pickle, std::string_view utf8) {
    std::string out;
    out.reserve(utf8.size());
    for (size_t i = 0; i < utf8.size(); ++i) {
        const auto c = static_cast<uint8_t>(utf8[i]);
        if (c < 0x80) {
            out.push_back(static_cast<char>(c));
            continue;
        }
        const bool two = (c == 0xC2 || c == 0xC3) && i + 1 < utf8.size() &&
                         (static_cast<uint8_t>(utf8[i + 1]) & 0xC0) == 0x80;
        if (!two) fail(pickle, "bytes as text that is not Latin-1");
        out.push_back(static_cast<char>((c << 6) | (static_cast<uint8_t>(utf8[++i]) & 0x3F)));
    }
    return out;
}

/// Errors of dtypes that are not read say what they are.
std::string checked_descr(const Pickle& pickle, std::string_view letters, char order) {
    if (letters.starts_with('<') || letters.starts_with('>') || letters.starts_with('|') ||
        letters.starts_with('=')) {
        order = letters[0] == '=' ? '<' : letters[0];
        letters.remove_prefix(1);
    }
    const auto plain = std::string(letters);
    const char* kind = plain.starts_with('V')                             ? "structures"
                       : plain.starts_with('c')                           ? "complex numbers"
                       : plain.starts_with('M') || plain.starts_with('m') ? "dates"
                                                                          : "what is not known";
    if (plain != "O" && plain != "O8" && plain != "O4" && !item_size(plain))
        fail(pickle, fmt::format("an array of dtype '{}' ({}) is not read; numbers, booleans, text "
                                 "and objects are",
                                 plain.substr(0, 40), kind));
    return order + plain;
}

}  // namespace

std::optional<std::string_view> text_of(const Pickle& pickle, NodeId id) {
    if (!pickle.is(id, Kind::kText) && !pickle.is(id, Kind::kBytes)) return std::nullopt;
    return pickle.node(id).text;
}

NodeId argument(const Pickle& pickle, NodeId object, size_t i) {
    const auto& arguments = pickle.parts_of(pickle.parts_of(object)[kArguments]);
    return i < arguments.size() ? arguments[i] : kNoNode;
}

NodeId class_of(const Pickle& pickle, NodeId object) {
    const auto called = pickle.parts_of(object)[kCalled];
    if (!pickle.is(called, Global::kCopy)) return called;
    const auto made = argument(pickle, object, 0);
    return pickle.is(made, Kind::kGlobal) ? made : kNoNode;
}

NodeId attribute(const Pickle& pickle, NodeId object, std::string_view name) {
    const auto state = pickle.parts_of(object)[kState];
    std::vector<NodeId> candidates{state};
    if (pickle.is(state, Kind::kTuple)) candidates = pickle.parts_of(state);  // with slots
    for (const auto dictionary : candidates) {
        if (!pickle.is(dictionary, Kind::kDict)) continue;
        const auto& items = pickle.parts_of(dictionary);
        for (size_t i = items.size(); i >= 2; i -= 2) {
            if (text_of(pickle, items[i - 2]) == name) return items[i - 1];
        }
    }
    return kNoNode;
}

std::optional<std::string_view> bytes_of(const Pickle& pickle, NodeId id, std::string& own) {
    if (pickle.is(id, Kind::kBytes)) return pickle.node(id).text;
    if (!pickle.is(id, Kind::kObject)) return std::nullopt;
    const auto made = class_of(pickle, id), first = argument(pickle, id, 0);
    const bool is_bytes = pickle.is(made, Global::kBytes) || pickle.is(made, Global::kByteArray);
    if (!is_bytes && !pickle.is(made, Global::kEncode)) return std::nullopt;
    if (is_bytes && first == kNoNode) return std::string_view();
    if (pickle.is(first, Kind::kBytes)) return pickle.node(first).text;
    if (!pickle.is(first, Kind::kText)) return std::nullopt;
    own = latin1(pickle, pickle.node(first).text);
    return own;
}

std::vector<int64_t> shape_of(const Pickle& pickle, NodeId id) {
    if (pickle.is(id, Kind::kInteger)) return {pickle.node(id).integer};
    if (!pickle.is(id, Kind::kTuple) && !pickle.is(id, Kind::kList))
        fail(pickle, "an array whose shape is no tuple");
    std::vector<int64_t> shape;
    for (const auto part : pickle.parts_of(id)) {
        if (!pickle.is(part, Kind::kInteger)) fail(pickle, "an array whose shape is no tuple");
        shape.push_back(pickle.node(part).integer);
        if (shape.size() > 64) fail(pickle, "an array of more than 64 dimensions");
    }
    return shape;
}

PickledDtype dtype_of(const Pickle& pickle, NodeId id) {
    const bool is_dtype =
        pickle.is(id, Kind::kObject) && pickle.is(class_of(pickle, id), Global::kDtype);
    const auto letters = is_dtype ? text_of(pickle, argument(pickle, id, 0)) : std::nullopt;
    if (!letters) fail(pickle, "an array whose dtype is none");
    char order = '<';
    const auto state = pickle.parts_of(id)[kState];
    if (pickle.is(state, Kind::kTuple)) {
        // version, byte order, the dtype of a sub-array, names of fields, fields, …
        const auto& parts = pickle.parts_of(state);
        for (size_t i = 2; i < 5 && i < parts.size(); ++i) {
            if (!pickle.is(parts[i], Kind::kNone))
                fail(pickle, "an array of structures (a dtype with fields) is not read");
        }
        const auto text = parts.size() > 1 ? text_of(pickle, parts[1]) : std::nullopt;
        if (text && text->size() == 1 && text->front() != '=') order = text->front();
    }
    const auto descr = checked_descr(pickle, *letters, order);
    return {descr, descr[1] == 'O'};
}

JoblibArray joblib_array(const Pickle& pickle, NodeId object) {
    JoblibArray out;
    out.dtype = dtype_of(pickle, attribute(pickle, object, "dtype"));
    out.shape = shape_of(pickle, attribute(pickle, object, "shape"));
    out.fortran_order = text_of(pickle, attribute(pickle, object, "order")) == "F";
    out.aligned =
        pickle.is(attribute(pickle, object, "numpy_array_alignment_bytes"), Kind::kInteger);
    out.objects = out.dtype.objects;
    if (out.objects) {
        out.aligned = false;
        return out;
    }
    const auto item = item_size(plain_dtype(out.dtype.descr.substr(1)));
    int64_t bytes = 0;
    if (!item || __builtin_mul_overflow(checked_count(out.shape, pickle.what), *item, &bytes))
        fail(pickle, "an array that is too large");
    out.bytes = static_cast<uint64_t>(bytes);
    return out;
}

}  // namespace fmgs::detail
