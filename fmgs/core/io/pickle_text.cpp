#include <fmgs/core/io/npy_layout.h>
#include <fmgs/core/io/pickle_machine.h>

#include <bit>
#include <charconv>

namespace fmgs::detail {
namespace {

int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return 16;
}

/// Up to `most` digits of `base` at `at`, which moves behind them.
uint32_t digits(std::string_view text, size_t& at, size_t most, int base) {
    uint32_t value = 0;
    for (size_t k = 0; k < most && at < text.size() && digit_of(text[at]) < base; ++k)
        value = value * static_cast<uint32_t>(base) + static_cast<uint32_t>(digit_of(text[at++]));
    return value;
}

[[noreturn]] void fail_escape(const std::string& what) {
    throw Error(fmt::format("{}: not a whole pickle: a text with a broken escape", what));
}

char one_letter(char c) {
    switch (c) {
        case 'n':
            return '\n';
        case 'r':
            return '\r';
        case 't':
            return '\t';
        case 'a':
            return '\a';
        case 'b':
            return '\b';
        case 'f':
            return '\f';
        case 'v':
            return '\v';
        case '\\':
        case '\'':
        case '"':
            return c;
        default:
            return '\0';
    }
}

}  // namespace

std::string unescape_repr(std::string_view text, const std::string& what) {
    std::string out(text.size(), '\0');  // it only becomes shorter
    auto* to = out.data();
    for (size_t at = 0; at < text.size();) {
        if (text[at] != '\\') {
            *to++ = text[at++];
            continue;
        }
        if (++at == text.size()) fail_escape(what);
        const char c = text[at];
        if (c == 'x') {
            const size_t start = ++at;
            *to++ = static_cast<char>(digits(text, at, 2, 16));
            if (at != start + 2) fail_escape(what);
        } else if (c >= '0' && c <= '7') {
            *to++ = static_cast<char>(digits(text, at, 3, 8));
        } else if (const char letter = one_letter(c)) {
            *to++ = letter;
            ++at;
        } else {
            *to++ = '\\';  // as Python: not an escape
        }
    }
    out.resize(static_cast<size_t>(to - out.data()));
    return out;
}

std::string unescape_unicode(std::string_view text, const std::string& what) {
    std::string out;
    out.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
        const bool escape = text[at] == '\\' && at + 1 < text.size() &&
                            (text[at + 1] == 'u' || text[at + 1] == 'U');
        if (!escape) {
            append_utf8(out, static_cast<uint8_t>(text[at++]));
            continue;
        }
        const size_t length = text[at + 1] == 'u' ? 4 : 8, start = at += 2;
        const auto code_point = digits(text, at, length, 16);
        if (at != start + length || code_point > 0x10FFFF) fail_escape(what);
        append_utf8(out, code_point);
    }
    return out;
}

std::string_view PickleBytes::take(uint64_t count) {
    if (count > bytes_.size() - at_)
        fail("cut off: {} bytes are expected, {} are left", count, bytes_.size() - at_);
    const auto taken = bytes_.substr(at_, count);
    at_ += count;
    return taken;
}

uint64_t PickleBytes::number(int bytes) {
    const auto taken = take(static_cast<uint64_t>(bytes));
    uint64_t value = 0;
    for (int i = bytes; i-- > 0;)
        value = (value << 8) | static_cast<uint8_t>(taken[static_cast<size_t>(i)]);
    return value;
}

std::string_view PickleBytes::line() {
    const auto end = bytes_.find('\n', at_);
    if (end == bytes_.npos) fail("cut off: a line without an end");
    const auto taken = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return taken;
}

double PickleBytes::big_endian_double() {
    uint64_t bits = 0;
    for (const char c : take(8)) bits = (bits << 8) | static_cast<uint8_t>(c);
    return std::bit_cast<double>(bits);
}

int64_t PickleBytes::long_integer(uint64_t bytes) {
    const auto taken = take(bytes);
    if (taken.empty()) return 0;
    const bool negative = (static_cast<uint8_t>(taken.back()) & 0x80) != 0;
    uint64_t value = negative ? UINT64_MAX : 0;
    for (size_t i = taken.size(); i-- > 0;) {
        // Bytes above the eighth only repeat the sign.
        if (value >> 56 != (negative ? 0xFFU : 0U))
            fail("a whole number of more than 64 bits, which is not read");
        value = (value << 8) | static_cast<uint8_t>(taken[i]);
    }
    if ((value >> 63 != 0) != negative)
        fail("a whole number of more than 64 bits, which is not read");
    return static_cast<int64_t>(value);
}

int64_t PickleBytes::integer_of(std::string_view line) const {
    if (line.ends_with('L')) line.remove_suffix(1);
    int64_t value = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    if (error == std::errc::result_out_of_range)
        fail("a whole number of more than 64 bits, which is not read");
    if (error != std::errc() || end != line.data() + line.size() || line.empty())
        fail("'{}' is no whole number", line.substr(0, 40));
    return value;
}

double PickleBytes::real_of(std::string_view line) const {
    double value = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    if (error != std::errc() || end != line.data() + line.size() || line.empty())
        fail("'{}' is no number", line.substr(0, 40));
    return value;
}

}  // namespace fmgs::detail
