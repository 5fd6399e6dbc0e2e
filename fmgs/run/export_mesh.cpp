// The avatar as a skinned mesh.
#include <fmgs/core/check.h>
#include <fmgs/core/joint_names.h>
#include <fmgs/run/export.h>
#include <torch/types.h>
#include <torch/utils.h>

namespace fmgs {

using torch::Tensor;

namespace {

/// The mean over the faces of each vertex, by area: [F,D] → [V,D].
Tensor on_vertices(const Mesh& mesh, const Tensor& of_faces) {
    const auto corner = mesh.vertices.index_select(0, mesh.faces.flatten()).view({-1, 3, 3});
    const auto area = torch::linalg_cross(corner.select(1, 1) - corner.select(1, 0),
                                          corner.select(1, 2) - corner.select(1, 0))
                          .norm(2, 1, true)
                          .clamp_min(1e-12);
    auto sum = torch::zeros({mesh.vertices.size(0), of_faces.size(1)}, of_faces.options());
    auto areas = torch::zeros({mesh.vertices.size(0), 1}, of_faces.options());
    for (int64_t k = 0; k < 3; ++k) {
        sum.index_add_(0, mesh.faces.select(1, k), of_faces * area);
        areas.index_add_(0, mesh.faces.select(1, k), area);
    }
    return sum / areas.clamp_min(1e-12);  // a vertex without a face stays where it is
}

}  // namespace

SkinnedMesh skinned_mesh(const BakedAvatar& avatar, const ExportPoses& poses) {
    const torch::NoGradGuard guard;
    const auto& body = avatar->body();
    const auto surfels = avatar->canonical();
    const auto shape = avatar->shape().mesh;
    const auto offset = surfels.position - avatar->parts().center;
    SkinnedMesh out;
    out.mesh = {shape.vertices + on_vertices(shape, offset), shape.faces};
    out.face_color = surfels.features.at("color");
    out.weights = on_vertices(shape, surfels.skinning);
    // A vertex without a face, which nobody sees, goes with the root.
    out.weights.select(1, 0).add_(1 - out.weights.sum(1));
    out.parents = body->parents();
    out.names = joint_names(body->joint_count());
    // Bones are canonical → observed, and the unposed body has bones of its own.
    const int64_t J = body->joint_count();
    const auto still = torch::eye(3, offset.options()).expand({J, 3, 3});
    const auto unposed = body->bones({still, torch::zeros({3}, offset.options())});
    const auto to_double = [](const Tensor& x) { return x.to(torch::kCPU, torch::kDouble); };
    out.bind = torch::linalg_inv(to_double(unposed)).matmul(to_double(body->rest_bones()));
    if (poses.poses.empty()) return out;
    std::vector<Tensor> frames;
    for (const auto& pose : poses.poses)
        frames.push_back(to_double(body->bones(pose.to(offset.device()))).matmul(out.bind));
    out.frames = torch::stack(frames);
    out.fps = poses.fps;
    return out;
}

}  // namespace fmgs
