#pragma once
/// A hardened reader and writer of NumPy's .npy and .npz (stored and deflated members, zip64,
/// either byte order, C and Fortran; dtypes f2 f4 f8 b1 i1 u1 i2 u2 i4 u4 i8 u8, U, S). Sizes are
/// checked before anything is allocated. No torch inside the parser: it works on bytes, and so it
/// fuzzes fast.
#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace fmgs {

/// One array as it lies in the file.
struct NpyArray {
    std::string dtype;           ///< "f4", "i8", "U12", …
    std::vector<int64_t> shape;  ///< empty for a scalar
    std::vector<uint8_t> bytes;  ///< C order, little endian

    int64_t count() const;
    /// As a tensor of the matching torch dtype (u2, u4 → int64; u8 must fit int64). Error for text.
    torch::Tensor tensor() const;
    /// Text of an array of U or S (UTF-8 out), one string per element.
    std::vector<std::string> strings() const;
};

using NpzFile = std::map<std::string, NpyArray>;

/// Error (with `what` in front, e.g. the path) when the bytes are not a whole and consistent file.
NpyArray parse_npy(const uint8_t* data, size_t size, const std::string& what);
NpzFile parse_npz(const uint8_t* data, size_t size, const std::string& what);
NpyArray read_npy(const std::filesystem::path& file);
NpzFile read_npz(const std::filesystem::path& file);

/// Arrays from tensors (float, double, int32, int64, uint8, bool), or text; written aside and
/// renamed.
NpyArray npy_array(const torch::Tensor& tensor);
NpyArray npy_array(const std::vector<std::string>& text);
void write_npy(const std::filesystem::path& file, const NpyArray& array);
void write_npz(const std::filesystem::path& file, const NpzFile& arrays);

}  // namespace fmgs
