#pragma once
/// A tensor that is the same for ever, wherever it is used.
#include <torch/types.h>

#include <memory>

namespace fmgs {

/// Made once, in double on the CPU; a copy for each device and type is made when it is first asked
/// for, and kept. So there is nothing to refresh after a to(). Copies of a Constant share them. A
/// cache: never saved.
class Constant {
  public:
    explicit Constant(const torch::Tensor& value);
    /// The value on the device and in the type of x.
    torch::Tensor like(const torch::Tensor& x) const;

  private:
    struct Kept;
    std::shared_ptr<Kept> kept_;
};

}  // namespace fmgs
