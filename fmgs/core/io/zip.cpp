#include <fmgs/core/io/zip.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

namespace fmgs::detail {
namespace {

// Signatures and sizes of the zip format (PKWARE's APPNOTE 4.3).
constexpr uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50;
constexpr uint32_t kEnd64 = 0x06064b50, kLocator64 = 0x07064b50;
constexpr size_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22, kEnd64Size = 56,
                 kLocator64Size = 20;
constexpr uint64_t kMaxRatio = 1032;  // of deflate; a member that claims more is a lie

/// Bytes with a bound; every read is checked.
struct Bytes {
    const uint8_t* data;
    size_t size;
    const std::string& what;

    template <class... Args>
    [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
        throw Error(fmt::format("{}: {}", what, fmt::format(format, std::forward<Args>(args)...)));
    }
    bool holds(uint64_t offset, uint64_t count) const {
        return offset <= size && count <= size - offset;
    }
    void need(uint64_t offset, uint64_t count) const {
        if (!holds(offset, count))
            fail("cut off: {} bytes at {} lie outside its {} bytes", count, offset, size);
    }
    uint64_t number(uint64_t offset, int bytes) const {
        need(offset, static_cast<uint64_t>(bytes));
        uint64_t value = 0;
        for (int i = bytes; i-- > 0;)
            value = (value << 8) | data[offset + static_cast<uint64_t>(i)];
        return value;
    }
    uint64_t u16(uint64_t offset) const { return number(offset, 2); }
    uint64_t u32(uint64_t offset) const { return number(offset, 4); }
    uint64_t u64(uint64_t offset) const { return number(offset, 8); }
};

struct Directory {
    uint64_t offset = 0, size = 0, entries = 0;
};

Directory find_directory(const Bytes& file) {
    if (file.size < kEndSize) file.fail("not a zip file: only {} bytes", file.size);
    const size_t lowest = file.size - std::min<size_t>(file.size, kEndSize + 0xFFFF);
    for (size_t at = file.size - kEndSize + 1; at-- > lowest;) {
        if (file.u32(at) != kEnd || file.u16(at + 20) != file.size - at - kEndSize) continue;
        Directory out{file.u32(at + 16), file.u32(at + 12), file.u16(at + 10)};
        if (at >= kLocator64Size && file.u32(at - kLocator64Size) == kLocator64) {
            const auto end64 = file.u64(at - kLocator64Size + 8);
            file.need(end64, kEnd64Size);
            if (file.u32(end64) != kEnd64) file.fail("the zip64 end record is missing");
            out = {file.u64(end64 + 48), file.u64(end64 + 40), file.u64(end64 + 32)};
        }
        file.need(out.offset, out.size);
        if (out.entries > out.size / kCentralSize)
            file.fail("{} members do not fit its directory", out.entries);
        return out;
    }
    file.fail("not a zip file, or cut off: its directory is missing");
}

// Replaces the 32-bit fields that say "see the zip64 extra field".
void read_extra64(const Bytes& file, uint64_t at, uint64_t end, ZipMember& member) {
    constexpr uint64_t kElsewhere = 0xFFFFFFFF;
    while (at + 4 <= end) {
        const auto id = file.u16(at), length = file.u16(at + 2);
        at += 4;
        if (length > end - at) file.fail("'{}': a broken extra field", member.name);
        if (id == 1) {
            uint64_t field = at;
            for (auto* value : {&member.size, &member.packed, &member.header}) {
                if (*value != kElsewhere) continue;
                if (field + 8 > at + length) file.fail("'{}': a broken zip64 field", member.name);
                *value = file.u64(field);
                field += 8;
            }
        }
        at += length;
    }
}

std::vector<ZipMember> read_directory(const Bytes& file) {
    const auto directory = find_directory(file);
    std::vector<ZipMember> members;
    uint64_t at = directory.offset, packed_total = 0;
    const uint64_t end = directory.offset + directory.size;
    for (uint64_t i = 0; i < directory.entries; ++i) {
        if (kCentralSize > end - at || file.u32(at) != kCentral)
            file.fail("its directory is broken at {}", at);
        const auto name = file.u16(at + 28), extra = file.u16(at + 30), comment = file.u16(at + 32);
        if (name + extra + comment > end - at - kCentralSize)
            file.fail("its directory is broken at {}", at);
        ZipMember member;
        member.name.assign(reinterpret_cast<const char*>(file.data) + at + kCentralSize, name);
        if (file.u16(at + 8) & 1) file.fail("'{}' is encrypted", member.name);
        member.method = file.u16(at + 10);
        member.crc = file.u32(at + 16);
        member.packed = file.u32(at + 20);
        member.size = file.u32(at + 24);
        member.header = file.u32(at + 42);
        read_extra64(file, at + kCentralSize + name, at + kCentralSize + name + extra, member);
        // ZipMembers may not share bytes: their sum bounds all that is ever allocated.
        if (member.packed > file.size || (packed_total += member.packed) > file.size) {
            file.fail("'{}' is larger than the file", member.name);
        }
        members.push_back(std::move(member));
        at += kCentralSize + name + extra + comment;
    }
    return members;
}

void check_claim(const Bytes& file, const ZipMember& member) {
    if (member.method == 8 && member.size / kMaxRatio > member.packed)
        file.fail("'{}' claims an impossible size", member.name);
}

// Inflates the first `limit` bytes, into memory that grows with what really comes out, never with
// what a header claims.
std::vector<uint8_t> inflated(const Bytes& file, const ZipMember& member, uint64_t start,
                              uint64_t limit) {
    check_claim(file, member);
    const uint64_t size = std::min(member.size, limit);
    z_stream stream{};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) file.fail("zlib cannot start");
    std::vector<uint8_t> out(std::min<uint64_t>(size, 1 << 16));
    uint64_t taken = 0, made = 0;
    int status = Z_OK;
    uint8_t beyond = 0;  // one byte past the claimed size shows a member that is longer
    constexpr uint64_t kChunk = 1 << 30;  // zlib counts in 32 bits
    while (status == Z_OK && (size < member.size ? made < size : made <= size)) {
        if (made == out.size()) out.resize(std::min<uint64_t>(size, 2 * out.size()));
        const uint64_t space = std::min<uint64_t>(out.size() - made, kChunk);
        const uint64_t input = std::min<uint64_t>(member.packed - taken, kChunk);
        stream.next_in = const_cast<Bytef*>(file.data + start + taken);
        stream.avail_in = static_cast<uInt>(input);
        stream.next_out = space ? out.data() + made : &beyond;
        stream.avail_out = static_cast<uInt>(space ? space : 1);
        status = inflate(&stream, Z_NO_FLUSH);
        taken += input - stream.avail_in;
        made += (space ? space : 1) - stream.avail_out;
    }
    inflateEnd(&stream);
    const bool whole = status == Z_STREAM_END && made == member.size && taken == member.packed;
    if (!whole && (size == member.size || made != size)) {
        file.fail("'{}' is corrupt (it does not inflate to {} bytes)", member.name, member.size);
    }
    return out;
}

}  // namespace

