#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/npy_layout.h>
#include <fmgs/core/io/npz_reader.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <cstring>
#include <limits>

namespace fmgs {
namespace {

constexpr size_t kMaxDimensions = 32;  // NumPy's own bound

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

}  // namespace

NpyHeader parse_npy_header(const uint8_t* data, size_t size, const std::string& what) {
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
    detail::checked_count(parser.shape, what);
    auto dtype = detail::plain_dtype(parser.descr);
    return {std::move(dtype), parser.shape, parser.fortran, begin + length};
}

NpyArray parse_npy(const uint8_t* data, size_t size, const std::string& what) {
    const auto header = parse_npy_header(data, size, what);
    const auto& dtype = header.dtype;
    // Kept by name, so that a file with such an array can still be read.
    if (!detail::item_size(dtype[0] == '>' ? dtype.substr(1) : dtype))
        return {dtype, header.shape, {}};
    return detail::array_of(dtype, header.shape, header.fortran_order, data + header.start,
                            size - header.start, what);
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
