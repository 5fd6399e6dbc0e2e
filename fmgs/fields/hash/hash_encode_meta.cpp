/// The shapes of what fmgs::hash_encode returns.
#include <fmgs/fields/hash/hash_encode_op.h>
#include <torch/library.h>

namespace fmgs::detail {
namespace {

Tensor hash_encode_meta(const Tensor& table, const Tensor& x, int64_t levels, int64_t, int64_t,
                        int64_t, at::TensorList) {
    return at::empty_symint({x.sym_size(0), table.sym_size(1) * levels}, table.options());
}

std::tuple<Tensor, Tensor> hash_encode_backward_meta(const Tensor&, const Tensor& table,
                                                     const Tensor& x, int64_t, int64_t, int64_t,
                                                     int64_t, at::TensorList,
                                                     std::array<bool, 2> needs) {
    const auto like = [](const Tensor& of, bool needed) {
        return needed ? at::empty_symint(of.sym_sizes(), of.options()) : Tensor();
    };
    return {like(table, needs[0]), like(x, needs[1])};
}

}  // namespace
}  // namespace fmgs::detail

TORCH_LIBRARY_IMPL(fmgs, Meta, m) {
    using namespace fmgs::detail;
    m.impl("hash_encode", hash_encode_meta);
    m.impl("_hash_encode_backward", hash_encode_backward_meta);
}