Zip::Zip(const uint8_t* data, size_t size, std::string what)
    : data_(data),
      size_(size),
      what_(std::move(what)),
      members_(read_directory({data_, size_, what_})) {}

void Zip::check_claim(const ZipMember& member) const {
    detail::check_claim({data_, size_, what_}, member);
}

std::vector<uint8_t> Zip::unpack(const ZipMember& member, uint64_t limit) const {
    const Bytes file{data_, size_, what_};
    file.need(member.header, kLocalSize);
    if (file.u32(member.header) != kLocal)
        file.fail("'{}': its local header is missing", member.name);
    const uint64_t start =
        member.header + kLocalSize + file.u16(member.header + 26) + file.u16(member.header + 28);
    file.need(start, member.packed);
    std::vector<uint8_t> out;
    if (member.method == 0) {
        if (member.size != member.packed) file.fail("'{}' is corrupt (sizes differ)", member.name);
        out.assign(file.data + start, file.data + start + std::min(member.packed, limit));
    } else if (member.method == 8) {
        out = inflated(file, member, start, limit);
    } else {
        file.fail("'{}': compression method {} is not read (stored and deflated members are)",
                  member.name, member.method);
    }
    if (member.size <= limit && crc32_z(0, out.data(), out.size()) != member.crc)
        file.fail("'{}' is corrupt (its checksum differs)", member.name);
    return out;
}

}  // namespace fmgs::detail
