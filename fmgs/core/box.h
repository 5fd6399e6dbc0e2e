#pragma once
/// The part of a picture in which something is. A body covers a tenth of its picture.
#include <fmgs/core/types.h>

namespace fmgs {

/// A box of pixels.
struct Box {
    int64_t top = 0, bottom = 0, left = 0, right = 0;

    bool is_empty() const { return top == bottom || left == right; }
    /// Of x [...,H,W], a view.
    torch::Tensor view(const torch::Tensor& x) const;
    /// The same as a tensor of its own, whose gradient returns to x in one pass.
    torch::Tensor cut(const torch::Tensor& x) const;
    /// The camera that sees what is in the box.
    Camera cut(Camera camera) const;
};

/// The smallest box around what is not 0 in `set` [H,W], grown by a margin within the picture.
/// Reads values back.
Box box_around(const torch::Tensor& set, int64_t margin = 0);

}  // namespace fmgs
