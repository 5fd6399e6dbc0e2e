#include <fmgs/core/operators.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/library.h>

#include <algorithm>
#include <array>

namespace fmgs::detail {
namespace {

constexpr std::array kNames{"fmgs::find_tiles", "fmgs::rasterize", "fmgs::hash_encode",
                            "fmgs::ssim"};

/// The node behind the outputs of a backward pass.
struct NoSecondDerivative : torch::autograd::Node {
    explicit NoSecondDerivative(const char* of) : operator_name(of) {}
    torch::autograd::variable_list apply(torch::autograd::variable_list&&) override {
        throw Error(fmt::format(
            "{}: it has no second derivative; do not differentiate its gradient (create_graph)",
            operator_name));
    }
    std::string name() const override { return fmt::format("{} (backward)", operator_name); }

    std::string operator_name;
};

}  // namespace

bool has_kernels(torch::Device device) {
    const auto key = c10::computeDispatchKey(std::nullopt, torch::kStrided, device);
    return std::all_of(kNames.begin(), kNames.end(), [key](const char* name) {
        return c10::Dispatcher::singleton()
            .findSchemaOrThrow(name, "")
            .hasComputedKernelForDispatchKey(key);
    });
}

std::vector<torch::Tensor> once_differentiable(const char* name, torch::TensorList inputs,
                                               std::vector<torch::Tensor> outputs) {
    if (!torch::autograd::compute_requires_grad(inputs)) return outputs;
    const std::shared_ptr<torch::autograd::Node> node(new NoSecondDerivative(name),
                                                      torch::autograd::deleteNode);
    node->set_next_edges(torch::autograd::collect_next_edges(inputs));
    torch::autograd::set_history(outputs, node);
    return outputs;
}

}  // namespace fmgs::detail

// An operator whose name begins with an underscore is the backward pass, or a part, of the one
// before. Shapes, units and equations: docs/extend/operator.md.
TORCH_LIBRARY(fmgs, m) {
    m.def(
        "find_tiles(Tensor center, Tensor tangents, Tensor opacity, Tensor intrinsics, SymInt "
        "width, SymInt height, float near, float low_pass, int tile_size) -> "
        "(Tensor offsets, Tensor indices, Tensor level)",
        {at::Tag::dynamic_output_shape});
    m.def(
        "rasterize(Tensor center, Tensor tangents, Tensor opacity, Tensor features, Tensor "
        "channel_route, Tensor intrinsics, Tensor tile_offsets, Tensor tile_indices, Tensor? "
        "tile_level, SymInt width, SymInt height, int tile_size, float near, float low_pass) -> "
        "(Tensor image, Tensor alpha, Tensor depth, Tensor transmittance, Tensor last)");
    m.def(
        "_rasterize_backward(Tensor? grad_image, Tensor? grad_alpha, Tensor? grad_depth, Tensor "
        "center, Tensor tangents, Tensor opacity, Tensor features, Tensor channel_route, Tensor "
        "intrinsics, Tensor tile_offsets, Tensor tile_indices, Tensor? tile_level, Tensor "
        "transmittance, Tensor last, int tile_size, float near, float low_pass, bool "
        "needs_features) -> "
        "(Tensor center, Tensor tangents, Tensor opacity, Tensor features, Tensor intrinsics)");
    m.def(
        "hash_encode(Tensor table, Tensor x, int levels, int base_resolution, int "
        "finest_resolution, int log2_hashmap_size, Tensor[] corners) -> Tensor");
    m.def(
        "_hash_encode_backward(Tensor grad, Tensor table, Tensor x, int levels, int "
        "base_resolution, int finest_resolution, int log2_hashmap_size, Tensor[] corners, bool[2] "
        "needs) -> (Tensor, Tensor)");
    m.def("ssim(Tensor x, Tensor y) -> Tensor");
    m.def("_ssim_slopes(Tensor x, Tensor y) -> (Tensor dissimilarity, Tensor slopes)");
    m.def("_ssim_backward(Tensor grad, Tensor x, Tensor y, Tensor slopes) -> Tensor");
}
