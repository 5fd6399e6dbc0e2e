#include <fmgs/fields/mlp_blocks.h>

#include <ATen/Parallel.h>
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

/// The weights as the products of layers take them: those of the last stay what they are.
struct Layers {
    variable_list weights, biases;

    Layers(at::TensorList w, at::TensorList b, at::ScalarType type)
        : weights(w.vec()), biases(b.vec()) {
        for (size_t k = 0; k + 1 < count(); ++k) weights[k] = weights[k].to(type);
        for (auto& bias : biases) bias = bias.contiguous();
    }
    size_t count() const { return weights.size(); }
    at::ScalarType type(size_t k) const { return weights[k].scalar_type(); }
};

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

/// hidden: the outputs of all layers but the last, after their LeakyReLU.
Tensor forward_in_blocks(const Tensor& x, const Layers& layers, variable_list& hidden) {
    const int64_t N = x.size(0);
    for (size_t k = 0; k + 1 < layers.count(); ++k)
        hidden.push_back(
            torch::empty({N, layers.weights[k].size(0)}, x.options().dtype(layers.type(k))));
    const auto out = torch::empty({N, layers.weights.back().size(0)}, x.options());
    for_blocks(N, [&](int64_t, int64_t begin, int64_t count) {
        auto h = x.narrow(0, begin, count);
        for (size_t k = 0; k < layers.count(); ++k) {
            const bool last = k + 1 == layers.count();
            auto next = (last ? out : hidden[k]).narrow(0, begin, count);
            at::mm_out(next, h.to(layers.type(k)), layers.weights[k].t());
            with_types(x.scalar_type(), next.scalar_type(), [&](auto t, auto s) {
                add_bias(next.data_ptr<decltype(s)>(),
                         layers.biases[k].const_data_ptr<decltype(t)>(), count, next.size(1),
                         !last);
            });
            h = next;
        }
    });
    return out;
}

struct LayerGradients {
    Tensor x;
    variable_list weights, biases;
};

/// g · LeakyReLU′ in the type of h, the layer's output; its sum over rows is added to `sum`.
Tensor through_leaky(const Tensor& g, const Tensor& h, const Tensor& sum) {
    const bool same = g.scalar_type() == h.scalar_type();
    const auto out = same ? g : torch::empty_like(h);
    with_types(sum.scalar_type(), h.scalar_type(), [&](auto t, auto s) {
        using T = decltype(t);
        using S = decltype(s);
        const auto run = [&](const auto* from) {
            leaky_backward(from, h.const_data_ptr<S>(), h.size(0), h.size(1), out.data_ptr<S>(),
                           sum.data_ptr<T>());
        };
        if (same)
            run(g.const_data_ptr<S>());
        else if constexpr (!std::is_same_v<T, S>)
            run(g.const_data_ptr<T>());
    });
    return out;
}

LayerGradients backward_in_blocks(const Tensor& grad, const Tensor& x, const Layers& layers,
                                  const variable_list& hidden, bool needs_x) {
    LayerGradients out;
    if (needs_x) out.x = torch::empty(x.sizes(), x.options());
    for (size_t k = 0; k < layers.count(); ++k) {
        const auto &w = layers.weights[k], &b = layers.biases[k];
        out.weights.push_back(torch::zeros({kParts, w.size(0), w.size(1)}, x.options()));
        out.biases.push_back(torch::zeros({kParts, b.size(0)}, x.options()));
    }
    for_blocks(x.size(0), [&](int64_t part, int64_t begin, int64_t count) {
        auto g = grad.narrow(0, begin, count);
        out.biases.back()[part].add_(g.sum(0));
        for (size_t k = layers.count(); k-- > 0;) {
            const auto h = (k > 0 ? hidden[k - 1] : x).narrow(0, begin, count);
            out.weights[k][part].add_(at::mm(g.t(), h.to(layers.type(k))));
            if (k > 0)
                g = through_leaky(at::mm(g, layers.weights[k]), h, out.biases[k - 1][part]);
            else if (needs_x)
                out.x.narrow(0, begin, count).copy_(at::mm(g, layers.weights[0]));
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
        variable_list hidden;
        auto out = forward_in_blocks(x, Layers(weights, biases, static_cast<at::ScalarType>(type)),
                                     hidden);
        context->saved_data["type"] = type;
        variable_list saved{x};
        for (const at::TensorList list : {weights, biases, at::TensorList(hidden)})
            saved.insert(saved.end(), list.begin(), list.end());
        context->save_for_backward(std::move(saved));
        return out;
    }

    static variable_list backward(torch::autograd::AutogradContext* context, variable_list grads) {
        const auto saved = context->get_saved_variables();
        const at::TensorList all(saved);
        const size_t count = saved.size() / 3;  // of layers: x, weights, biases, all but one hidden
        const Layers layers(all.slice(1, count), all.slice(1 + count, count),
                            static_cast<at::ScalarType>(context->saved_data["type"].toInt()));
        LayerGradients gradients;
        {
            at::AutoDispatchBelowADInplaceOrView below;
            gradients =
                backward_in_blocks(grads[0].contiguous(), saved[0], layers,
                                   all.slice(1 + 2 * count).vec(), context->needs_input_grad(0));
        }
        variable_list out{gradients.x};
        for (const auto* list : {&gradients.weights, &gradients.biases})
            out.insert(out.end(), list->begin(), list->end());
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
