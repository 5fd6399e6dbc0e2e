/// fmgs::hash_encode under autograd.
#include <fmgs/core/operators.h>
#include <fmgs/fields/hash/hash_encode_op.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

namespace fmgs::detail {
namespace {

auto encode_op() {
    static const auto op = find_operator<EncodeSignature>("fmgs::hash_encode");
    return op;
}

auto encode_backward_op() {
    static const auto op = find_operator<EncodeBackwardSignature>("fmgs::_hash_encode_backward");
    return op;
}

class HashEncode : public torch::autograd::Function<HashEncode> {
  public:
    static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& table,
                          const Tensor& x, int64_t levels, int64_t base_resolution,
                          int64_t finest_resolution, int64_t log2_hashmap_size,
                          const std::vector<Tensor>& corners) {
        at::AutoDispatchBelowADInplaceOrView below;
        torch::autograd::variable_list saved{table, x};
        saved.insert(saved.end(), corners.begin(), corners.end());
        context->save_for_backward(std::move(saved));
        context->saved_data["rule"] =
            std::vector<int64_t>{levels, base_resolution, finest_resolution, log2_hashmap_size};
        return encode_op().call(table, x, levels, base_resolution, finest_resolution,
                                log2_hashmap_size, corners);
    }

    static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                   torch::autograd::variable_list grads) {
        const auto saved = context->get_saved_variables();
        const auto rule = context->saved_data["rule"].toIntVector();
        const std::vector<Tensor> corners(saved.begin() + 2, saved.end());
        const std::array<bool, 2> needs{context->needs_input_grad(0),
                                        context->needs_input_grad(1) && corners.empty()};
        auto [table, x] = encode_backward_op().call(grads[0], saved[0], saved[1], rule[0], rule[1],
                                                    rule[2], rule[3], corners, needs);
        return {table, x, {}, {}, {}, {}, {}};
    }
};

Tensor hash_encode_autograd(const Tensor& table, const Tensor& x, int64_t levels,
                            int64_t base_resolution, int64_t finest_resolution,
                            int64_t log2_hashmap_size, at::TensorList corners) {
    return HashEncode::apply(table, x, levels, base_resolution, finest_resolution,
                             log2_hashmap_size, corners.vec());
}

std::tuple<Tensor, Tensor> hash_encode_backward_autograd(
    const Tensor& grad, const Tensor& table, const Tensor& x, int64_t levels,
    int64_t base_resolution, int64_t finest_resolution, int64_t log2_hashmap_size,
    at::TensorList corners, std::array<bool, 2> needs) {
    std::tuple<Tensor, Tensor> gradients;
    {
        at::AutoDispatchBelowADInplaceOrView below;
        gradients = encode_backward_op().call(grad, table, x, levels, base_resolution,
                                              finest_resolution, log2_hashmap_size, corners, needs);
    }
    const auto out = once_differentiable("hash_encode", {grad, table, x},
                                         {std::get<0>(gradients), std::get<1>(gradients)});
    return {out[0], out[1]};
}

}  // namespace
}  // namespace fmgs::detail

TORCH_LIBRARY_IMPL(fmgs, Autograd, m) {
    using namespace fmgs::detail;
    m.impl("hash_encode", hash_encode_autograd);
    m.impl("_hash_encode_backward", hash_encode_backward_autograd);
}
