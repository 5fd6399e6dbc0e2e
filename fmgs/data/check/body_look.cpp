#include <fmgs/data/check/body_look.h>

#include <fmgs/data/synthetic/mesh_renderer.h>
#include <torch/types.h>

namespace fmgs {

namespace {

// One sample per pixel: its face, -1 where none is hit, [H,W].
torch::Tensor faces_of(const Fragments& seen) {
    return torch::tensor(at::ArrayRef<int32_t>(seen.face), torch::kInt)
        .reshape({seen.height, seen.width})
        .to(torch::kLong);
}

}  // namespace

BodyViewer::BodyViewer(const Body& body)
    : body_(body), faces_(body.canonical().faces.to(torch::kCPU, torch::kLong).contiguous()) {
    const auto weights = body.weights().cpu();
    const auto of = [&](int64_t k) { return weights.index_select(0, faces_.select(1, k)); };
    joint_ = (of(0) + of(1) + of(2)).argmax(1);
}

torch::Tensor BodyViewer::silhouette(const BodyPose& pose, const Camera& camera) const {
    return faces_of(draw_mesh({body_.posed(pose).cpu(), faces_}, camera, 1)) >= 0;
}

double BodyViewer::pixel_size(const BodyPose& pose, const Camera& camera) const {
    const auto middle = camera.to_camera(body_.posed(pose).cpu()).mean(0);
    return middle[2].item<double>() / camera.intrinsics[0].item<double>();
}

BodyLook BodyViewer::look(const BodyPose& pose, const Camera& camera) const {
    const auto vertices = body_.posed(pose).cpu();
    const auto seen = draw_mesh({vertices, faces_}, camera, 1);
    const auto face = faces_of(seen);
    BodyLook look;
    look.mask = face >= 0;
    look.depth =
        torch::tensor(at::ArrayRef<float>(seen.depth)).reshape({1, seen.height, seen.width});
    const auto hit = face.clamp_min(0).flatten();
    look.joint = torch::where(look.mask, joint_.index_select(0, hit).reshape(face.sizes()), -1);
    // Both sides of a face are drawn: the one that is seen faces the viewer.
    const auto points = camera.to_camera(vertices);
    const auto normals = face_normals(Mesh{points, faces_});
    const auto place = points.index_select(0, faces_.select(1, 0));
    const auto facing = normals * -torch::sgn((normals * place).sum(1, true));
    look.normal =
        facing.index_select(0, hit).reshape({seen.height, seen.width, 3}).permute({2, 0, 1}) *
        look.mask;
    return look;
}

}  // namespace fmgs
