#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/npz_reader.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>

namespace fmgs {
namespace {

constexpr size_t kMaxDimensions = 32;           // NumPy's own bound
constexpr int64_t kMaxText = int64_t{1} << 24;  // characters of one element of U

// Bytes of one element; nothing when this dtype is not read (objects, structures, big endian, …).
std::optional<int64_t> item_size(const std::string& dtype) {
    for (const char* known :
         {"f2", "f4", "f8", "b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"}) {
        if (dtype == known) return dtype[1] - '0';
    }
    if (dtype.size() < 2 || dtype.size() > 9 || dtype[0] != 'U') return {};
    int64_t length = 0;
    for (const char c : dtype.substr(1)) {
        if (c < '0' || c > '9') return {};
        length = 10 * length + (c - '0');
    }
    if (length > kMaxText) return {};
    return 4 * length;
}

// The text between the braces of an .npy header: a Python dict of three known keys.
class HeaderParser {
  public:
    HeaderParser(std::string text, std::string what)
        : text_(std::move(text)), what_(std::move(what)) {}

    std::string descr;
    bool fortran = false;
    std::vector<int64_t> shape;

    void parse() {
        expect('{');
        int seen = 0;
        while (!accept('}')) {
            const auto key = quoted();
            expect(':');
            if (key == "descr") {
                peek() == '[' ? skip_list() : void(descr = quoted());
                seen |= 1;
            } else if (key == "fortran_order") {
                fortran = boolean();
                seen |= 2;
            } else if (key == "shape") {
                shape = tuple();
                seen |= 4;
            } else {
                fail("a key that is not known: '" + key + "'");
            }
            if (!accept(',') && peek() != '}') fail("',' or '}' is missing");
        }
        if (seen != 7) fail("one of descr, fortran_order, shape is missing");
    }

  private:
    [[noreturn]] void fail(const std::string& problem) const {
        throw Error(
            fmt::format("{}: not a valid .npy header: {} (at character {})", what_, problem, at_));
    }
    char peek() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
        return at_ < text_.size() ? text_[at_] : '\0';
    }
    bool accept(char c) {
        if (peek() != c) return false;
        ++at_;
        return true;
    }
    void expect(char c) {
        if (!accept(c)) fail(std::string("expected '") + c + "'");
    }
    std::string quoted() {
        const char quote = peek();
        if (quote != '\'' && quote != '"') fail("expected a quoted word");
        const auto end = text_.find(quote, ++at_);
        if (end == std::string::npos) fail("a quote that does not end");
        const auto word = text_.substr(at_, end - at_);
        at_ = end + 1;
        return word;
    }
    bool boolean() {
        peek();
        for (const auto& [word, value] : {std::pair{"True", true}, std::pair{"False", false}}) {
            if (text_.compare(at_, std::strlen(word), word) == 0) {
                at_ += std::strlen(word);
                return value;
            }
        }
        fail("expected True or False");
    }
    int64_t number() {
        if (peek() < '0' || peek() > '9') fail("expected a size");
        int64_t value = 0;
        for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
            if (value > (std::numeric_limits<int64_t>::max() - 9) / 10)
                fail("a size that is too large");
            value = 10 * value + (text_[at_] - '0');
        }
        return value;
    }
    std::vector<int64_t> tuple() {
        std::vector<int64_t> sizes;
        expect('(');
        while (!accept(')')) {
            sizes.push_back(number());
            if (sizes.size() > kMaxDimensions) fail("more than 32 dimensions");
            if (!accept(',') && peek() != ')') fail("',' or ')' is missing");
        }
        return sizes;
    }
    // A structured dtype: [('x', '<f4'), …]. It is not read, only stepped over.
    void skip_list() {
        int depth = 0;
        do {
            const char c = peek();
            if (c == '\0') fail("a list that does not end");
            depth += (c == '[') - (c == ']');
            ++at_;
        } while (depth > 0);
        descr = "a structure";
    }

    std::string text_, what_;
    size_t at_ = 0;
};

// "<f4" → "f4"; a foreign byte order stays in the name, and is therefore not read.
std::string plain_dtype(const std::string& descr) {
    if (descr.empty()) return "nothing";
    const bool order_free =
        descr[0] == '|' || (descr[0] == '>' && (descr.size() == 3 && descr[2] == '1'));
    return descr[0] == '<' || order_free ? descr.substr(1) : descr;
}

// Number of elements; Error unless the product of all sizes that are not zero fits 63 bits (torch's
// strides need it).
int64_t checked_count(const std::vector<int64_t>& shape, const std::string& what) {
    int64_t product = 1;
    bool empty = false;
    for (const auto size : shape) {
        empty |= size == 0;
        if (size > 0 && __builtin_mul_overflow(product, size, &product)) {
            throw Error(fmt::format("{}: shape {} is too large", what, shape_text(shape)));
        }
    }
    return empty ? 0 : product;
}

