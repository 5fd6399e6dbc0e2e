// The sources of the CUDA hash grid as one C++ file. The names of its entry points are changed, for
// programs that link the real ones too.
#define hash_encode_cuda shim_hash_encode_cuda
#define hash_encode_cuda_backward shim_hash_encode_cuda_backward
// clang-format off
#include <fmgs/fields/hash/hash_grid_kernels.cu>
#include <fmgs/fields/hash/hash_transpose_kernels.cu>
#include <fmgs/fields/hash/hash_sort_kernels.cu>
#include <fmgs/fields/hash/hash_encode_cuda.cpp>  // NOLINT(bugprone-suspicious-include)
// clang-format on

#include "cuda_shim/hash_grid.h"

namespace fmgs::test {
namespace {

detail::EncodeInputs inputs(const torch::Tensor& table, const torch::Tensor& x,
                            const HashGridOptions& o, const std::vector<torch::Tensor>& corners) {
    return {
        detail::hash_levels(o.levels, o.base_resolution, o.finest_resolution, o.log2_hashmap_size),
        table, x, corners};
}

}  // namespace

torch::Tensor shim_hash_encode(const torch::Tensor& table, const torch::Tensor& x,
                               const HashGridOptions& options,
                               const std::vector<torch::Tensor>& corners) {
    const auto in = inputs(table, x, options, corners);
    return table.scalar_type() == torch::kFloat ? detail::encode_on_device<float>(in)
                                                : detail::encode_on_device<double>(in);
}

std::tuple<torch::Tensor, torch::Tensor> shim_hash_encode_backward(
    const torch::Tensor& grad, const torch::Tensor& table, const torch::Tensor& x,
    const HashGridOptions& options, const std::vector<torch::Tensor>& corners,
    std::array<bool, 2> needs) {
    const auto in = inputs(table, x, options, corners);
    return table.scalar_type() == torch::kFloat
               ? detail::encode_backward_on_device<float>(in, grad, needs)
               : detail::encode_backward_on_device<double>(in, grad, needs);
}

std::vector<torch::Tensor> shim_live_transpose(const torch::Tensor& table, const torch::Tensor& x,
                                               const HashGridOptions& options) {
    const auto in = inputs(table, x, options, {});
    const detail::DeviceEncode<float> call(in);
    const auto lists = detail::transpose_on_device<float>(in, call);
    return {lists.row_offsets, lists.columns, lists.weights};
}

torch::Tensor shim_hash_encode_entry(const torch::Tensor& table, const torch::Tensor& x,
                                     const HashGridOptions& options) {
    return detail::shim_hash_encode_cuda(inputs(table, x, options, {}));
}

}  // namespace fmgs::test
