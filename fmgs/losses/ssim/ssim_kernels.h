#pragma once
/// The CUDA kernels of SSIM as seen from torch's side: parameters, and one launch function per
/// kernel. No torch. All pointers are device memory; arrays are contiguous.
///   S = (2 μ_x μ_y + C1)(2 (q_xy − μ_x μ_y) + C2) / ((μ_x² + μ_y² + C1)(q − μ_x² − μ_y² + C2))
/// with the window's means μ_x, μ_y, q = E[x² + y²] and q_xy = E[xy]. The window is symmetric and
/// pictures are zero outside, so with ⟨·⟩ the blur
///   dΣS/dx = ⟨∂S/∂μ_x⟩ + 2x ⟨∂S/∂q⟩ + y ⟨∂S/∂q_xy⟩
#include <cuda_runtime.h>
#include <fmgs/losses/ssim/ssim_window.h>

#include <cstdint>

namespace fmgs::detail {

/// The tile of a block, pixels.
constexpr int kSsimTileWidth = 32, kSsimTileHeight = 16;

struct SsimShape {
    int32_t channels, height, width;
};

template <class T>
struct SsimParams {
    SsimShape shape;
    T window[kSsimRadius + 1];  ///< by distance from the centre
    const T* x;                 ///< [C,H,W]
    const T* y;                 ///< [C,H,W]
    T* sums;                    ///< [ssim_blocks] out: Σ (1 − S) of each tile
    T* slopes;                  ///< [3,C,H,W] out: ∂S/∂μ_x, ∂S/∂q, ∂S/∂q_xy; or null
};

template <class T>
struct SsimBackwardParams {
    SsimShape shape;
    T window[kSsimRadius + 1];
    const T* x;       ///< [C,H,W]
    const T* y;       ///< [C,H,W]
    const T* slopes;  ///< [3,C,H,W]
    const T* grad;    ///< [1] dL/dΣ(1 − S)
    T* grad_x;        ///< [C,H,W] out
};

/// Tiles of all channels.
int64_t ssim_blocks(const SsimShape& shape);

template <class T>
cudaError_t launch_ssim(const SsimParams<T>& p, cudaStream_t stream);
template <class T>
cudaError_t launch_ssim_backward(const SsimBackwardParams<T>& p, cudaStream_t stream);

}  // namespace fmgs::detail