// Fortran → C order: elements of `item` bytes, first index fastest in `source`.
std::vector<uint8_t> to_c_order(const uint8_t* source, const std::vector<int64_t>& shape,
                                int64_t count, int64_t item) {
    std::vector<uint8_t> out(static_cast<size_t>(count * item));
    std::vector<int64_t> index(shape.size(), 0), stride(shape.size(), item);
    for (size_t k = 1; k < shape.size(); ++k) stride[k] = stride[k - 1] * shape[k - 1];
    int64_t from = 0;
    for (int64_t i = 0; i < count; ++i) {
        std::memcpy(out.data() + i * item, source + from, static_cast<size_t>(item));
        for (size_t k = shape.size(); k-- > 0;) {
            from += stride[k];
            if (++index[k] < shape[k]) break;
            from -= stride[k] * shape[k];
            index[k] = 0;
        }
    }
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
    if (!item || dtype[0] == 'U')
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
    if (!item || dtype[0] != 'U')
        throw Error(fmt::format("expected an array of text (dtype U), got '{}'", dtype));
    if (static_cast<int64_t>(bytes.size()) != count() * *item)
        throw Error("an array of text whose bytes are not whole");
    std::vector<std::string> out(static_cast<size_t>(*item ? count() : 0));
    const int64_t length = *item / 4;
    for (size_t i = 0; i < out.size(); ++i) {
        const auto* c = as<uint32_t>(bytes) + static_cast<int64_t>(i) * length;
        int64_t end = length;
        while (end > 0 && c[end - 1] == 0) --end;  // padding
        for (int64_t k = 0; k < end; ++k) {
            if (c[k] > 0x10FFFF || (c[k] >= 0xD800 && c[k] < 0xE000))
                throw Error("a character that is not Unicode");
            append_utf8(out[i], c[k]);
        }
    }
    return out;
}

namespace {

struct ParsedHeader {
    NpyHeader header;
    bool fortran = false;
    size_t start = 0;  // of the values
};

ParsedHeader parse_head(const uint8_t* data, size_t size, const std::string& what) {
    if (size < 10 || std::memcmp(data, "\x93NUMPY", 6) != 0)
        throw Error(fmt::format("{}: not an .npy array", what));
    const int version = data[6];
    if (version < 1 || version > 3)
        throw Error(fmt::format("{}: .npy version {} is not known", what, version));
    const size_t begin = version == 1 ? 10 : 12;
    if (size < begin) throw Error(fmt::format("{}: the .npy header is cut off", what));
    size_t length = data[8] | (size_t{data[9]} << 8);
    if (version > 1) length |= (size_t{data[10]} << 16) | (size_t{data[11]} << 24);
    if (length > size - begin) throw Error(fmt::format("{}: the .npy header is cut off", what));
    HeaderParser parser(std::string(reinterpret_cast<const char*>(data) + begin, length), what);
    parser.parse();
    return {{plain_dtype(parser.descr), parser.shape}, parser.fortran, begin + length};
}

}  // namespace

NpyHeader parse_npy_header(const uint8_t* data, size_t size, const std::string& what) {
    auto head = parse_head(data, size, what);
    checked_count(head.header.shape, what);
    return head.header;
}

NpyArray parse_npy(const uint8_t* data, size_t size, const std::string& what) {
    const auto [header, fortran, start] = parse_head(data, size, what);
    NpyArray out{header.dtype, header.shape, {}};
    const int64_t count = checked_count(out.shape, what);
    const auto item = item_size(out.dtype);
    if (!item) return out;  // kept by name, so that a file with such an array can still be read
    int64_t expected = 0;
    const auto have = static_cast<int64_t>(size - start);
    if (__builtin_mul_overflow(count, *item, &expected) || expected != have) {
        throw Error(fmt::format("{}: dtype {} and shape {} do not go with {} bytes of data", what,
                                out.dtype, shape_text(out.shape), have));
    }
    const uint8_t* values = data + start;
    if (fortran && out.shape.size() > 1 && expected > 0) {
        out.bytes = to_c_order(values, out.shape, count, *item);
    } else {
        out.bytes.assign(values, values + expected);
    }
    return out;
}

NpyArray read_npy(const std::filesystem::path& file) {
    const auto bytes = read_whole(file);
    return parse_npy(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), file.string());
}

NpyHeader read_npy_header(const std::filesystem::path& file) {
    const auto bytes = read_first(file, kLongestNpyHeader);
    return parse_npy_header(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(),
                            file.string());
}

torch::Tensor read_npy_tensor(const std::filesystem::path& file) {
    const auto array = read_npy(file);
    try {
        return array.tensor();
    } catch (const Error& error) {
        throw Error(fmt::format("{}: {}", file.string(), error.what()));
    }
}

}  // namespace fmgs
