#pragma once
/// A map as it lies in a file, whichever kind of file that is.
#include <torch/types.h>

#include <filesystem>
#include <string>

namespace fmgs {

struct StoredMap {
    /// [C,H,W]; of pictures grey; grey and alpha; red, green, blue; or these and alpha. Integers of
    /// any type, or float.
    torch::Tensor values;
    /// What is white: 255 or 65535 for pictures and arrays of bytes or of 16 bit, 1 for arrays of
    /// bool, else 0.
    int64_t white = 0;

    bool is_fraction() const { return values.is_floating_point(); }
};

/// A PNG or JPEG of 8 or 16 bit, an .npy, or an array of an .npz: (H,W), (1,H,W), (H,W,1), (H,W,3),
/// (3,H,W), or (1,3,H,W). `array` names one of an .npz; one that holds a single array needs none.
/// Error, naming the file: what pictures and arrays may be wrong with, another shape, several
/// arrays and no name.
StoredMap read_stored_map(const std::filesystem::path& file, const std::string& array = {});

/// What the header of such a file says of the map's size, in pixels. Error, too, for a picture that
/// is to be turned (check_upright).
struct MapSize {
    int64_t height = 0, width = 0;
};
MapSize stored_size(const std::filesystem::path& file, const std::string& array = {});

}  // namespace fmgs
