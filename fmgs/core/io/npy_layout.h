#pragma once
/// How the values of NumPy's arrays lie in bytes: what .npy files and pickles share. Not public.
#include <fmgs/core/io/npz.h>

#include <optional>

namespace fmgs::detail {

/// Bytes of one element; nothing when this dtype is not read (objects, structures, complex, …).
std::optional<int64_t> item_size(const std::string& dtype);

/// "<f4" → "f4"; a foreign byte order stays in front: ">f4".
std::string plain_dtype(const std::string& descr);

/// Number of elements; Error unless the product of all sizes that are not zero fits 63 bits
/// (torch's strides need it), and for more than 32 dimensions.
int64_t checked_count(const std::vector<int64_t>& shape, const std::string& what);

/// The array of these bytes: C order, little endian. `descr` as NumPy writes it ("<f4", ">i2",
/// "|b1"). Error when the dtype is none that is read or when its shape does not go with `size`
/// bytes.
NpyArray array_of(const std::string& descr, const std::vector<int64_t>& shape, bool fortran_order,
                  const uint8_t* data, size_t size, const std::string& what);

/// The elements at these strides (bytes) in C order. Nothing is checked: `source` has to hold them
/// all, and their size has to fit.
std::vector<uint8_t> strided(const uint8_t* source, const std::vector<int64_t>& shape,
                             const std::vector<int64_t>& strides, int64_t item);

/// Big → little endian and back, in place; `width` bytes each.
void swap_bytes(std::vector<uint8_t>& bytes, int64_t width);

/// One element as a number, in C order. Error for text and for what does not fit.
double real_at(const NpyArray& array, int64_t i);
int64_t integer_at(const NpyArray& array, int64_t i);
/// Numbers or booleans, that is: no text.
bool is_numeric(const NpyArray& array);

/// UTF-8.
void append_utf8(std::string& text, uint32_t code_point);

}  // namespace fmgs::detail
