#pragma once
/// What lies around the mask of a frame: all that most losses look at.
#include <fmgs/losses/box.h>

#include <map>
#include <optional>

namespace fmgs {

/// The smallest box around the mask (> 0.5), with what lies in it. A map that several losses share
/// is cut once, and its gradient put back once. Maps that it has cut must outlive it.
class MaskBox {
  public:
    /// None where there is no mask, nothing in it, or a map of another size than the camera's: the
    /// loss that reads it will complain of the whole.
    static std::optional<MaskBox> of(const Frame& frame);

    const Frame& frame() const { return frame_; }
    Maps cut(const Maps& maps);

  private:
    MaskBox(const Box& box, const Frame& whole);

    Box box_;
    Frame frame_;
    std::map<const void*, torch::Tensor> parts_;
};

}  // namespace fmgs
