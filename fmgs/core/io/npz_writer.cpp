#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/npz.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>

namespace fmgs {
namespace {

// Signatures of the zip format (PKWARE's APPNOTE 4.3).
constexpr uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50;

// UTF-8 → code points. Error when it is not UTF-8.
std::vector<uint32_t> code_points(const std::string& text) {
    std::vector<uint32_t> out;
    for (size_t i = 0; i < text.size();) {
        const auto lead = static_cast<uint8_t>(text[i]);
        const int more = lead < 0x80         ? 0
                         : (lead >> 5) == 6  ? 1
                         : (lead >> 4) == 14 ? 2
                         : (lead >> 3) == 30 ? 3
                                             : -1;
        if (more < 0 || i + more >= text.size()) throw Error("npy_array: the text is not UTF-8");
        uint32_t c = more == 0 ? lead : lead & (0x3F >> more);
        for (int k = 1; k <= more; ++k) {
            const auto next = static_cast<uint8_t>(text[i + k]);
            if ((next >> 6) != 2) throw Error("npy_array: the text is not UTF-8");
            c = (c << 6) | (next & 0x3F);
        }
        out.push_back(c);
        i += 1 + more;
    }
    return out;
}

using Buffer = std::vector<uint8_t>;

void put(Buffer& out, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out.push_back(static_cast<uint8_t>(value >> (8 * i)));
}
void put(Buffer& out, const std::string& text) { out.insert(out.end(), text.begin(), text.end()); }

Buffer npy_bytes(const NpyArray& array) {
    const bool single = array.dtype.size() == 2 && array.dtype[1] == '1' && array.dtype[0] != 'U';
    std::string shape;
    for (const auto size : array.shape) shape += std::to_string(size) + ",";
    std::string header = fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}), }}",
                                     single ? '|' : '<', array.dtype, shape);
    header.append(63 - (10 + header.size()) % 64, ' ')
        .push_back('\n');  // the data start at a multiple of 64
    Buffer out;
    put(out, "\x93NUMPY\x01");
    put(out, 0, 1);
    put(out, header.size(), 2);
    put(out, header);
    out.insert(out.end(), array.bytes.begin(), array.bytes.end());
    // Never write what would not be read.
    const auto back = parse_npy(out.data(), out.size(), "array to be written");
    if (back.dtype != array.dtype || back.bytes.size() != array.bytes.size()) {
        throw Error(fmt::format("array to be written: dtype '{}' is not written", array.dtype));
    }
    return out;
}

// The fields that a member's local and central headers share, from "version needed" on.
void put_common(Buffer& out, const std::string& name, uint32_t crc, uint64_t size) {
    put(out, 20, 2);      // version needed
    put(out, 0x0800, 2);  // names are UTF-8
    put(out, 0, 2);       // stored
    put(out, 0, 2);
    put(out, 0x0021, 2);  // 1 January 1980: same arrays, same bytes
    put(out, crc, 4);
    put(out, size, 4);
    put(out, size, 4);
    put(out, name.size(), 2);
    put(out, 0, 2);
}

std::string_view text_of(const Buffer& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

NpyArray npy_array(const torch::Tensor& tensor) {
    if (!tensor.defined()) throw Error("npy_array: got an undefined tensor");
    const auto x = tensor.detach()
                       .to(torch::kCPU)
                       .contiguous();  // values for a file: no gradient goes through
    NpyArray out;
    switch (x.scalar_type()) {
        case torch::kFloat:
            out.dtype = "f4";
            break;
        case torch::kDouble:
            out.dtype = "f8";
            break;
        case torch::kInt:
            out.dtype = "i4";
            break;
        case torch::kLong:
            out.dtype = "i8";
            break;
        case torch::kByte:
            out.dtype = "u1";
            break;
        case torch::kBool:
            out.dtype = "b1";
            break;
        default:
            throw Error(
                fmt::format("npy_array: dtype {} is not written", c10::toString(x.scalar_type())));
    }
    out.shape = x.sizes().vec();
    const auto* data = static_cast<const uint8_t*>(x.data_ptr());
    out.bytes.assign(data, data + x.nbytes());
    return out;
}

NpyArray npy_array(const std::vector<std::string>& text) {
    std::vector<std::vector<uint32_t>> rows;
    size_t length = 1;
    for (const auto& row : text) {
        rows.push_back(code_points(row));
        length = std::max(length, rows.back().size());
    }
    NpyArray out{"U" + std::to_string(length), {static_cast<int64_t>(text.size())}, {}};
    out.bytes.assign(4 * length * text.size(), 0);
    for (size_t i = 0; i < rows.size(); ++i) {
        if (!rows[i].empty())
            std::memcpy(out.bytes.data() + 4 * length * i, rows[i].data(), 4 * rows[i].size());
    }
    return out;
}

void write_npy(const std::filesystem::path& file, const NpyArray& array) {
    const auto bytes = npy_bytes(array);
    write_whole(file, text_of(bytes));
}

void write_npz(const std::filesystem::path& file, const NpzFile& arrays) {
    Buffer out, directory;
    for (const auto& [key, array] : arrays) {
        const auto name = key + ".npy";
        const auto bytes = npy_bytes(array);
        const auto crc = static_cast<uint32_t>(crc32_z(0, bytes.data(), bytes.size()));
        const uint64_t start = out.size();
        if (name.size() > 0xFFFF || start + bytes.size() > 0xFFFF0000) {
            throw Error(fmt::format("{}: '{}': files of 4 GiB and more are not written",
                                    file.string(), key));
        }
        put(directory, kCentral, 4);
        put(directory, 20, 2);
        put_common(directory, name, crc, bytes.size());
        put(directory, 0, 2 + 2 + 2);  // comment, disk, attributes
        put(directory, 0, 4);
        put(directory, start, 4);
        put(directory, name);
        put(out, kLocal, 4);
        put_common(out, name, crc, bytes.size());
        put(out, name);
        out.insert(out.end(), bytes.begin(), bytes.end());
    }
    if (arrays.size() > 0xFFFE)
        throw Error(
            fmt::format("{}: {} arrays are too many for one file", file.string(), arrays.size()));
    const uint64_t start = out.size();
    out.insert(out.end(), directory.begin(), directory.end());
    put(out, kEnd, 4);
    put(out, 0, 4);
    put(out, arrays.size(), 2);
    put(out, arrays.size(), 2);
    put(out, directory.size(), 4);
    put(out, start, 4);
    put(out, 0, 2);
    write_whole(file, text_of(out));
}

}  // namespace fmgs
