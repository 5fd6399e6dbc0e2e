#include <fmgs/fields/mlp_blocks.h>

#include <ATen/Parallel.h>
#include <fmgs/core/operators.h>
#include <fmgs/fields/mlp_loops.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/utils.h>

namespace fmgs::detail {
namespace {

using torch::Tensor;
using torch::autograd::variable_list;

constexpr int64_t kRows = 1024;  // of a block
constexpr int64_t kParts = 16;   // at most; each has sums of its own

/// Calls f(part, begin, count) for blocks of rows; one thread has a part, from its first block on.
template <class F>
void for_blocks(int64_t rows, F&& f) {
    const int64_t parts = std::clamp((rows + kRows - 1) / kRows, int64_t{1}, kParts);
    at::parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
        const at::AutoDispatchBelowADInplaceOrView below;
        for (int64_t part = first; part < last; ++part) {
            const int64_t end = rows * (part + 1) / parts;
            for (int64_t begin = rows * part / parts; begin < end; begin += kRows)
                f(part, begin, std::min(kRows, end - begin));
        }
    });
}

/// The weights as the products of layers take them.
struct Layers {
    variable_list weights, biases;
    at::ScalarType type;

    Layers(at::TensorList w, at::TensorList b, at::ScalarType of_products)
        : weights(w.vec()), biases(b.vec()), type(of_products) {
        for (auto& weight : weights) weight = weight.to(type);
        for (auto& bias : biases) bias = bias.contiguous();
    }
    size_t count() const { return weights.size(); }
};

/// x [rows,…], or its values in the type of the products.
Tensor in_type(const Tensor& x, at::ScalarType type) {
    if (x.scalar_type() == type) return x;
    if (type != torch::kBFloat16 || x.scalar_type() != torch::kFloat || !x.is_contiguous())
        return x.to(type);
    const auto out = torch::empty(x.sizes(), x.options().dtype(type));
    convert(x.const_data_ptr<float>(), x.numel(), out.data_ptr<c10::BFloat16>());
    return out;
}

/// Calls f(T(), S()) with the types of parameters and of what lies between layers.
template <class F>
void with_types(at::ScalarType parameters, at::ScalarType between, F&& f) {
    if (between == torch::kBFloat16)
        f(float(), c10::BFloat16());
    else if (parameters == torch::kFloat)
        f(float(), float());
    else
        f(double(), double());
}

/// inputs: those of all layers, x and what comes out of a LeakyReLU, in the type of the products.
/// last: the weight of the last layer as it is, whose output keeps x's type.
Tensor forward_in_blocks(const Tensor& x, const Layers& layers, const Tensor& last,
                         variable_list& inputs) {
    const int64_t N = x.size(0);
    const bool same = x.scalar_type() == layers.type;
    inputs.push_back(same ? x : torch::empty(x.sizes(), x.options().dtype(layers.type)));
    for (size_t k = 0; k + 1 < layers.count(); ++k)
        inputs.push_back(
            torch::empty({N, layers.weights[k].size(0)}, x.options().dtype(layers.type)));
    const auto out = torch::empty({N, last.size(0)}, x.options());
    for_blocks(N, [&](int64_t, int64_t begin, int64_t count) {
        const auto block = [&](const Tensor& rows) { return rows.narrow(0, begin, count); };
        if (!same) block(inputs[0]).copy_(in_type(block(x), layers.type));
        for (size_t k = 0; k < layers.count(); ++k) {
            const bool is_last = k + 1 == layers.count();
            auto next = block(is_last ? out : inputs[k + 1]);
            const auto h = block(inputs[k]);
            if (is_last)
                at::mm_out(next, h.to(last.scalar_type()), last.t());
            else
                at::mm_out(next, h, layers.weights[k].t());
            with_types(x.scalar_type(), next.scalar_type(), [&](auto t, auto s) {
                add_bias(next.data_ptr<decltype(s)>(),
                         layers.biases[k].const_data_ptr<decltype(t)>(), count, next.size(1),
                         !is_last);
            });
        }
    });
    return out;
}

