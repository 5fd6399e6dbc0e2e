#pragma once
/// What the losses on maps share: targets that are there and fit, the foreground, means over a
/// domain that may be empty.
#include <fmgs/losses/loss.h>

namespace fmgs {

/// frame.maps[name] on the device and in the float type of `like`, or labels as they are. Error
/// naming frame and map when it is missing or its shape is not `shape` (-1 stands for any size).
torch::Tensor target(const LossInput& input, const std::string& name,
                     std::initializer_list<int64_t> shape, const torch::Tensor& like);

/// The mask of the frame as a bool, [H,W]: mask > 0.5.
torch::Tensor inside_mask(const LossInput& input, const torch::Tensor& like);

/// F = mask ∩ α > 0.5, bool [H,W]. Selecting pixels carries no gradient.
torch::Tensor foreground(const LossInput& input);

/// Mean of `value` where `where` (bool, same shape) holds; 0 when that is nowhere. Gradients are
/// finite in both cases as long as `value` is finite.
torch::Tensor masked_mean(const torch::Tensor& value, const torch::Tensor& where);

/// The pixels of `where` (bool [H,W]) of maps [C,H,W] as columns, with their weights: those pixels
/// alone, weight 1 — a body covers a tenth of its picture — or, with static shapes, all of them,
/// weight 1 or 0; the others come as `filler`.
class Columns {
  public:
    Columns(const torch::Tensor& where, bool static_shapes);
    torch::Tensor pick(const torch::Tensor& map, double filler = 0) const;  ///< [C,P]
    /// Mean of per-pixel values [P] over `where`; 0 when that is nowhere.
    torch::Tensor mean(const torch::Tensor& values) const;

  private:
    torch::Tensor where_;   // [P] bool of all pixels, or
    torch::Tensor pixels_;  // [P] int64 those of them
};

/// A zero that hangs on `x`, so that backward works where a loss has nothing to look at.
torch::Tensor connected_zero(const torch::Tensor& x);

}  // namespace fmgs
