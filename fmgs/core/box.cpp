#include <fmgs/core/box.h>

#include <algorithm>

namespace fmgs {
namespace {

// First and last+1 index that is set [L], grown by a margin; the same number where none is.
std::pair<int64_t, int64_t> extent(const torch::Tensor& set, int64_t margin) {
    const auto at = set.nonzero();
    if (at.size(0) == 0) return {0, 0};
    return {std::max<int64_t>(0, at[0].item<int64_t>() - margin),
            std::min(set.size(0), at[-1].item<int64_t>() + 1 + margin)};
}

}  // namespace

torch::Tensor Box::view(const torch::Tensor& x) const {
    return x.narrow(-2, top, bottom - top).narrow(-1, left, right - left);
}

torch::Tensor Box::cut(const torch::Tensor& x) const {
    return torch::constant_pad_nd(x, {-left, right - x.size(-1), -top, bottom - x.size(-2)});
}

Camera Box::cut(Camera camera) const {
    const auto corner =
        torch::tensor({int64_t(0), int64_t(0), left, top}, camera.intrinsics.options());
    camera.intrinsics = camera.intrinsics - corner;
    camera.width = right - left;
    camera.height = bottom - top;
    return camera;
}

Box box_around(const torch::Tensor& set, int64_t margin) {
    Box box;
    std::tie(box.top, box.bottom) = extent(set.any(1), margin);
    std::tie(box.left, box.right) = extent(set.any(0), margin);
    return box;
}

}  // namespace fmgs
