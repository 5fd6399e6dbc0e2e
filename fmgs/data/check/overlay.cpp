#include <fmgs/data/check/overlay.h>

#include <fmgs/data/check/sides.h>
#include <torch/nn/functional/pooling.h>
#include <torch/types.h>

#include <cmath>

namespace fmgs {

namespace {

void paint(torch::Tensor& picture, const torch::Tensor& where, std::array<float, 3> color) {
    for (int64_t c = 0; c < 3; ++c) picture[c].masked_fill_(where, color[static_cast<size_t>(c)]);
}

// The silhouette's border, `width` pixels of it.
torch::Tensor outline(const torch::Tensor& mask, int64_t width) {
    const auto outside = (~mask).to(torch::kFloat).unsqueeze(0).unsqueeze(0);
    const auto grown = torch::max_pool2d(outside, 2 * width + 1, 1, width)[0][0] > 0.5;
    return grown & mask;
}

}  // namespace

torch::Tensor joint_places(const Body& body, const BodyPose& pose) {
    const auto joints = body.joints();
    // Bones go from the canonical pose; those of the rest pose lead there from it.
    const BodyPose rest{torch::eye(3, joints.options()).repeat({body.joint_count(), 1, 1}),
                        torch::zeros({3}, joints.options())};
    const auto canonical = torch::matmul(
        torch::linalg_inv(body.bones(rest)),
        torch::cat({joints, torch::ones_like(joints.slice(1, 0, 1))}, 1).unsqueeze(2));
    return torch::matmul(body.bones(pose), canonical).squeeze(2).slice(1, 0, 3);
}

torch::Tensor draw_over(const torch::Tensor& picture, const Body& body, const BodyViewer& viewer,
                        const Frame& frame) {
    const torch::NoGradGuard guard;
    const auto& camera = frame.camera;
    const int64_t width = std::max<int64_t>(1, std::max(camera.width, camera.height) / 300);
    auto drawn = picture.clone();
    paint(drawn, outline(viewer.silhouette(frame.pose, camera), width), {0.2f, 1.f, 0.3f});
    const auto places = camera.to_camera(joint_places(body, frame.pose)).cpu();
    const auto k = camera.intrinsics.cpu();
    const auto sides = joint_sides(body);
    for (int64_t j = 0; j < places.size(0); ++j) {
        const double z = places[j][2].item<double>();
        if (z < camera.near) continue;
        const auto column =
            static_cast<int64_t>(std::floor((k[0] * places[j][0] / z + k[2]).item<double>()));
        const auto row =
            static_cast<int64_t>(std::floor((k[1] * places[j][1] / z + k[3]).item<double>()));
        const int64_t r = 2 * width;
        if (column < r || row < r || column >= camera.width - r || row >= camera.height - r)
            continue;
        auto where = torch::zeros({camera.height, camera.width}, torch::kBool);
        where.slice(0, row - r, row + r + 1).slice(1, column - r, column + r + 1).fill_(true);
        const int64_t side = sides.empty() ? 0 : sides[static_cast<size_t>(j)];
        paint(drawn, where,
              side < 0   ? std::array{1.f, 0.2f, 0.2f}
              : side > 0 ? std::array{0.3f, 0.5f, 1.f}
                         : std::array{1.f, 0.9f, 0.2f});
    }
    return drawn;
}

torch::Tensor draw_beside(const torch::Tensor& mask, const BodyViewer& viewer, const Frame& frame) {
    const torch::NoGradGuard guard;
    const auto person = mask[0] >= 0.5, body = viewer.silhouette(frame.pose, frame.camera);
    auto drawn = torch::zeros({3, mask.size(1), mask.size(2)});
    paint(drawn, person & body, {0.6f, 0.6f, 0.6f});
    paint(drawn, person & ~body, {1.f, 0.25f, 0.2f});
    paint(drawn, body & ~person, {0.25f, 0.45f, 1.f});
    return drawn;
}

}  // namespace fmgs