struct LayerGradients {
    Tensor x;
    variable_list weights, biases;
};

/// g · LeakyReLU′, in place, where the layer's output is h; its sum over rows is added to `sum`.
Tensor through_leaky(const Tensor& g, const Tensor& h, const Tensor& sum) {
    with_types(sum.scalar_type(), h.scalar_type(), [&](auto t, auto s) {
        leaky_backward(g.data_ptr<decltype(s)>(), h.const_data_ptr<decltype(s)>(), h.size(0),
                       h.size(1), sum.data_ptr<decltype(t)>());
    });
    return g;
}

LayerGradients backward_in_blocks(const Tensor& grad, const Layers& layers,
                                  const variable_list& inputs, bool needs_x) {
    LayerGradients out;
    if (needs_x) out.x = torch::empty(inputs[0].sizes(), grad.options());
    for (size_t k = 0; k < layers.count(); ++k) {
        const auto &w = layers.weights[k], &b = layers.biases[k];
        out.weights.push_back(torch::zeros({kParts, w.size(0), w.size(1)}, grad.options()));
        out.biases.push_back(torch::zeros({kParts, b.size(0)}, grad.options()));
    }
    for_blocks(grad.size(0), [&](int64_t part, int64_t begin, int64_t count) {
        const auto block = [&](const Tensor& rows) { return rows.narrow(0, begin, count); };
        out.biases.back()[part].add_(block(grad).sum(0));
        auto g = in_type(block(grad), layers.type);
        for (size_t k = layers.count(); k-- > 0;) {
            const auto h = block(inputs[k]);
            out.weights[k][part].add_(at::mm(g.t(), h));
            if (k > 0)
                g = through_leaky(at::mm(g, layers.weights[k]), h, out.biases[k - 1][part]);
            else if (needs_x)
                block(out.x).copy_(at::mm(g, layers.weights[0]));
        }
    });
    for (size_t k = 0; k < layers.count(); ++k) {
        out.weights[k] = out.weights[k].sum(0);
        out.biases[k] = out.biases[k].sum(0);
    }
    return out;
}

class MlpInBlocks : public torch::autograd::Function<MlpInBlocks> {
  public:
    static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& x,
                          at::TensorList weights, at::TensorList biases, int64_t type) {
        at::AutoDispatchBelowADInplaceOrView below;
        variable_list inputs;
        const auto out = forward_in_blocks(
            x, Layers(weights, biases, static_cast<at::ScalarType>(type)), weights.back(), inputs);
        context->saved_data["type"] = type;
        variable_list saved;
        for (const at::TensorList list : {weights, biases, at::TensorList(inputs)})
            saved.insert(saved.end(), list.begin(), list.end());
        context->save_for_backward(std::move(saved));
        return out;
    }

    static variable_list backward(torch::autograd::AutogradContext* context, variable_list grads) {
        const auto saved = context->get_saved_variables();
        const at::TensorList all(saved);
        const size_t count = saved.size() / 3;  // of layers
        LayerGradients gradients;
        {
            at::AutoDispatchBelowADInplaceOrView below;
            const Layers layers(all.slice(0, count), all.slice(count, count),
                                static_cast<at::ScalarType>(context->saved_data["type"].toInt()));
            gradients =
                backward_in_blocks(grads[0].contiguous(), layers, all.slice(2 * count).vec(),
                                   context->needs_input_grad(0));
        }
        variable_list out{gradients.x};
        for (const auto* list : {&gradients.weights, &gradients.biases})
            out.insert(out.end(), list->begin(), list->end());
        out = once_differentiable("Mlp", saved, out);
        out.emplace_back();  // of the type
        return out;
    }
};

}  // namespace

Tensor mlp_in_blocks(const Tensor& x, const std::vector<Tensor>& weights,
                     const std::vector<Tensor>& biases, at::ScalarType type) {
    return MlpInBlocks::apply(x, at::TensorList(weights), at::TensorList(biases),
                              static_cast<int64_t>(type));
}

}  // namespace fmgs::detail
