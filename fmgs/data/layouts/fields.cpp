#include <fmgs/data/layouts/fields.h>

#include <fmgs/core/check.h>
#include <fmgs/data/fits/numbers.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace fmgs {

namespace {

// f(), whose errors say where.
template <class F>
auto named(const std::string& what, F&& f) {
    try {
        return f();
    } catch (const Error& error) {
        throw Error(fmt::format("{}: {}", what, error.what()));
    }
}

}  // namespace

Fields Fields::at(std::string_view key) const {
    const auto* found = value.find(key);
    if (!found)
        throw Error(fmt::format("{}: expected '{}' in it; there is {}", what, key,
                                value.is_dict() ? value.keys() : value.description()));
    return {*found, fmt::format("{}: {}", what, key)};
}

int64_t Fields::size() const {
    if (value.is_list()) return static_cast<int64_t>(value.list().size());
    const auto shape = value.is_array() ? value.shape() : std::vector<int64_t>();
    if (shape.empty())
        throw Error(fmt::format("{}: expected a list, got {}", what, value.description()));
    return shape[0];
}

Fields Fields::at(int64_t i) const {
    if (i < 0 || i >= size())
        throw Error(fmt::format("{}: expected an item {}, there are {}", what, i, size()));
    const auto name = fmt::format("{}[{}]", what, i);
    if (value.is_list()) return {value.list()[static_cast<size_t>(i)], name};
    const auto array = named(what, [&] { return value.array(); });
    const int64_t bytes = static_cast<int64_t>(array.bytes.size()) / size();
    NpyArray item{array.dtype, {array.shape.begin() + 1, array.shape.end()}, {}};
    item.bytes.assign(array.bytes.begin() + i * bytes, array.bytes.begin() + (i + 1) * bytes);
    return {Value(std::move(item)), name};
}

torch::Tensor Fields::numbers(std::initializer_list<int64_t> counts) const {
    if (!value.is_array() && !value.is_list() && !value.is_number())
        throw Error(fmt::format("{}: expected numbers, got {}", what, value.description()));
    double count = 1;  // before anything is unpacked; a shape may say anything
    const auto shape = named(what, [&] { return value.shape(); });
    for (const int64_t n : shape) count *= static_cast<double>(n);
    const bool right =
        counts.size() == 0 ? count > 0 : std::any_of(counts.begin(), counts.end(), [&](int64_t n) {
            return count == static_cast<double>(n);
        });
    if (!right)
        throw Error(
            fmt::format("{}: expected {} numbers, got {}", what,
                        counts.size() == 0 ? "some" : fmt::format("{}", fmt::join(counts, " or ")),
                        shape_text(shape)));
    return detail::finite_numbers(value, what).reshape(-1);
}

torch::Tensor Fields::angles(std::string_view key, int64_t joints) const {
    const auto x = numbers(key, {3 * joints, 9 * joints});
    if (x.numel() == 3 * joints) return x;
    const auto label = fmt::format("{}: {}", what, key);
    return detail::axis_angle_of(x.reshape({-1, 3, 3}), label).reshape(-1);
}

int64_t Fields::pixels(std::string_view key) const {
    constexpr double kMost = 1 << 20;
    const double value_of = number(key);
    if (!(value_of >= 1 && value_of <= kMost && value_of == std::floor(value_of)))
        throw Error(fmt::format("{}: {}: expected a whole number of pixels from 1 to {}, got {}",
                                what, key, kMost, value_of));
    return static_cast<int64_t>(value_of);
}

std::vector<std::string> Fields::strings() const {
    return named(what, [&] { return value.strings(); });
}

std::string Fields::text() const {
    if (value.is_text()) return value.text();
    if (value.is_array()) {
        const auto all = strings();
        if (all.size() == 1) return all[0];
    }
    throw Error(fmt::format("{}: expected text, got {}", what, value.description()));
}

}  // namespace fmgs
