#include <fmgs/core/io/npy_layout.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace fmgs::detail {
namespace {

constexpr size_t kMaxDimensions = 32;           // NumPy's own bound
constexpr int64_t kMaxText = int64_t{1} << 24;  // characters of one element of U

}  // namespace

std::optional<int64_t> item_size(const std::string& dtype) {
    for (const char* known :
         {"f2", "f4", "f8", "b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"}) {
        if (dtype == known) return dtype[1] - '0';
    }
    if (dtype.size() < 2 || dtype.size() > 9 || (dtype[0] != 'U' && dtype[0] != 'S')) return {};
    int64_t length = 0;
    for (const char c : dtype.substr(1)) {
        if (c < '0' || c > '9') return {};
        length = 10 * length + (c - '0');
    }
    if (length > kMaxText) return {};
    return dtype[0] == 'U' ? 4 * length : length;
}

std::string plain_dtype(const std::string& descr) {
    if (descr.empty()) return "nothing";
    const char order = descr[0];
    if (order == '<' || order == '|' || order == '=') return descr.substr(1);
    // One byte has no order.
    if (order == '>' && descr.size() == 3 && descr[2] == '1' && descr[1] != 'U')
        return descr.substr(1);
    return descr;
}

int64_t checked_count(const std::vector<int64_t>& shape, const std::string& what) {
    if (shape.size() > kMaxDimensions)
        throw Error(fmt::format("{}: {} dimensions are more than 32", what, shape.size()));
    int64_t product = 1;
    bool empty = false;
    for (const auto size : shape) {
        empty |= size == 0;
        if (size < 0 || (size > 0 && __builtin_mul_overflow(product, size, &product))) {
            throw Error(fmt::format("{}: shape {} is {}", what, shape_text(shape),
                                    size < 0 ? "negative" : "too large"));
        }
    }
    return empty ? 0 : product;
}

std::vector<uint8_t> strided(const uint8_t* source, const std::vector<int64_t>& shape,
                             const std::vector<int64_t>& strides, int64_t item) {
    const int64_t count = checked_count(shape, "array");
    std::vector<uint8_t> out(static_cast<size_t>(count * item));
    std::vector<int64_t> index(shape.size(), 0);
    int64_t from = 0;
    for (int64_t i = 0; i < count; ++i) {
        std::memcpy(out.data() + i * item, source + from, static_cast<size_t>(item));
        for (size_t k = shape.size(); k-- > 0;) {
            from += strides[k];
            if (++index[k] < shape[k]) break;
            from -= strides[k] * shape[k];
            index[k] = 0;
        }
    }
    return out;
}

std::vector<int64_t> fortran_strides(const std::vector<int64_t>& shape, int64_t item) {
    std::vector<int64_t> strides(shape.size(), item);
    for (size_t k = 1; k < shape.size(); ++k) strides[k] = strides[k - 1] * shape[k - 1];
    return strides;
}

void swap_bytes(std::vector<uint8_t>& bytes, int64_t width) {
    if (width < 2) return;
    for (auto at = bytes.begin(); at != bytes.end(); at += width) std::reverse(at, at + width);
}

NpyArray array_of(const std::string& descr, const std::vector<int64_t>& shape, bool fortran_order,
                  const uint8_t* data, size_t size, const std::string& what) {
    const auto plain = plain_dtype(descr);
    const bool swapped = plain[0] == '>';
    NpyArray out{swapped ? plain.substr(1) : plain, shape, {}};
    const auto item = item_size(out.dtype);
    if (!item)
        throw Error(
            fmt::format("{}: an array of dtype '{}' is not read (numbers, booleans and text are)",
                        what, descr));
    const int64_t count = checked_count(shape, what);
    int64_t expected = 0;
    if (__builtin_mul_overflow(count, *item, &expected) ||
        static_cast<uint64_t>(expected) != size) {
        throw Error(fmt::format("{}: dtype {} and shape {} do not go with {} bytes of data", what,
                                out.dtype, shape_text(out.shape), size));
    }
    if (fortran_order && out.shape.size() > 1 && expected > 0) {
        out.bytes = strided(data, out.shape, fortran_strides(out.shape, *item), *item);
    } else {
        out.bytes.assign(data, data + expected);
    }
    if (swapped) swap_bytes(out.bytes, out.dtype[0] == 'U' ? 4 : out.dtype[0] == 'S' ? 1 : *item);
    return out;
}

void append_utf8(std::string& text, uint32_t c) {
    const auto put = [&](uint32_t byte) { text.push_back(static_cast<char>(byte)); };
    if (c < 0x80) {
        put(c);
    } else if (c < 0x800) {
        put(0xC0 | (c >> 6));
        put(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        put(0xE0 | (c >> 12));
        put(0x80 | ((c >> 6) & 0x3F));
        put(0x80 | (c & 0x3F));
    } else {
        put(0xF0 | (c >> 18));
        put(0x80 | ((c >> 12) & 0x3F));
        put(0x80 | ((c >> 6) & 0x3F));
        put(0x80 | (c & 0x3F));
    }
}

}  // namespace fmgs::detail
