#include <fmgs/data/synthetic/prior_errors.h>

#include <fmgs/core/vector_map.h>
#include <torch/types.h>

#include <array>
#include <cmath>

namespace fmgs {
namespace {

torch::Tensor unit(const torch::Tensor& n) { return n / lengths(n).clamp_min(1e-12); }  // [3,H,W]

double uniform(const Random& random, std::string_view purpose) {
    return torch::rand({1}, random.generator(purpose), torch::kDouble).item<double>();
}

// A smooth field of unit variance [C,H,W] from `cells`² normal numbers.
torch::Tensor smooth_field(at::Generator generator, int64_t channels, int64_t cells, int64_t height,
                           int64_t width) {
    const auto coarse = torch::randn({1, channels, cells, cells}, generator);
    const auto field = at::upsample_bicubic2d(coarse, {height, width}, /*align_corners=*/true)[0];
    return field / field.std({1, 2}, true, true).clamp_min(1e-6);
}

// Gaussian blur of [C,H,W].
torch::Tensor blurred(const torch::Tensor& image, double sigma) {
    const auto reach = static_cast<int64_t>(std::ceil(3 * sigma));
    const auto x = torch::arange(-reach, reach + 1, torch::kFloat);
    auto kernel = torch::exp(-x * x / (2 * sigma * sigma));
    kernel = kernel / kernel.sum();
    auto out = image.unsqueeze(1);
    out = at::conv2d(out, kernel.view({1, 1, -1, 1}), {}, at::IntArrayRef{1, 1},
                     at::IntArrayRef{reach, 0});
    out = at::conv2d(out, kernel.view({1, 1, 1, -1}), {}, at::IntArrayRef{1, 1},
                     at::IntArrayRef{0, reach});
    return out.squeeze(1);
}

// A field [C,h,w] stretched over the bounding box of the mask [1,H,W]; its border continues
// outside.
torch::Tensor over_box(const torch::Tensor& field, const torch::Tensor& mask) {
    const auto inside = mask[0].nonzero();
    const auto low = std::get<0>(inside.min(0)).to(torch::kFloat),
               high = std::get<0>(inside.max(0)).to(torch::kFloat);
    const auto size = (high - low).clamp_min(1);
    const auto y = (torch::arange(mask.size(1), torch::kFloat) - low[0]) / size[0] * 2 - 1;
    const auto x = (torch::arange(mask.size(2), torch::kFloat) - low[1]) / size[1] * 2 - 1;
    const auto grid = torch::stack(
        {x.expand({y.size(0), x.size(0)}), y.unsqueeze(1).expand({y.size(0), x.size(0)})}, -1);
    return at::grid_sampler(field.unsqueeze(0), grid.unsqueeze(0), /*bilinear*/ 0, /*border*/ 1,
                            true)[0];
}

torch::Tensor wrong_normals(const Maps& truth, const PriorErrors& e, const Random& random) {
    const auto& mask = truth.at("mask");
    const int64_t H = mask.size(1), W = mask.size(2);
    const double degree = M_PI / 180;
    const auto n = unit(blurred(truth.at("normal"), e.normal_blur));
    const Random body{random.seed, 0};  // the same in all frames
    const auto fixed = over_box(smooth_field(body.generator("normal_fixed"), 3, 5, 64, 64), mask);
    const auto fresh = smooth_field(random.generator("normal_fresh"), 3, 6, H, W);
    const auto noise = torch::randn({3, H, W}, random.generator("normal_noise"));
    const auto turn = (fixed + fresh) * (e.normal_bias_deg * degree / 2) +
                      noise * (e.normal_noise_deg * degree / std::sqrt(2.0));
    return unit(n + torch::cross(turn, n, 0)) * mask;
}

torch::Tensor wrong_depth(const Maps& truth, const PriorErrors& e, const Random& random) {
    const auto& mask = truth.at("mask");
    const int64_t H = mask.size(1), W = mask.size(2);
    auto z = truth.at("depth").clone();
    const auto inside = mask > 0.5;
    if (uniform(random, "limb") < e.limb_share) {
        const bool left = uniform(random, "limb_side") < 0.5;
        const auto& labels = truth.at("semantic");
        const auto limb = left ? (labels == 5) | (labels == 6) : (labels == 14) | (labels == 15);
        const double away = 0.15 + 0.15 * uniform(random, "limb_distance");
        z = z + limb.to(torch::kFloat).unsqueeze(0) *
                    (uniform(random, "limb_sign") < 0.5 ? -away : away);
    }
    const auto valid = z.masked_select(inside);
    const auto near = valid.min(), far = valid.max();
    auto d = ((z - near) / (far - near).clamp_min(1e-6)).clamp(0, 1);
    const double gamma = std::exp(0.5 * (uniform(random, "depth_gamma") - 0.5));
    // below 1 in size: the curve stays monotonic
    const double bend = 0.5 * (uniform(random, "depth_bend") - 0.5);
    d = d.pow(gamma);
    d = d + bend * (2 * M_PI * d).sin() / (2 * M_PI);
    d = d + e.depth_bias * smooth_field(random.generator("depth_bias"), 1, 5, H, W);
    d = d + e.depth_noise * torch::randn({1, H, W}, random.generator("depth_noise"));
    const auto wrong = d.masked_select(inside);
    return ((d - wrong.min()) / (wrong.max() - wrong.min()).clamp_min(1e-6)) * mask;
}

torch::Tensor wrong_labels(const Maps& truth, const PriorErrors& e, const Random& random) {
    auto labels = truth.at("semantic").clone();
    const int64_t H = labels.size(0), W = labels.size(1);
    const auto mask = truth.at("mask")[0] > 0.5;
    const int64_t cells = std::max<int64_t>(8, H / 12);
    const auto shift =
        smooth_field(random.generator("label_shift"), 2, cells, H, W) * e.border_shift;
    const auto y = (torch::arange(H, torch::kFloat).unsqueeze(1) + shift[0])
                       .round()
                       .clamp(0, static_cast<double>(H - 1));
    const auto x =
        (torch::arange(W, torch::kFloat) + shift[1]).round().clamp(0, static_cast<double>(W - 1));
    const auto moved =
        labels.view({-1}).index_select(0, (y * W + x).to(torch::kInt64).view({-1})).view({H, W});
    // Where the shift leads outside the person, the old label stays: the mask is another prior's
    // business.
    labels = torch::where((moved > 0) & mask, moved, labels);
    if (uniform(random, "swap") < e.swap_share) {
        const std::array<std::pair<int64_t, int64_t>, 3> pairs = {{{6, 15}, {5, 14}, {8, 17}}};
        const auto [a, b] = pairs[static_cast<size_t>(3 * uniform(random, "swap_pair"))];
        const auto is_a = labels == a, is_b = labels == b;
        labels.masked_fill_(is_a, b).masked_fill_(is_b, a);
    }
    return labels;
}

torch::Tensor ranks(const torch::Tensor& values) {
    return values.argsort().argsort().to(torch::kDouble);
}

}  // namespace

Maps corrupted(const Maps& truth, const PriorErrors& errors, const Random& random) {
    if (!(truth.at("mask") > 0.5)
             .any()
             .item<bool>()) {  // nobody in the picture: nothing to be wrong about
        return {{"normal", truth.at("normal").clone()},
                {"depth", torch::zeros_like(truth.at("depth"))},
                {"semantic", truth.at("semantic").clone()}};
    }
    return {{"normal", wrong_normals(truth, errors, random)},
            {"depth", wrong_depth(truth, errors, random)},
            {"semantic", wrong_labels(truth, errors, random)}};
}

PriorQuality prior_quality(const Maps& prior, const Maps& truth) {
    const auto inside = truth.at("mask")[0] > 0.5;
    const auto cosine =
        (prior.at("normal") * truth.at("normal")).sum(0).masked_select(inside).clamp(-1, 1);
    const auto a = ranks(prior.at("depth")[0].masked_select(inside));
    const auto b = ranks(truth.at("depth")[0].masked_select(inside));
    const auto x = a - a.mean(), y = b - b.mean();
    const auto equal = (prior.at("semantic") == truth.at("semantic")).masked_select(inside);
    return {cosine.acos().mean().item<double>() * 180 / M_PI,
            ((x * y).mean() / (x.pow(2).mean() * y.pow(2).mean()).sqrt()).item<double>(),
            equal.to(torch::kDouble).mean().item<double>()};
}

}  // namespace fmgs
