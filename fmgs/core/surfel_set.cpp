#include <fmgs/core/surfel_set.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/rotation.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <cmath>

namespace fmgs {
namespace {

constexpr int64_t kNeighbours = 4;
constexpr double kSmallestScale = 1e-6;  // metres: a degenerate face still has a finite logarithm

// [N,4]; sets of fewer than five repeat the neighbours that they have, a single surfel is its own.
torch::Tensor four_neighbours(const torch::Tensor& center) {
    const int64_t have = std::min(kNeighbours, center.size(0) - 1);
    if (have == 0) return torch::zeros({1, kNeighbours}, torch::kLong);
    return nearest_neighbours(center, have)
        .repeat({1, kNeighbours})
        .slice(1, 0, kNeighbours)
        .clone();
}

}  // namespace

SurfelSetImpl::SurfelSetImpl(const Mesh& canonical, const SurfelSetOptions& options)
    : SurfelSetImpl(face_frames(canonical), {}, options) {}

SurfelSetImpl::SurfelSetImpl(const FaceFrames& frames, const torch::Tensor& neighbours,
                             const SurfelSetOptions& options)
    : options_(options) {
    check_ranges(options, "avatar.surfels");
    const int64_t count = frames.center.size(0);
    if (count == 0) throw Error("surfels: the mesh has no face");
    center_ = register_buffer("center", frames.center.clone());
    frame_ = register_buffer("frame", frames.rotation.clone());
    neighbours_ = register_buffer(
        "neighbours",
        neighbours.defined() ? neighbours.clone() : four_neighbours(center_).to(center_.device()));
    log_scale_ = register_parameter(
        "log_scale", (options.initial_scale * frames.scale).clamp_min(kSmallestScale).log());
    const double logit = std::log(options.initial_opacity / (1 - options.initial_opacity));
    const auto opacity = torch::full({count, 1}, logit, center_.options());
    opacity_logit_ = options.learn_opacity ? register_parameter("opacity_logit", opacity)
                                           : register_buffer("opacity_logit", opacity);
    if (options.free) {
        offset_ = register_parameter("offset", torch::zeros_like(center_));
        turn_ = register_parameter("turn", torch::zeros_like(center_));
    }
}

std::string SurfelSetImpl::parameter_group(const std::string& name) const {
    return name == "log_scale" ? "scale" : name == "opacity_logit" ? "opacity" : name;
}

std::shared_ptr<torch::nn::Module> SurfelSetImpl::clone(
    const std::optional<torch::Device>& device) const {
    const FaceFrames frames{center_, frame_, torch::ones({size(), 2}, center_.options())};
    return cloned(*this, device, frames, neighbours_, options_);
}

torch::Tensor SurfelSetImpl::position() const {
    return offset_.defined() ? center_ + offset_ : center_;
}

torch::Tensor SurfelSetImpl::rotation() const {
    return turn_.defined() ? torch::matmul(frame_, exp_map(turn_)) : frame_;
}

torch::Tensor SurfelSetImpl::normal() const { return frame_.select(2, 2); }
torch::Tensor SurfelSetImpl::scale() const { return log_scale_.exp(); }
torch::Tensor SurfelSetImpl::opacity() const { return opacity_logit_.sigmoid(); }

}  // namespace fmgs
