/// Body files, up to the canonical mesh. Checksums of stored members are put right first: a
/// mutation would rarely get past.
#include <fmgs/core/body_model.h>
#include <torch/types.h>
#include <zlib.h>

#include <vector>

#include "target.h"

using namespace fmgs;

namespace {

uint32_t u32(const std::vector<uint8_t>& bytes, size_t at) {
    return bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | uint32_t{bytes[at + 3]} << 24;
}

/// Looks for the zip's central headers (their fields: see npz.cpp) and gives them the checksum of
/// their bytes.
void mend_checksums(std::vector<uint8_t>& zip) {
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

}  // namespace

void read_input(const uint8_t* data, size_t size) {
    std::vector<uint8_t> zip(data, data + size);
    mend_checksums(zip);
    const InputFile file(zip.data(), zip.size());
    const BodyModel body(read_body(file.path()), torch::Tensor());
    const auto mesh = body->canonical();
    if (mesh.vertices.size(0) != body->weights().size(0))
        throw std::logic_error("a mesh of another size than its body");
}
