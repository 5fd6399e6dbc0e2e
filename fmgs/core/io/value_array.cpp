/// Numbers, arrays and nested lists as one array.
#include <fmgs/core/check.h>
#include <fmgs/core/io/npy_layout.h>
#include <fmgs/core/io/value.h>
#include <fmgs/core/memory.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>

namespace fmgs {
namespace {

constexpr size_t kMostDimensions = 32;  // NumPy's own bound

/// The sizes along the first items.
std::vector<int64_t> outline(const Value& value) {
    std::vector<int64_t> shape;
    const Value* at = &value;
    while (at->is_list()) {
        if (shape.size() == kMostDimensions)
            throw Error(fmt::format("expected an array, got lists nested more than {} deep",
                                    kMostDimensions));
        shape.push_back(static_cast<int64_t>(at->list().size()));
        if (at->list().empty()) return shape;
        at = &at->list().front();
    }
    const auto inner = at->shape();
    shape.insert(shape.end(), inner.begin(), inner.end());
    return shape;
}

/// Error unless every item below has the sizes from `depth` on. Each is met once: a list that was
/// nested a hundred deep would else take for ever.
void check_outline(const Value& value, const std::vector<int64_t>& shape, size_t depth) {
    const auto refuse = [&](const std::vector<int64_t>& got) {
        const std::vector<int64_t> wanted(shape.begin() + static_cast<std::ptrdiff_t>(depth),
                                          shape.end());
        throw Error(fmt::format("expected an array, got a list whose items differ: {} and {}",
                                shape_text(wanted), shape_text(got)));
    };
    if (!value.is_list()) {
        const auto own = value.shape();
        if (!std::equal(own.begin(), own.end(), shape.begin() + static_cast<std::ptrdiff_t>(depth),
                        shape.end()))
            refuse(own);
        return;
    }
    const auto& items = value.list();
    if (depth == shape.size() || shape[depth] != static_cast<int64_t>(items.size()))
        refuse(outline(value));
    for (const auto& item : items) check_outline(item, shape, depth + 1);
}

/// f of every leaf, in order.
template <class F>
void visit(const Value& value, F&& f) {
    if (!value.is_list()) return f(value);
    for (const auto& item : value.list()) visit(item, f);
}

/// The narrowest that holds all of these.
std::string common_dtype(const std::set<std::string>& dtypes) {
    if (dtypes.empty()) return "f8";
    if (dtypes.size() == 1) return *dtypes.begin();
    for (const auto& dtype : dtypes) {
        if (dtype[0] == 'f' || dtype == "u8") return "f8";
    }
    return "i8";
}

/// One element of `array` as that of another dtype: f8, i8, or the same.
void put_element(const NpyArray& from, int64_t i, NpyArray& to) {
    if (from.dtype == to.dtype) {
        const auto item = static_cast<size_t>(*detail::item_size(to.dtype));
        const auto* at = from.bytes.data() + item * static_cast<size_t>(i);
        to.bytes.insert(to.bytes.end(), at, at + item);
    } else if (to.dtype == "i8") {
        const auto x = detail::integer_at(from, i);
        const auto* at = reinterpret_cast<const uint8_t*>(&x);
        to.bytes.insert(to.bytes.end(), at, at + sizeof(x));
    } else {
        const auto x = detail::real_at(from, i);
        const auto* at = reinterpret_cast<const uint8_t*>(&x);
        to.bytes.insert(to.bytes.end(), at, at + sizeof(x));
    }
}

/// A number as an array of no dimensions.
NpyArray single(const Value& number) {
    const auto dtype = number.dtype();
    NpyArray out{dtype, {}, std::vector<uint8_t>(dtype == "b1" ? 1 : 8)};
    const double real = number.number();
    const int64_t integer = dtype == "f8" ? 0 : number.integer();
    if (dtype == "b1")
        out.bytes[0] = integer != 0;
    else
        std::memcpy(out.bytes.data(), dtype == "f8" ? static_cast<const void*>(&real) : &integer,
                    8);
    return out;
}

NpyArray list_array(const Value& list) {
    const auto shape = list.shape();
    std::set<std::string> dtypes;
    visit(list, [&](const Value& leaf) { dtypes.insert(leaf.dtype()); });
    // "U", or "U5" and "U7".
    const auto is_text = [](const std::string& x) { return x[0] == 'U' || x[0] == 'S'; };
    if (!dtypes.empty() && is_text(*dtypes.rbegin())) {
        const auto texts = list.strings();
        size_t longest = 1;
        for (const auto& text : texts) longest = std::max(longest, text.size());
        check_memory(8.0 * static_cast<double>(longest) * static_cast<double>(texts.size()),
                     "a list of texts", "is it what it should be?");
        auto out = npy_array(texts);
        out.shape = shape;
        return out;
    }
    NpyArray out{common_dtype(dtypes), shape, {}};
    const auto count = detail::checked_count(shape, "a list of numbers");
    check_memory(8 * static_cast<double>(count), "a list of numbers", "is it what it should be?");
    visit(list, [&](const Value& leaf) {
        const auto values = leaf.is_array() ? leaf.array() : single(leaf);
        for (int64_t i = 0; i < values.count(); ++i) put_element(values, i, out);
    });
    return out;
}

}  // namespace

std::vector<int64_t> Value::shape() const {
    if (const auto* x = get<Lazy>()) return x->shape;
    if (const auto* x = get<NpyArray>()) return x->shape;
    if (is_list()) {
        const auto shape = outline(*this);
        check_outline(*this, shape, 0);
        return shape;
    }
    if (is_none() || is_dict()) refuse("an array");
    return {};
}

NpyArray Value::array() const {
    if (const auto* x = get<Lazy>()) return x->unpack();
    if (const auto* x = get<NpyArray>()) return *x;
    if (is_list()) return list_array(*this);
    if (is_text()) {
        auto out = npy_array(std::vector<std::string>{text()});
        out.shape.clear();
        return out;
    }
    if (!is_number()) refuse("an array");
    return single(*this);
}

std::vector<std::string> Value::strings() const {
    if (is_text()) return {text()};
    if (is_array()) return array().strings();
    if (!is_list()) refuse("text");
    std::vector<std::string> out;
    visit(*this, [&](const Value& leaf) {
        const auto texts = leaf.strings();
        out.insert(out.end(), texts.begin(), texts.end());
    });
    return out;
}

}  // namespace fmgs
