#pragma once
/// Pictures as bytes: headers that claim any size, JPEGs with segments in front.
#include <cstdint>
#include <string>
#include <vector>

namespace fmgs::test {

inline std::string big_endian(uint64_t value, int bytes) {
    std::string out;
    for (int i = bytes; i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i)));
    return out;
}

/// A PNG of this size that ends behind its header: decoding it fails.
inline std::string png_header(uint64_t width, uint64_t height) {
    return "\x89PNG\r\n\x1A\n" + big_endian(13, 4) + "IHDR" + big_endian(width, 4) +
           big_endian(height, 4) + std::string("\x08\x02\0\0\0", 5) + big_endian(0, 4);
}

/// A chunk of a PNG with its checksum (CRC-32).
inline std::string png_chunk(const std::string& name, const std::string& content) {
    uint32_t crc = 0xFFFFFFFF;
    for (const char c : name + content) {
        crc ^= static_cast<uint8_t>(c);
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    return big_endian(content.size(), 4) + name + content + big_endian(~crc, 4);
}

/// A whole PNG of 1 (grey), 2 (grey, alpha), 3 (red, green, blue) or 4 channels, 8 or 16 bit;
/// `values`: pixel after pixel, at most 60 kB. `more`: chunks before the pixels.
inline std::string png(uint64_t width, uint64_t channels, int bits,
                       const std::vector<uint16_t>& values, const std::string& more = {}) {
    const char kind = std::string("\0\0\4\2\6", 5)[channels];
    const uint64_t row = width * channels, height = values.size() / row;
    std::string pixels;
    for (size_t i = 0; i < values.size(); ++i) {
        if (i % row == 0) pixels.push_back('\0');  // no filter
        pixels += big_endian(values[i], bits / 8);
    }
    uint32_t a = 1, b = 0;  // Adler-32
    for (const char c : pixels) {
        a = (a + static_cast<uint8_t>(c)) % 65521;
        b = (b + a) % 65521;
    }
    const auto length = static_cast<uint16_t>(pixels.size());
    const auto little = [](uint16_t x) {
        return std::string{static_cast<char>(x & 255), static_cast<char>(x >> 8)};
    };
    const auto stored = "\x78\x01\x01" + little(length) + little(static_cast<uint16_t>(~length)) +
                        pixels + big_endian(b << 16 | a, 4);
    return "\x89PNG\r\n\x1A\n" +
           png_chunk("IHDR", big_endian(width, 4) + big_endian(height, 4) + char(bits) + kind +
                                 std::string(3, '\0')) +
           more + png_chunk("IDAT", stored) + png_chunk("IEND", "");
}

/// EXIF data, of either byte order, that state this orientation and nothing else.
inline std::string exif(char orientation, bool little) {
    const std::string zero(1, '\0'), one("\x01"), turn(1, orientation);
    std::string tiff = little ? "II*" + zero + "\x08" + std::string(3, '\0')
                              : "MM" + zero + "*" + std::string(3, '\0') + "\x08";
    tiff += little ? one + zero : zero + one;
    tiff += little ? "\x12\x01\x03" + zero + one + std::string(3, '\0') + turn + zero
                   : "\x01\x12" + zero + "\x03" + std::string(3, '\0') + one + zero + turn;
    return tiff + std::string(6, '\0');
}

// Noise of 12x10 pixels as OpenCV writes it: one scan, and progressive.
constexpr const char* kJpeg =
    "ffd8ffe000104a46494600010100000100010000ffdb004300140e0f120f0d14121012171514181e32211e1c1c1e"
    "3d2c2e243249404c4b47404645505a736250556d5645466488656d777b8182814e608d978c7d96737e817cffdb00"
    "43011517171e1a1e3b21213b7c5346537c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c"
    "7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7cffc0001108000a000c03012200021101031101ffc40016000101"
    "0100000000000000000000000000040002ffc4002310000202010303050000000000000000000102031121000405"
    "1314312232416191ffc4001501010100000000000000000000000000000203ffc4001d1100010305010000000000"
    "000000000000010002110312213141f0ffda000c03010002110311003f00ccec6412aa42aa1c532a0c355fb6a87e"
    "fd58cd94c7b4ee01917a91a938a64f563ce756e142cbbc200054a815f1e74de1e18a6e3d1e58d1d8936cca09d21a"
    "91852a8fb1b23dd5ffd9";
constexpr const char* kProgressiveJpeg =
    "ffd8ffe000104a46494600010100000100010000ffdb004300140e0f120f0d14121012171514181e32211e1c1c1e"
    "3d2c2e243249404c4b47404645505a736250556d5645466488656d777b8182814e608d978c7d96737e817cffdb00"
    "43011517171e1a1e3b21213b7c5346537c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c"
    "7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7c7cffc2001108000a000c03012200021101031101ffc40016000101"
    "0100000000000000000000000000030001ffc4001501010100000000000000000000000000000102ffda000c0301"
    "0002100310000001c49d8fffc4001a100002020300000000000000000000000000010203122131ffda0008010100"
    "0105027b147225da5275ff00ffc40017110100030000000000000000000000000001000211ffda0008010301013f"
    "01b384ffc40014110100000000000000000000000000000000ffda0008010201013f017fffc40018100003010100"
    "00000000000000000000000001210211ffda0008010100063f0270ed46ca8fffc4001c1001000202030100000000"
    "000000000000010011213141517161ffda0008010100013f2178025ec39f26928f4cc15f0a82905ed27fffda000c"
    "0301000200030000001067ffc40018110002030000000000000000000000000000012141f0ffda0008010301013f"
    "10965acfffc4001811000203000000000000000000000000000001112131ffda0008010201013f10592a8fffc400"
    "1b10010100030101010000000000000000000111002141316191ffda0008010100013f106050607517887efca6eb"
    "1340ea717bbc050028139ee24ecb40b9ffd9";

/// A JPEG of 12x10 pixels.
inline std::string jpeg(bool progressive = false) {
    std::string out;
    for (const char* c = progressive ? kProgressiveJpeg : kJpeg; *c; c += 2)
        out.push_back(static_cast<char>(std::stoi(std::string(c, 2), nullptr, 16)));
    return out;
}

/// With a segment of an application (APP1) in front of the others.
inline std::string with_segment(const std::string& bytes, const std::string& content) {
    return bytes.substr(0, 2) + "\xFF\xE1" + big_endian(content.size() + 2, 2) + content +
           bytes.substr(2);
}

}  // namespace fmgs::test
