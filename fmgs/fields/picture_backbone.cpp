#include <fmgs/fields/picture_backbone.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/torchscript.h>
#include <fmgs/core/random.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>

namespace fmgs {

namespace {

constexpr int64_t kColors = 3, kPlaces = 2;

/// The pictures with x and y of every pixel, -1 to 1, as two more channels.
torch::Tensor with_places(const torch::Tensor& pictures) {
    const int64_t count = pictures.size(0), height = pictures.size(2), width = pictures.size(3);
    const auto x = torch::linspace(-1, 1, width, pictures.options()).view({1, 1, 1, width});
    const auto y = torch::linspace(-1, 1, height, pictures.options()).view({1, 1, height, 1});
    const std::vector<int64_t> size = {count, 1, height, width};
    return torch::cat({pictures, x.expand(size), y.expand(size)}, 1);
}

}  // namespace

ConvBackboneImpl::ConvBackboneImpl(int64_t channels, uint64_t seed) : channels_(channels) {
    if (channels < 1)
        throw Error(
            fmt::format("picture backbone: channels: expected 1 or more, got {}", channels));
    const auto generator = Random{seed}.generator("backbone");
    int64_t in = kColors + kPlaces;
    for (const int64_t factor : {1, 2, 4, 8, 8}) {
        const int64_t out = factor * channels;
        const double bound = std::sqrt(3.0 / static_cast<double>(9 * in));  // keeps the variance
        const auto k = std::to_string(weights_.size());
        weights_.push_back(register_parameter(
            "weight" + k, torch::empty({out, in, 3, 3}).uniform_(-bound, bound, generator)));
        biases_.push_back(register_parameter("bias" + k, torch::zeros({out})));
        in = out;
    }
}

torch::Tensor ConvBackboneImpl::forward(const torch::Tensor& pictures) {
    check_shape(pictures, {-1, kColors, -1, -1}, "pictures of the backbone");
    auto h = with_places(pictures);
    for (size_t k = 0; k < weights_.size(); ++k)
        h = torch::leaky_relu(torch::conv2d(h, weights_[k], biases_[k], 2, 1), 0.1);
    return h.mean({2, 3});
}

std::shared_ptr<torch::nn::Module> ConvBackboneImpl::clone(
    const std::optional<torch::Device>& device) const {
    return cloned(*this, device, channels_);
}

struct ScriptedBackboneImpl::Network {
    torch::jit::Module module;
    torch::Device device;
};

ScriptedBackboneImpl::ScriptedBackboneImpl(const std::filesystem::path& file, int64_t size)
    : file_(file),
      size_(size),
      network_(new Network{detail::load_torchscript(file, torch::kCPU), torch::kCPU}) {
    width_ = forward(torch::zeros({1, kColors, size, size})).size(1);
}

ScriptedBackboneImpl::~ScriptedBackboneImpl() = default;

torch::Tensor ScriptedBackboneImpl::forward(const torch::Tensor& pictures) {
    check_shape(pictures, {-1, kColors, -1, -1}, "pictures of the backbone");
    const torch::NoGradGuard guard;  // it is taken as it is
    auto& [module, device] = *network_;
    if (pictures.device() != device) {
        device = pictures.device();
        module.to(device);
    }
    torch::Tensor out;
    try {
        out = module.forward({pictures.to(torch::kFloat)}).toTensor();
    } catch (const std::exception&) {
        throw Error(
            fmt::format("{}: the network fails on pictures of {}x{}, or its answer is no "
                        "tensor: {}; give the size that it expects",
                        file_.string(), pictures.size(3), pictures.size(2),
                        detail::torchscript_reason(std::current_exception())));
    }
    if (out.dim() == 4) out = out.mean({2, 3});
    if (out.dim() != 2 || out.size(0) != pictures.size(0) || out.size(1) < 1 ||
        (width_ > 0 && out.size(1) != width_) || !out.isfinite().all().item<bool>())
        throw Error(fmt::format("{}: expected finite features [{},{}], or such maps, got {}",
                                file_.string(), pictures.size(0),
                                width_ > 0 ? std::to_string(width_) : "C", c10::str(out.sizes())));
    return out.to(pictures.scalar_type());
}

std::shared_ptr<torch::nn::Module> ScriptedBackboneImpl::clone(
    const std::optional<torch::Device>& device) const {
    return cloned(*this, device, file_, size_);
}

}  // namespace fmgs
