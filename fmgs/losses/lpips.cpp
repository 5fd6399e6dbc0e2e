#include <fmgs/losses/lpips.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/safetensors.h>
#include <fmgs/core/named_tensors.h>
#include <fmgs/losses/pixels.h>
#include <fmt/format.h>
#include <torch/nn/functional/pooling.h>

#include <algorithm>

namespace fmgs {
namespace {

namespace fs = std::filesystem;
constexpr int64_t kFormat = 1;
constexpr const char* kKind = "fmgs-lpips";

/// A convolution with its ReLU.
struct Layer {
    int64_t in, out, kernel, stride = 1, padding = 1;
    int64_t pool = 0;  ///< side of the maximum, stride 2, that is taken before it
    bool tap = false;  ///< its output is looked at
};

const std::vector<Layer>& layers_of(LpipsNetwork network) {
    static const std::vector<Layer> kVgg = {
        {3, 64, 3},
        {.in = 64, .out = 64, .kernel = 3, .tap = true},
        {.in = 64, .out = 128, .kernel = 3, .pool = 2},
        {.in = 128, .out = 128, .kernel = 3, .tap = true},
        {.in = 128, .out = 256, .kernel = 3, .pool = 2},
        {256, 256, 3},
        {.in = 256, .out = 256, .kernel = 3, .tap = true},
        {.in = 256, .out = 512, .kernel = 3, .pool = 2},
        {512, 512, 3},
        {.in = 512, .out = 512, .kernel = 3, .tap = true},
        {.in = 512, .out = 512, .kernel = 3, .pool = 2},
        {512, 512, 3},
        {.in = 512, .out = 512, .kernel = 3, .tap = true},
    };
    static const std::vector<Layer> kAlex = {
        {.in = 3, .out = 64, .kernel = 11, .stride = 4, .padding = 2, .tap = true},
        {.in = 64, .out = 192, .kernel = 5, .padding = 2, .pool = 3, .tap = true},
        {.in = 192, .out = 384, .kernel = 3, .pool = 3, .tap = true},
        {.in = 384, .out = 256, .kernel = 3, .tap = true},
        {.in = 256, .out = 256, .kernel = 3, .tap = true},
    };
    return network == LpipsNetwork::vgg ? kVgg : kAlex;
}

std::string name_of(LpipsNetwork network) { return network == LpipsNetwork::vgg ? "vgg" : "alex"; }

/// What the weights of a network are called, and their shapes.
TensorDict expected_weights(LpipsNetwork network) {
    TensorDict out;
    int64_t k = 0, tap = 0;
    const auto add = [&](const std::string& name, torch::IntArrayRef shape) {
        out.set(name, torch::empty({}, torch::kFloat32).expand(shape));
    };
    for (const auto& layer : layers_of(network)) {
        add(fmt::format("conv.{}.weight", k), {layer.out, layer.in, layer.kernel, layer.kernel});
        add(fmt::format("conv.{}.bias", k++), {layer.out});
        if (layer.tap) add(fmt::format("linear.{}", tap++), {layer.out});
    }
    return out;
}

torch::Tensor of_channels(std::initializer_list<float> values) {
    return torch::tensor(at::ArrayRef<float>(values)).view({1, 3, 1, 1});
}

/// First index and length of what is set [L], grown to `least` within [0, L).
std::pair<int64_t, int64_t> extent(const torch::Tensor& set, int64_t least) {
    const auto at = set.nonzero();
    if (at.numel() == 0) return {0, set.size(0)};
    int64_t first = at[0].item<int64_t>(), last = at[-1].item<int64_t>() + 1;
    const int64_t lacks = std::max<int64_t>(0, least - (last - first));
    first = std::max<int64_t>(0, first - lacks / 2);
    last = std::min(set.size(0), std::max(last, first + least));
    first = std::max<int64_t>(0, std::min(first, last - least));
    return {first, last - first};
}

}  // namespace

LpipsImpl::LpipsImpl(LpipsNetwork network, const TensorDict& weights) : network_(network) {
    const auto what =
        fmt::format("LPIPS of {}", network == LpipsNetwork::vgg ? "VGG16" : "AlexNet");
    if (const auto wrong = mismatches(weights, expected_weights(network)); !wrong.empty())
        throw Error(fmt::format("{}:{}", what, wrong));
    for (const auto& [name, value] : weights) {
        if (!value.isfinite().all().item<bool>())
            throw Error(fmt::format("{}: {} is not finite", what, name));
    }
    const auto keep = [&](std::vector<torch::Tensor>& list, const std::string& kind,
                          const std::string& name) {
        list.push_back(
            register_buffer(kind + std::to_string(list.size()), weights.at(name).clone()));
    };
    for (size_t k = 0; k < layers_of(network).size(); ++k) {
        keep(kernels_, "kernel", fmt::format("conv.{}.weight", k));
        keep(biases_, "bias", fmt::format("conv.{}.bias", k));
    }
    for (int k = 0; k < 5; ++k) {
        keep(linear_, "linear", fmt::format("linear.{}", k));
        if ((linear_.back() < 0).any().item<bool>())
            throw Error(fmt::format("{}: linear.{}: expected weights of at least 0", what, k));
    }
    shift_ = register_buffer("shift", of_channels({-0.030F, -0.088F, -0.188F}));
    scale_ = register_buffer("scale", of_channels({0.458F, 0.448F, 0.450F}));
}

int64_t LpipsImpl::least_side() const { return network_ == LpipsNetwork::vgg ? 16 : 31; }

std::vector<torch::Tensor> LpipsImpl::features(const torch::Tensor& picture) const {
    namespace F = torch::nn::functional;
    std::vector<torch::Tensor> taps;
    auto x = (picture.unsqueeze(0) - shift_) / scale_;
    const auto& layers = layers_of(network_);
    for (size_t k = 0; k < layers.size(); ++k) {
        const auto& layer = layers[k];
        if (layer.pool > 0) x = F::max_pool2d(x, F::MaxPool2dFuncOptions(layer.pool).stride(2));
        x = torch::relu(torch::conv2d(x, kernels_[k], biases_[k], layer.stride, layer.padding));
        if (layer.tap) taps.push_back(x);
    }
    return taps;
}

torch::Tensor LpipsImpl::forward(const torch::Tensor& x, const torch::Tensor& y,
                                 bool scaled) const {
    check_shape(x, {3, -1, -1}, "LPIPS: picture");
    check_shape(y, {3, x.size(1), x.size(2)}, "LPIPS: picture");
    if (std::min(x.size(1), x.size(2)) < least_side())
        throw Error(fmt::format("LPIPS: expected pictures of at least {0}x{0} pixels, got {1}x{2}",
                                least_side(), x.size(2), x.size(1)));
    const auto prepared = [&](const torch::Tensor& p) {
        const auto here = p.to(shift_.options());
        return features(scaled ? 2 * here - 1 : here);
    };
    // The square root keeps a finite gradient where no feature is active; 1e-10 is the original's.
    const auto unit = [](const torch::Tensor& f) {
        return f / ((f.square().sum(1, true) + 1e-30).sqrt() + 1e-10);
    };
    const auto a = prepared(x), b = prepared(y);
    auto total = torch::zeros({}, shift_.options());
    for (size_t k = 0; k < a.size(); ++k) {
        const auto difference = (unit(a[k]) - unit(b[k])).square();
        total = total + (difference * linear_[k].view({1, -1, 1, 1})).sum(1).mean();
    }
    return total;
}

std::shared_ptr<torch::nn::Module> LpipsImpl::clone(
    const std::optional<torch::Device>& device) const {
    TensorDict weights;
    for (size_t k = 0; k < kernels_.size(); ++k) {
        weights.set(fmt::format("conv.{}.weight", k), kernels_[k]);
        weights.set(fmt::format("conv.{}.bias", k), biases_[k]);
    }
    for (size_t k = 0; k < linear_.size(); ++k)
        weights.set(fmt::format("linear.{}", k), linear_[k]);
    return cloned(*this, device, network_, weights);
}

Lpips read_lpips(const fs::path& file, const std::string& option,
                 std::optional<LpipsNetwork> expected) {
    try {
        Metadata metadata;
        const auto weights = read_safetensors(file, &metadata);
        check_kind(metadata, kKind, kFormat, file.string());
        const auto found = metadata["network"];
        if (found != "vgg" && found != "alex")
            throw Error(fmt::format("{}: expected the network vgg or alex, got '{}'", file.string(),
                                    found));
        const auto network = found == "vgg" ? LpipsNetwork::vgg : LpipsNetwork::alex;
        if (expected && *expected != network)
            throw Error(fmt::format("{}: expected the network {}, got {}", file.string(),
                                    name_of(*expected), found));
        return Lpips(network, weights);
    } catch (const Error& error) {
        throw Error(
            fmt::format("{}: {}; tools/export_lpips.py makes such files", option, error.what()));
    }
}

void write_lpips(const fs::path& file, LpipsNetwork network, const TensorDict& weights) {
    write_safetensors(
        file, weights,
        {{"format", fmt::format("{} {}", kKind, kFormat)}, {"network", name_of(network)}});
}

LpipsLoss::LpipsLoss(const LpipsOptions& options) {
    if (options.weights.empty())
        throw Error(
            "losses.lpips.weights: not set; name a file that tools/export_lpips.py makes, or set "
            "losses.lpips.weight to 0");
    network_ = read_lpips(options.weights, "losses.lpips.weights");
}

torch::Tensor LpipsLoss::forward(const LossInput& input) {
    const auto& color = input.rendered.at("color");
    const auto image = target(input, "color", {3, color.size(1), color.size(2)}, color);
    const auto inside = inside_mask(input, color);
    const auto [top, height] = extent(inside.any(1), network_->least_side());
    const auto [left, width] = extent(inside.any(0), network_->least_side());
    const auto cut = [t = top, h = height, l = left, w = width](const torch::Tensor& x) {
        return x.narrow(1, t, h).narrow(2, l, w);
    };
    network_->to(color.device());
    return network_->forward(cut(color), cut(image)).to(color.scalar_type());
}

}  // namespace fmgs
