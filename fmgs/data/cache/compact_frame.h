#pragma once
/// A frame's maps in few bytes, as they are kept between the steps of a training.
#include <fmgs/core/types.h>

namespace fmgs {

/// A map of type float as bytes where that loses nothing (colours and masks of 8 bits: all values
/// are 255ths), else in 16 bits: as 65520ths where it lies between 0 and 1 (at most 8e-6 off), else
/// in half precision (2⁻¹¹ of the value). Depth, whose order counts, and what is beyond the range
/// of half stay as they are. Labels from 0 to 255 as bytes; all else as it is.
struct CompactMap {
    std::string name;
    torch::Tensor stored;
    torch::Dtype type = torch::kFloat;  ///< of the map
};

struct CompactFrame {
    std::vector<CompactMap> maps, truth;

    /// Of both; a tensor that is in both counts once.
    size_t bytes() const;
    CompactFrame to(torch::Device device) const;
};

/// The maps and exact maps of a frame.
CompactFrame compact(const Frame& frame);

/// Puts them into the frame, in the types that they had; `truth`: the exact maps, too. They are not
/// to be written to: they may be those that are kept.
void expand(const CompactFrame& compact, bool truth, Frame& frame);

}  // namespace fmgs
