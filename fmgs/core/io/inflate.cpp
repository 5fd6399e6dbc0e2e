#include <fmgs/core/io/inflate.h>

#include <fmgs/core/check.h>
#include <fmgs/core/memory.h>
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>

namespace fmgs::detail {
namespace {

constexpr size_t kMost = size_t{1} << 31;
constexpr size_t kChunk = size_t{1} << 30;  // zlib counts in 32 bits

struct Inflater {
    z_stream stream{};
    bool started = inflateInit2(&stream, MAX_WBITS + 32) == Z_OK;  // +32: either header
    ~Inflater() {
        if (started) inflateEnd(&stream);
    }
};

}  // namespace

std::string inflated(std::string_view bytes, const std::string& what) {
    Inflater inflater;
    if (!inflater.started) throw Error(fmt::format("{}: zlib cannot start", what));
    auto& stream = inflater.stream;
    std::string out(std::clamp<size_t>(2 * bytes.size(), 1 << 12, 1 << 26), '\0');
    size_t made = 0, taken = 0;
    int status = Z_OK;
    while (status == Z_OK) {
        if (made == out.size()) {
            if (out.size() >= kMost)
                throw Error(fmt::format("{}: unpacks to more than {}; is it what it claims to be?",
                                        what, memory_text(static_cast<double>(kMost))));
            check_memory(3 * static_cast<double>(out.size()), what, "is it what it claims to be?");
            out.resize(2 * out.size());
        }
        const size_t space = std::min(out.size() - made, kChunk);
        const size_t input = std::min(bytes.size() - taken, kChunk);
        stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data() + taken));
        stream.avail_in = static_cast<uInt>(input);
        stream.next_out = reinterpret_cast<Bytef*>(out.data() + made);
        stream.avail_out = static_cast<uInt>(space);
        status = inflate(&stream, Z_NO_FLUSH);
        taken += input - stream.avail_in;
        made += space - stream.avail_out;
    }
    if (status != Z_STREAM_END || taken != bytes.size())
        throw Error(fmt::format("{}: its compressed data are {}; copy or download it again", what,
                                status == Z_BUF_ERROR ? "cut off" : "damaged"));
    out.resize(made);
    return out;
}

}  // namespace fmgs::detail
