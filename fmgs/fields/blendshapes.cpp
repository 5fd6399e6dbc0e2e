#include <fmgs/fields/blendshapes.h>

#include <fmgs/core/check.h>
#include <torch/types.h>
#include <torch/utils.h>

namespace fmgs {
namespace {

/// Where the centres of a face's children lie in it, in the order of the subdivision: [4^k,3].
torch::Tensor children_inside(int64_t subdivisions) {
    Mesh face{torch::eye(3), torch::tensor({{0, 1, 2}}, torch::kInt64)};
    for (int64_t k = 0; k < subdivisions; ++k) face = subdivide(face).mesh;
    return face.vertices.index_select(0, face.faces.flatten()).view({-1, 3, 3}).mean(1);
}

torch::Tensor unit(const torch::Tensor& x) { return x / (x.square().sum(1, true) + 1e-24).sqrt(); }

/// Orthonormal frames of faces by their corners [F,3,3]: the first edge, and the normal last.
torch::Tensor axes_of(const torch::Tensor& corners) {
    const auto edge = corners.select(1, 1) - corners.select(1, 0),
               other = corners.select(1, 2) - corners.select(1, 0);
    const auto along = unit(edge), normal = unit(torch::linalg_cross(edge, other));
    return torch::stack({along, torch::linalg_cross(normal, along), normal}, 2);
}

/// The turns that carry the frames of faces over, from corners [F,3,3] to others: [F,3,3]. A face
/// without an area does not turn.
torch::Tensor turns(const torch::Tensor& from, const torch::Tensor& to) {
    const auto before = axes_of(from), after = axes_of(to);
    const auto is_face =
        (before.select(2, 2).square().sum(1) > 0.5) & (after.select(2, 2).square().sum(1) > 0.5);
    const auto none = torch::eye(3, from.options().requires_grad(false));
    return torch::where(is_face.view({-1, 1, 1}), torch::matmul(after, before.transpose(1, 2)),
                        none);
}

}  // namespace

LinearBlendshapesImpl::LinearBlendshapesImpl(const torch::Tensor& basis, bool learned) {
    check_shape(basis, {-1, 3, -1}, "basis of the blendshapes");
    basis_ = register_buffer("basis", basis.clone());
    if (learned) delta_ = register_parameter("delta", torch::zeros_like(basis_));
}

torch::Tensor LinearBlendshapesImpl::forward(const torch::Tensor& coefficients) const {
    check_shape(coefficients, {-1, basis_.size(2)}, "coefficients of the blendshapes");
    const auto basis = delta_.defined() ? basis_ + delta_ : basis_;
    return torch::matmul(basis, coefficients.t()).permute({2, 0, 1});
}

torch::Tensor LinearBlendshapesImpl::penalty() const {
    return delta_.defined() ? delta_.square().mean() : torch::Tensor();
}

std::shared_ptr<torch::nn::Module> LinearBlendshapesImpl::clone(
    const std::optional<torch::Device>& device) const {
    return cloned(*this, device, basis_, delta_.defined());
}

TemplateBlendshapesImpl::TemplateBlendshapesImpl(const BodyBases& bases, const Mesh& canonical,
                                                 int64_t subdivisions,
                                                 const BlendshapeOptions& options)
    : options_(options), subdivisions_(subdivisions) {
    const torch::NoGradGuard guard;  // initial values
    const int64_t vertices = canonical.vertices.size(0);
    vertices_ = register_buffer("vertices", canonical.vertices.clone());
    faces_ = register_buffer("faces", canonical.faces.clone());
    inside_ = register_buffer("inside", children_inside(subdivisions).to(vertices_.options()));
    if (options.shape || options.betas) {
        if (!bases.shape.defined() || bases.shape.size(2) == 0)
            throw Error(
                "avatar.blendshapes: the body has no shape directions (`shapedirs` of its file) to "
                "learn; set avatar.blendshapes.shape and avatar.blendshapes.betas to false");
        check_shape(bases.shape, {vertices, 3, -1}, "shape basis of the body");
        check_shape(bases.betas, {bases.shape.size(2)}, "betas of the body");
        shape_ = register_module("shape", LinearBlendshapes(bases.shape, options.shape));
        betas_ = options.betas ? register_parameter("betas", bases.betas.clone())
                               : register_buffer("betas", bases.betas.clone());
        born_ = register_buffer("born", shape_->forward(betas_.unsqueeze(0))[0].contiguous());
    }
    if (options.pose) {
        check_shape(bases.pose, {vertices, 3, -1}, "pose basis of the body");
        pose_ = register_module("pose", LinearBlendshapes(bases.pose));
    }
}

torch::Tensor TemplateBlendshapesImpl::offsets(const torch::Tensor& rotations) const {
    auto offset = torch::zeros_like(vertices_);
    if (shape_) offset = offset + (shape_->forward(betas_.unsqueeze(0))[0] - born_);
    if (pose_) {
        const auto local = rotations.slice(0, 1);
        const auto bent = local - torch::eye(3, local.options().requires_grad(false));
        offset = offset + pose_->forward(bent.reshape({1, -1}))[0];
    }
    return offset;
}

SurfelMotion TemplateBlendshapesImpl::forward(const torch::Tensor& rotations) const {
    const auto of_corners = [&](const torch::Tensor& x) {
        return x.index_select(0, faces_.flatten()).view({-1, 3, 3});
    };
    const auto corners = of_corners(vertices_), moved = of_corners(offsets(rotations));
    return {torch::einsum("cb,fbx->fcx", {inside_, moved}).reshape({-1, 3}),
            turns(corners, corners + moved).repeat_interleave(inside_.size(0), 0)};
}

torch::Tensor TemplateBlendshapesImpl::penalty() const {
    torch::Tensor sum;
    for (const auto* bases : {&shape_, &pose_}) {
        if (bases->is_empty()) continue;
        const auto own = (*bases)->penalty();
        if (own.defined()) sum = sum.defined() ? sum + own : own;
    }
    return sum;
}

std::shared_ptr<torch::nn::Module> TemplateBlendshapesImpl::clone(
    const std::optional<torch::Device>& device) const {
    const BodyBases bases{.shape = shape_ ? shape_->basis() : torch::Tensor(),
                          .betas = betas_,
                          .pose = pose_ ? pose_->basis() : torch::Tensor()};
    return cloned(*this, device, bases, Mesh{vertices_, faces_}, subdivisions_, options_);
}

}  // namespace fmgs
