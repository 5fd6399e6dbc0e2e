/// The operator of the hash grid on a GPU.
#include <fmgs/fields/hash/hash_encode_cuda.h>
#include <torch/library.h>

TORCH_LIBRARY_IMPL(fmgs, CUDA, m) {
    using namespace fmgs::detail;
    m.impl("hash_encode", encode_kernel<&hash_encode_cuda>);
    m.impl("_hash_encode_backward", encode_backward_kernel<&hash_encode_cuda_backward>);
}
