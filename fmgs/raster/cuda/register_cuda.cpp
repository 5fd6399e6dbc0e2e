/// The rasterizer's operators on a GPU.
#include <fmgs/raster/cuda/rasterize_cuda.h>
#include <torch/library.h>

TORCH_LIBRARY_IMPL(fmgs, CUDA, m) {
    using namespace fmgs::raster;
    m.impl("find_tiles", find_tiles_kernel<&find_tiles_cuda>);
    m.impl("rasterize", rasterize_kernel<&rasterize_cuda>);
    m.impl("_rasterize_backward", rasterize_backward_kernel<&rasterize_cuda_backward>);
}
