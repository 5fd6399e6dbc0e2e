#pragma once
/// Surfels carried into the camera's frame on the CPU, a row at a time, forward and backward: what
/// two dozen operators of torch find on other devices, in one pass over memory.
#include <fmgs/core/types.h>

namespace fmgs::detail {

/// Surfels in the camera's frame, as they are drawn.
struct CameraRows {
    torch::Tensor center;    ///< [N,3]
    torch::Tensor tangents;  ///< [N,3,2]
    torch::Tensor opacity;   ///< [N,1]; times what the Mip filter keeps of it
};

/// Of surfels in the world: center [N,3], tangents [N,3,2], opacity [N,1]. No gradient reaches the
/// camera. A second derivative raises.
CameraRows camera_rows(const torch::Tensor& center, const torch::Tensor& tangents,
                       const torch::Tensor& opacity, const Camera& camera, bool mip);

}  // namespace fmgs::detail
