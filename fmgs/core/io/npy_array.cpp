#include <fmgs/core/check.h>
#include <fmgs/core/io/npy_layout.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

namespace fmgs {

using detail::append_utf8;
using detail::checked_count;
using detail::item_size;

namespace {

template <class T>
const T* as(const std::vector<uint8_t>& bytes) {
    return reinterpret_cast<const T*>(
        bytes.data());  // a vector's storage is aligned for any scalar
}

template <class T>
torch::Tensor copied(const NpyArray& array, torch::ScalarType type) {
    auto out = torch::empty(array.shape, type);
    if (!array.bytes.empty()) std::memcpy(out.data_ptr(), array.bytes.data(), array.bytes.size());
    return out;
}

template <class T>
torch::Tensor widened(const NpyArray& array, const char* note) {
    auto out = torch::empty(array.shape, torch::kLong);
    auto* target = out.data_ptr<int64_t>();
    for (int64_t i = 0; i < out.numel(); ++i) {
        const T value = as<T>(array.bytes)[i];
        if constexpr (sizeof(T) == 8) {
            if (value > static_cast<T>(std::numeric_limits<int64_t>::max()))
                throw Error(fmt::format("{}", note));
        }
        target[i] = static_cast<int64_t>(value);
    }
    return out;
}

}  // namespace

int64_t NpyArray::count() const { return checked_count(shape, "array"); }

torch::Tensor NpyArray::tensor() const {
    const auto item = item_size(dtype);
    if (!item || dtype[0] == 'U' || dtype[0] == 'S')
        throw Error(fmt::format("an array of dtype '{}' cannot become a tensor", dtype));
    if (static_cast<int64_t>(bytes.size()) != count() * *item) {
        throw Error(fmt::format("an array of dtype '{}' and shape {} needs {} bytes, got {}", dtype,
                                shape_text(shape), count() * *item, bytes.size()));
    }
    if (dtype == "f4") return copied<float>(*this, torch::kFloat);
    if (dtype == "f8") return copied<double>(*this, torch::kDouble);
    if (dtype == "f2") return copied<at::Half>(*this, torch::kHalf).to(torch::kFloat);
    if (dtype == "i1") return copied<int8_t>(*this, torch::kChar);
    if (dtype == "u1") return copied<uint8_t>(*this, torch::kByte);
    if (dtype == "i2") return copied<int16_t>(*this, torch::kShort);
    if (dtype == "i4") return copied<int32_t>(*this, torch::kInt);
    if (dtype == "i8") return copied<int64_t>(*this, torch::kLong);
    if (dtype == "u2") return widened<uint16_t>(*this, "");
    if (dtype == "u4") return widened<uint32_t>(*this, "");
    if (dtype == "u8")
        return widened<uint64_t>(*this, "an unsigned 64-bit value does not fit int64");
    return copied<uint8_t>(*this, torch::kByte) != 0;  // b1: any byte but 0 is true
}

std::vector<std::string> NpyArray::strings() const {
    const auto item = item_size(dtype);
    if (!item || (dtype[0] != 'U' && dtype[0] != 'S'))
        throw Error(fmt::format("expected an array of text (dtype U or S), got '{}'", dtype));
    if (static_cast<int64_t>(bytes.size()) != count() * *item)
        throw Error("an array of text whose bytes are not whole");
    const bool wide = dtype[0] == 'U';
    std::vector<std::string> out(static_cast<size_t>(*item ? count() : 0));
    const int64_t length = wide ? *item / 4 : *item;
    for (size_t i = 0; i < out.size(); ++i) {
        const int64_t first = static_cast<int64_t>(i) * length;
        const auto at = [&](int64_t k) {
            return wide ? as<uint32_t>(bytes)[first + k] : bytes[static_cast<size_t>(first + k)];
        };
        int64_t end = length;
        while (end > 0 && at(end - 1) == 0) --end;  // padding
        for (int64_t k = 0; k < end; ++k) {
            if (at(k) > 0x10FFFF || (at(k) >= 0xD800 && at(k) < 0xE000))
                throw Error("a character that is not Unicode");
            append_utf8(out[i], at(k));
        }
    }
    return out;
}

namespace detail {
namespace {

template <class T>
T load(const NpyArray& array, int64_t i) {
    T value;
    std::memcpy(&value, array.bytes.data() + static_cast<size_t>(i) * sizeof(T), sizeof(T));
    return value;
}

/// f of element i as the type of its dtype.
template <class F>
auto with_element(const NpyArray& array, int64_t i, F&& f) {
    const auto& type = array.dtype;
    const auto item = item_size(type);
    if (!item || i < 0 ||
        static_cast<uint64_t>(i) >= array.bytes.size() / static_cast<size_t>(*item))
        throw Error(fmt::format("there is no element {} in an array of dtype '{}'", i, type));
    if (type == "f4") return f(load<float>(array, i));
    if (type == "f8") return f(load<double>(array, i));
    if (type == "f2") return f(static_cast<float>(load<at::Half>(array, i)));
    if (type == "i1") return f(load<int8_t>(array, i));
    if (type == "u1") return f(load<uint8_t>(array, i));
    if (type == "i2") return f(load<int16_t>(array, i));
    if (type == "u2") return f(load<uint16_t>(array, i));
    if (type == "i4") return f(load<int32_t>(array, i));
    if (type == "u4") return f(load<uint32_t>(array, i));
    if (type == "i8") return f(load<int64_t>(array, i));
    if (type == "u8") return f(load<uint64_t>(array, i));
    return f(load<uint8_t>(array, i) != 0);
}

}  // namespace

bool is_numeric(const NpyArray& array) {
    return item_size(array.dtype) && array.dtype[0] != 'U' && array.dtype[0] != 'S';
}

double real_at(const NpyArray& array, int64_t i) {
    if (!is_numeric(array))
        throw Error(fmt::format("expected numbers, got dtype '{}'", array.dtype));
    return with_element(array, i, [](auto x) { return static_cast<double>(x); });
}

int64_t integer_at(const NpyArray& array, int64_t i) {
    if (!is_numeric(array))
        throw Error(fmt::format("expected numbers, got dtype '{}'", array.dtype));
    return with_element(array, i, [&](auto x) -> int64_t {
        using T = decltype(x);
        bool whole = true;
        if constexpr (std::is_floating_point_v<T>)
            whole = std::abs(x) < T(1LL << 62) && x == std::floor(x);
        else if constexpr (std::is_same_v<T, uint64_t>)
            whole = x <= static_cast<uint64_t>(INT64_MAX);
        if (!whole) throw Error(fmt::format("expected a whole number, got {}", x));
        return static_cast<int64_t>(x);
    });
}

}  // namespace detail
}  // namespace fmgs
