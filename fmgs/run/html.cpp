#include <fmgs/run/html.h>

#include <cstdint>

namespace fmgs::detail {

std::string base64(const std::string& bytes) {
    constexpr const char* kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (size_t k = 0; k < bytes.size(); k += 3) {
        uint32_t three = 0;
        for (size_t j = 0; j < 3; ++j)
            three = three << 8 | (k + j < bytes.size() ? static_cast<uint8_t>(bytes[k + j]) : 0U);
        for (size_t j = 0; j < 4; ++j)
            out += k + j > bytes.size() ? '=' : kDigits[three >> (18 - 6 * j) & 63];
    }
    return out;
}

std::string script_text(const std::string& json) {
    std::string out;
    for (const char c : json) out += c == '<' ? "\\u003c" : std::string(1, c);
    return out;
}

std::string filled(const std::string& frame, const std::map<std::string, std::string>& parts) {
    std::string out;
    size_t at = 0;
    for (size_t open; (open = frame.find("{{", at)) != std::string::npos;) {
        const auto close = frame.find("}}", open);
        out += frame.substr(at, open - at) + parts.at(frame.substr(open + 2, close - open - 2));
        at = close + 2;
    }
    return out + frame.substr(at);
}

}  // namespace fmgs::detail
