#include <fmgs/fields/pose_encoder.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/cuda/upload.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <limits>
#include <map>

namespace fmgs {
namespace {

constexpr int64_t kCode = 6;                   // of one joint
constexpr int64_t kInput = 9 + 3 + 1 + kCode;  // rotation, joint, bone length, parent's code

PoseEncoderImpl::Tree sort_by_depth(const torch::Tensor& parents) {
    const int64_t count = parents.size(0);
    const auto list = parents.to(torch::kCPU, torch::kInt64).contiguous();
    const int64_t* parent = list.const_data_ptr<int64_t>();
    std::vector<int64_t> depth(static_cast<size_t>(count), 0), slot(static_cast<size_t>(count), 0);
    std::map<int64_t, std::vector<int64_t>> levels;
    for (int64_t j = 0; j < count; ++j) {
        const auto k = static_cast<size_t>(j);
        if (j == 0 ? parent[j] >= 0 : (parent[j] < 0 || parent[j] >= j)) {
            throw Error(fmt::format(
                "PoseEncoder: parents: expected -1 for joint 0 and an earlier joint for all "
                "others, got {} for joint {}",
                parent[j], j));
        }
        if (j > 0) depth[k] = depth[static_cast<size_t>(parent[j])] + 1;
        slot[k] = static_cast<int64_t>(levels[depth[k]].size());
        levels[depth[k]].push_back(j);
    }
    PoseEncoderImpl::Tree tree;
    std::vector<int64_t> order, parent_slot;
    for (const auto& [level, joints] : levels) {
        tree.level_sizes.push_back(static_cast<int64_t>(joints.size()));
        for (const int64_t j : joints) {
            order.push_back(j);
            parent_slot.push_back(j == 0 ? 0 : slot[static_cast<size_t>(parent[j])]);
        }
    }
    tree.order = torch::tensor(order, torch::kInt64);
    tree.parent_slot = torch::tensor(parent_slot, torch::kInt64);
    return tree;
}

/// Joints in [-1,1] of the body's padded extent, with the length of the bone to the parent: [J,4].
torch::Tensor rest_features(const torch::Tensor& parents, const torch::Tensor& joints,
                            const torch::Tensor& vertices) {
    const auto center = vertices.mean(0);
    const auto lower = (vertices - center).min(), range = (vertices - center).max() - lower;
    const auto normalised = 2 * ((joints - center - lower + 0.05 * range) / (1.1 * range) - 0.5);
    const auto origin = torch::cat({torch::zeros_like(normalised.slice(0, 0, 1)),
                                    normalised.index_select(0, parents.slice(0, 1))});
    return torch::cat({normalised, (normalised - origin).norm(2, 1, true)}, 1);
}

PoseEncoderImpl::Tree tree_of(const torch::Tensor& parents, const torch::Tensor& joints,
                              const torch::Tensor& vertices) {
    check_shape(parents, {-1}, "parents");
    check_shape(joints, {parents.size(0), 3}, "joints");
    check_shape(vertices, {-1, 3}, "vertices");
    auto tree = sort_by_depth(parents);
    torch::NoGradGuard guard;  // the shape of the body is a constant of the encoder
    const auto rest =
        rest_features(parents.to(torch::kCPU, torch::kInt64), joints.cpu(), vertices.cpu());
    tree.rest = rest.to(torch::kFloat32).index_select(0, tree.order);
    return tree;
}

}  // namespace

PoseEncoderImpl::PoseEncoderImpl(const torch::Tensor& parents, const torch::Tensor& joints,
                                 const torch::Tensor& vertices, const PoseEncoderOptions& options,
                                 uint64_t seed)
    : PoseEncoderImpl(tree_of(parents, joints, vertices), options, seed) {}

PoseEncoderImpl::PoseEncoderImpl(const Tree& tree, const PoseEncoderOptions& options, uint64_t seed)
    : options_(options), level_sizes_(tree.level_sizes) {
    check_ranges(options, "avatar.encoder");
    const int64_t J = tree.order.size(0);
    order_ = register_buffer("order", tree.order.clone());
    parent_slot_ = register_buffer("parent_slot", tree.parent_slot.clone());
    rest_ = register_buffer("rest", tree.rest.clone());

    const auto generator = Random{seed}.generator("pose_encoder");
    const auto uniform = [&](const char* name, std::initializer_list<int64_t> shape,
                             int64_t fan_in) {
        const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
        return register_parameter(name, torch::empty(shape).uniform_(-bound, bound, generator));
    };
    global_weight_ = uniform("global_weight", {kCode, 12 * J}, 12 * J);
    global_bias_ = uniform("global_bias", {kCode}, 12 * J);
    hidden_weight_ = uniform("hidden_weight", {J, kInput, kInput}, kInput);
    hidden_bias_ = uniform("hidden_bias", {J, kInput, 1}, kInput);
    code_weight_ = uniform("code_weight", {J, kCode, kInput}, kInput);
    code_bias_ = uniform("code_bias", {J, kCode, 1}, kInput);
    output_weight_ = uniform("output_weight", {options.width, kCode * J}, kCode * J);
    output_bias_ = uniform("output_bias", {options.width}, kCode * J);
}

std::shared_ptr<torch::nn::Module> PoseEncoderImpl::clone(
    const std::optional<torch::Device>& device) const {
    return cloned(*this, device, Tree{level_sizes_, order_, parent_slot_, rest_}, options_);
}

torch::Tensor PoseEncoderImpl::forward(const torch::Tensor& rotations, const Random* random) {
    const int64_t J = order_.size(0);
    check_shape(rotations, {J, 3, 3}, "rotations");
    const auto identity = torch::eye(3, rotations.options().requires_grad(false)).view({1, 9});
    auto local = torch::cat({identity, rotations.slice(0, 1).reshape({J - 1, 9})});  // [J,9]
    if (random && options_.noise > 0) {
        const double draw = static_cast<double>(random->number("pose_noise_share")) /
                            static_cast<double>(std::numeric_limits<uint64_t>::max());
        if (draw < options_.noise_share) {
            const auto noise =
                torch::randn({J, 9}, random->generator("pose_noise"), torch::kFloat32);
            local = local + options_.noise * upload(noise, local.options().requires_grad(false));
        }
    }
    local = local.index_select(0, order_);
    const auto joint = rest_.narrow(1, 0, 3);
    const auto everything = torch::cat({local.flatten(), joint.flatten()});
    // [1,6]
    auto parent_code = torch::addmv(global_bias_, global_weight_, everything).unsqueeze(0);
    std::vector<torch::Tensor> codes;
    int64_t start = 0;
    for (const int64_t count : level_sizes_) {
        const auto from_parent = parent_code.index_select(0, parent_slot_.narrow(0, start, count));
        const auto input = torch::cat(
            {local.narrow(0, start, count), rest_.narrow(0, start, count), from_parent}, 1);
        const auto hidden =
            torch::relu(torch::baddbmm(hidden_bias_.narrow(0, start, count),
                                       hidden_weight_.narrow(0, start, count), input.unsqueeze(2)));
        parent_code = torch::baddbmm(code_bias_.narrow(0, start, count),
                                     code_weight_.narrow(0, start, count), hidden)
                          .squeeze(2);
        codes.push_back(parent_code);
        start += count;
    }
    return torch::addmv(output_bias_, output_weight_, torch::cat(codes).flatten());
}

}  // namespace fmgs
