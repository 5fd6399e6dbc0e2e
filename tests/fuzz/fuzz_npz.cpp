/// .npz files, and .npy files when the input begins like one.
#include <fmgs/core/io/npz_reader.h>

#include <cstring>

#include "target.h"

using namespace fmgs;

namespace {

void use(const NpyArray& array) {
    try {
        array.dtype[0] == 'U' ? void(array.strings()) : void(array.tensor());
    } catch (const Error&) {  // this one is not read; the file is
    }
}

}  // namespace

void read_input(const uint8_t* data, size_t size) {
    if (size > 5 && std::memcmp(data, "\x93NUMPY", 6) == 0) {
        parse_npy_header(data, size, "input");
        return use(parse_npy(data, size, "input"));
    }
    for (const auto& [key, array] : parse_npz(data, size, "input")) use(array);
}
