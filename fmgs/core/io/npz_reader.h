#pragma once
/// Headers before values: what an .npy says of itself, and an .npz of which only the arrays that
/// are asked for are unpacked.
#include <fmgs/core/io/npz.h>

#include <memory>

namespace fmgs {

/// What an array says of itself before its values.
struct NpyHeader {
    std::string dtype;           ///< as in NpyArray; ">f8" when it is big endian
    std::vector<int64_t> shape;  ///< empty for a scalar
    bool fortran_order = false;
    size_t start = 0;  ///< of the values in the file
};

/// The first kLongestNpyHeader bytes of an .npy are enough for it. Error, with `what` in front,
/// when they are none.
NpyHeader parse_npy_header(const uint8_t* data, size_t size, const std::string& what);
constexpr size_t kLongestNpyHeader = 1 << 17;
/// Reads the beginning of the file only.
NpyHeader read_npy_header(const std::filesystem::path& file);
/// The values of an .npy file; the Error of a dtype that no tensor has names the file.
torch::Tensor read_npy_tensor(const std::filesystem::path& file);

/// An .npz file of which only the directory is read; an array is unpacked when it is asked for.
/// Errors name the file and the array.
class NpzReader {
  public:
    explicit NpzReader(const std::filesystem::path& file);
    /// The same of bytes that were read already; `what` is the file's name.
    NpzReader(std::string bytes, const std::string& what);
    ~NpzReader();
    NpzReader(NpzReader&&) noexcept;
    NpzReader& operator=(NpzReader&&) noexcept;

    /// The file's name.
    const std::string& name() const;
    std::vector<std::string> names() const;  ///< of the arrays
    /// "betas, poses, trans", or "none".
    std::string keys() const;
    bool contains(const std::string& key) const;
    /// Error, which lists the keys, when there is no such array. Unpacks the beginning only.
    NpyHeader header(const std::string& key) const;
    /// The .npy as it lies in the archive. Errors as of array().
    std::vector<uint8_t> bytes(const std::string& key) const;
    /// Error, too, when the array is damaged or larger than the memory that is free.
    NpyArray array(const std::string& key) const;
    torch::Tensor tensor(const std::string& key) const;
    std::vector<std::string> strings(const std::string& key) const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace fmgs
