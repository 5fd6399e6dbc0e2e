#include <fmgs/core/template_offsets.h>

#include <fmgs/core/check.h>

namespace fmgs {
namespace {

/// Σ over the neighbours of each vertex: [V,D].
torch::Tensor sum_of_neighbours(const torch::Tensor& values, const torch::Tensor& edges) {
    const auto a = edges.select(1, 0), b = edges.select(1, 1);
    return torch::zeros_like(values)
        .index_add(0, a, values.index_select(0, b))
        .index_add(0, b, values.index_select(0, a));
}

/// Unit normals [F,3], 0 for a face without area; the gradient is finite there.
torch::Tensor unit_normals(const torch::Tensor& vertices, const torch::Tensor& faces) {
    const auto at = [&](int64_t k) { return vertices.index_select(0, faces.select(1, k)); };
    const auto a = at(0), n = torch::cross(at(1) - a, at(2) - a, 1);
    return n / (n.square().sum(1, true) + 1e-24).sqrt();
}

}  // namespace

TemplateOffsetsImpl::TemplateOffsetsImpl(const Mesh& canonical) {
    check_shape(canonical.vertices, {-1, 3}, "vertices of the template");
    check_shape(canonical.faces, {-1, 3}, "faces of the template");
    if (canonical.faces.size(0) == 0) throw Error("template: the mesh has no face");
    vertices_ = register_buffer("vertices", canonical.vertices.clone());
    faces_ = register_buffer("faces", canonical.faces.clone());
    edges_ = register_buffer("edges", unique_edges(faces_));
    pairs_ = register_buffer("pairs", adjacent_faces(faces_));
    degrees_ = register_buffer(
        "degrees", sum_of_neighbours(torch::ones_like(vertices_.slice(1, 0, 1)), edges_));
    lengths_ = register_buffer("lengths", lengths(vertices_));
    offsets_ = register_parameter("offsets", torch::zeros_like(vertices_));
}

torch::Tensor TemplateOffsetsImpl::lengths(const torch::Tensor& vertices) const {
    const auto ends = vertices.index_select(0, edges_.reshape({-1})).view({-1, 2, 3});
    return ((ends.select(1, 0) - ends.select(1, 1)).square().sum(1) + 1e-24).sqrt();
}

torch::Tensor TemplateOffsetsImpl::laplacian() const {
    // A vertex of no face has no neighbours to differ from.
    const auto differs =
        (offsets_ * degrees_ - sum_of_neighbours(offsets_, edges_)) / degrees_.clamp_min(1);
    return differs.square().sum(1).mean() / lengths_.mean().square();
}

torch::Tensor TemplateOffsetsImpl::edge_length() const {
    return (lengths(forward()) - lengths_).square().mean() / lengths_.mean().square();
}

torch::Tensor TemplateOffsetsImpl::normal_consistency() const {
    if (pairs_.size(0) == 0) return 0 * offsets_.sum();
    const auto normal = unit_normals(forward(), faces_);
    const auto both = normal.index_select(0, pairs_.reshape({-1})).view({-1, 2, 3});
    return (1 - (both.select(1, 0) * both.select(1, 1)).sum(1)).mean();
}

std::shared_ptr<torch::nn::Module> TemplateOffsetsImpl::clone(
    const std::optional<torch::Device>& device) const {
    return cloned(*this, device, Mesh{vertices_, faces_});
}

}  // namespace fmgs
