#pragma once
/// A small avatar and a frame of noise for it, for tests of whole training steps.
#include <fmgs/avatar.h>
#include <fmgs/data/synthetic/procedural_body.h>

namespace fmgs::test {

/// Every field of the paper on the procedural body, one surfel a face, all volumes like `volume`.
inline Avatar small_avatar(const HashGridOptions& volume) {
    const BodyModel body(procedural_body(), torch::zeros({0}));
    AvatarOptions o;
    o.subdivisions = 0;
    o.geometry.volume = o.appearance.volume = volume;
    o.modalities["semantic"].volume = volume;
    return Avatar(paper_parts(body, o));
}

/// The rest pose seen from the front by a square camera. Colours, depths and labels are noise, the
/// mask covers the image, the normals look at the camera.
inline Frame noise_frame(int64_t size, double focal, int64_t joints) {
    const double half = 0.5 * double(size);
    Frame frame;
    frame.name = "f0";
    frame.camera = {.rotation = torch::diag(torch::tensor({1.F, -1.F, -1.F})),
                    .translation = torch::tensor({0.F, 0.F, 6.F}),
                    .intrinsics = torch::tensor({focal, focal, half, half}, torch::kFloat),
                    .width = size,
                    .height = size};
    frame.pose = {torch::eye(3).repeat({joints, 1, 1}), torch::tensor({0.1F, 0.2F, 3.F})};
    const auto f = torch::TensorOptions(torch::kFloat);
    auto generator = Random{5}.generator("target");
    frame.maps.set("color", torch::rand({3, size, size}, generator, f));
    frame.maps.set("mask", torch::ones({1, size, size}));
    frame.maps.set("depth", 2 + torch::rand({1, size, size}, generator, f));
    auto normal = torch::zeros({3, size, size});
    normal.select(0, 2).fill_(-1);
    frame.maps.set("normal", normal);
    frame.maps.set("semantic", torch::randint(28, {size, size}, generator, torch::kLong));
    return frame;
}

}  // namespace fmgs::test
