#pragma once
/// A small capture of every kind of split and map, and its files.
#include <fmgs/core/body_model.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/capture.h>
#include <fmgs/data/capture_writer.h>
#include <fmgs/data/image_io.h>
#include <fmt/format.h>

#include <cmath>

#include "support/test.h"

namespace fmgs::test {

namespace fs = std::filesystem;

constexpr int64_t kHeight = 12, kWidth = 16;

inline BodyPose some_pose(int64_t seed) {
    auto generator = at::make_generator<at::CPUGeneratorImpl>(static_cast<uint64_t>(seed));
    return {exp_map(torch::randn({24, 3}, generator) * 0.4),
            torch::randn({3}, generator) + torch::tensor({0.f, 0.f, 5.f})};
}

// A frame whose person is a rectangle; every map is a ramp, so that a flip or a shift of axes
// shows.
inline Frame some_frame(const std::string& name, int64_t seed, bool priors) {
    Frame frame;
    frame.name = name;
    frame.camera = {torch::eye(3), torch::zeros(3), torch::tensor({20.f, 21.f, 8.f, 6.f}), kWidth,
                    kHeight};
    frame.pose = some_pose(seed);
    auto mask = torch::zeros({1, kHeight, kWidth});
    mask.slice(1, 2, 11).slice(2, 4, 13).fill_(1);
    const auto ramp = torch::arange(kHeight * kWidth, torch::kFloat).reshape({1, kHeight, kWidth}) /
                      (kHeight * kWidth);
    const auto shade = 0.3 + 0.1 * static_cast<double>(seed % 5);
    const auto color = torch::cat({ramp, ramp * shade, 1 - ramp}) * mask;
    const auto side = torch::cat({ramp - 0.5, 0.3 - ramp * 0.4, -torch::ones_like(ramp)});
    const auto normal = side / side.norm(2, 0, true) * mask;
    const auto labels = ((ramp[0] * 26).to(torch::kLong) + 1) * mask[0].to(torch::kLong);
    frame.maps = {{"color", color}, {"mask", mask}};
    if (priors) {
        frame.maps.set("normal", normal);
        frame.maps.set("depth", (0.1 + 0.8 * ramp) * mask);
        frame.maps.set("semantic", labels);
        frame.maps.set("dino", torch::cat({ramp, -ramp, ramp * 2, 1 - ramp}));
    }
    frame.truth = {{"color", color},
                   {"mask", mask},
                   {"depth", (4.8 + ramp) * mask},
                   {"normal", normal},
                   {"semantic", labels}};
    return frame;
}

inline Capture some_capture() {
    Capture capture;
    capture.betas = torch::tensor({0.5f, -0.25f});
    for (int64_t i = 0; i < 3; ++i)
        capture.splits["train"].push_back(some_frame(fmt::format("image_{:04d}", i), i, true));
    for (int64_t i = 3; i < 5; ++i)
        capture.splits["test"].push_back(some_frame(fmt::format("image_{:04d}", i), i, false));
    for (int64_t i = 0; i < 2; ++i) {
        auto frame = some_frame(fmt::format("view_{:04d}", i), 1 + i,
                                false);  // the poses of train frames 1 and 2
        frame.camera.rotation =
            exp_map(torch::tensor({{0.f, 0.5f + static_cast<float>(i), 0.f}}))[0];
        frame.camera.translation = torch::tensor({0.1f, 0.2f, 0.3f});
        capture.splits["test_view"].push_back(frame);
    }
    capture.splits["novel_motion"].push_back(some_frame("novel_0000", 9, false));
    return capture;
}

inline const std::map<std::string, std::string> kDino = {{"dino", "priors/dino"}};

inline CaptureOptions options(const fs::path& root, int64_t downscale = 1) {
    CaptureOptions out;
    out.root = root.string();
    out.downscale = downscale;
    return out;
}

inline void require_same(const Frame& a, const Frame& b) {
    INFO(b.name);
    REQUIRE(a.name == b.name);
    REQUIRE_CLOSE(a.camera.rotation, b.camera.rotation, 1e-6);
    REQUIRE_CLOSE(a.camera.translation, b.camera.translation, 1e-6);
    REQUIRE_CLOSE(a.camera.intrinsics, b.camera.intrinsics, 1e-6);
    REQUIRE((a.camera.width == b.camera.width && a.camera.height == b.camera.height));
    REQUIRE_CLOSE(a.pose.rotations, b.pose.rotations, 5e-6);  // through float axis-angle
    REQUIRE_CLOSE(a.pose.translation, b.pose.translation, 1e-6);
    for (const auto* maps : {&b.maps, &b.truth}) {
        const auto& other = maps == &b.maps ? a.maps : a.truth;
        REQUIRE(other.size() == maps->size());
        for (const auto& [name, map] : *maps) {
            INFO(name);
            const auto& back = other.at(name);
            REQUIRE(back.scalar_type() == map.scalar_type());
            REQUIRE(back.sizes() == map.sizes());
            // Half a step: 8-bit colour, 8-bit normals (renormalised), millimetres, 16-bit relative
            // depth, features up to 2 in half precision.
            const double step = name == "color"    ? 0.5 / 255 + 1e-6
                                : name == "normal" ? std::sqrt(3.0) / 255
                                : name == "depth"  ? 0.5e-3 + 1e-5
                                : name == "dino"   ? std::pow(2, -10)
                                                   : 1e-6;
            REQUIRE((back - map).abs().max().item<double>() <= step);
        }
    }
}

inline void require_same_color(const Frame& a, const Frame& b) {
    REQUIRE((a.maps.at("color") - b.maps.at("color")).abs().max().item<double>() <=
            0.5 / 255 + 1e-6);
}

struct Written {
    TemporaryFolder folder;
    fs::path root = folder.path / "capture";
    Capture capture = some_capture();
    Written() { write_capture(root, capture); }
};

// A tetrahedron as a body file.
inline std::string small_body(const Written& written, int64_t joints, int64_t directions) {
    // Joint 0 is the mean of the first two vertices; the first shape direction moves vertex 0 by
    // (0.2,0,-0.4).
    BodyData body;
    body.vertices =
        torch::tensor({{0.f, 0.f, 0.f}, {1.f, 0.f, 0.f}, {0.f, 1.f, 0.f}, {0.f, 0.f, 1.f}});
    body.faces = torch::tensor({{0, 2, 1}, {0, 1, 3}, {1, 2, 3}, {0, 3, 2}}, torch::kLong);
    body.weights = torch::zeros({4, joints});
    body.weights.select(1, 0).fill_(1);
    body.joint_regressor = torch::tensor({0.5f, 0.5f, 0.f, 0.f}).repeat({joints, 1});
    body.parents = torch::arange(-1, joints - 1, torch::kLong);
    body.shape_directions = torch::zeros({4, 3, directions});
    body.shape_directions[0].select(1, 0).copy_(torch::tensor({0.2f, 0.f, -0.4f}));
    const auto file = written.folder.path / "body.npz";
    write_body(file, body);
    return file.string();
}

}  // namespace fmgs::test
