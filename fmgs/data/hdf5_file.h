#pragma once
/// Data sets of an HDF5 file, with h5py's LZF compression. Needs libhdf5 (FMGS_HDF5=ON).
#include <torch/types.h>

#include <filesystem>
#include <memory>

namespace fmgs {

/// A file that stays open, so that chunks that span many rows are unpacked once. May be used by
/// several threads, which wait for each other. Errors name the file and the data set.
class Hdf5File {
  public:
    explicit Hdf5File(const std::filesystem::path& file);
    ~Hdf5File();

    std::vector<int64_t> shape(const std::string& name);
    /// Numbers of any kind → double.
    torch::Tensor read(const std::string& name);
    /// Row `row` of the first axis, of whole numbers → uint8 (what is above 255 becomes 255).
    torch::Tensor row(const std::string& name, int64_t row);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

namespace detail {

/// LZF (liblzf's format) → at most `size` bytes. Returns how many came out; 0 when the bytes are
/// damaged or are more than that.
size_t unpack_lzf(const uint8_t* in, size_t in_size, uint8_t* out, size_t size);

}  // namespace detail

}  // namespace fmgs
