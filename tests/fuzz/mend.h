#pragma once
/// A mutation of a zip would rarely get past its checksums: they are put right first.
#include <zlib.h>

#include <cstdint>
#include <vector>

inline uint32_t u32(const std::vector<uint8_t>& bytes, size_t at) {
    return bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | uint32_t{bytes[at + 3]} << 24;
}

/// Looks for the zip's central headers (their fields: see core/io/zip.cpp) and gives those of
/// stored members the checksum of their bytes.
inline void mend_checksums(std::vector<uint8_t>& zip) {
    for (size_t at = 0; at + 46 <= zip.size(); ++at) {
        if (u32(zip, at) != 0x02014b50 || zip[at + 10] != 0) continue;
        const uint64_t size = u32(zip, at + 20), local = u32(zip, at + 42);
        if (local + 30 > zip.size()) continue;
        const uint64_t start =
            local + 30 + (u32(zip, local + 26) & 0xFFFF) + (u32(zip, local + 26) >> 16);
        if (start + size > zip.size()) continue;
        const auto crc = static_cast<uint32_t>(crc32_z(0, zip.data() + start, size));
        for (size_t i = 0; i < 4; ++i) zip[at + 16 + i] = static_cast<uint8_t>(crc >> (8 * i));
    }
}
