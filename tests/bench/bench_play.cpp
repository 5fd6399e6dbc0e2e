/// What a frame of a baked avatar costs: pose it, find the tiles, draw its colour, at 512² with
/// 55,104 surfels that are posed into the standard scene; beside it what bench_body times of the
/// same scene (the goal is at most 1.5 times that), and an avatar with networks of that size.
#include <ATen/Parallel.h>
#include <fmgs/avatar.h>
#include <fmgs/baked_avatar.h>
#include <fmgs/core/joints.h>
#include <fmgs/core/random.h>
#include <fmgs/core/rotation.h>
#include <fmgs/raster/render.h>
#include <fmgs/run/process.h>
#include <fmt/format.h>
#include <torch/utils.h>

#include "standard_scene.h"

namespace {

using namespace fmgs;
using namespace fmgs::bench;

constexpr int64_t kAround = 84, kAlong = 82;  // 2 · 84 · 82 · 4 = 55,104 faces

torch::Tensor draw(at::IntArrayRef shape, std::string_view what) {
    return torch::randn(shape, Random{5}.generator(what), torch::kFloat);
}

/// A torus of 13,776 faces on SMPL's skeleton: how it looks does not matter.
BodyData torus() {
    const auto u = torch::arange(kAround).repeat_interleave(kAlong),
               v = torch::arange(kAlong).repeat({kAround});
    const auto at = [&](int64_t du, int64_t dv) {
        return (u + du) % kAround * kAlong + (v + dv) % kAlong;
    };
    const auto a = u * (2 * M_PI / kAround), b = v * (2 * M_PI / kAlong);
    const auto ring = 0.5 + 0.2 * b.cos();
    BodyData body;
    body.vertices = torch::stack({ring * a.cos(), ring * a.sin(), 0.2 * b.sin()}, 1);
    body.faces = torch::cat({torch::stack({at(0, 0), at(1, 0), at(1, 1)}, 1),
                             torch::stack({at(0, 0), at(1, 1), at(0, 1)}, 1)});
    const int64_t vertices = body.vertices.size(0);
    body.weights = (3 * draw({vertices, smpl::kJoints}, "weights")).softmax(1);
    body.joint_regressor =
        torch::full({smpl::kJoints, vertices}, 1.0 / static_cast<double>(vertices));
    body.parents =
        torch::tensor(std::vector<int64_t>(smpl::kParents.begin(), smpl::kParents.end()));
    body.shape_directions = torch::zeros({vertices, 3, 0});
    return body;
}

/// The standard scene as a baked avatar of K components.
BakedAvatar baked_scene(const Scene& s, int64_t components) {
    BakedParts parts{.body = BodyModel(torus(), torch::zeros({0}), 0), .subdivisions = 1};
    const auto scale = s.tangents.norm(2, 1);
    const auto axes = s.tangents / scale.unsqueeze(1);
    const auto normal = torch::cross(axes.select(2, 0), axes.select(2, 1), 1);
    parts.center = s.center;
    parts.frame = torch::cat({axes, normal.unsqueeze(2)}, 2);
    parts.opacity = s.opacity;
    parts.bone_index = torch::randint(smpl::kJoints, {kSurfels, kBakedBones},
                                      Random{5}.generator("bones"), torch::kLong);
    parts.bone_weight = draw({kSurfels, kBakedBones}, "bone_weight").softmax(1);
    parts.mean = torch::cat({torch::zeros({kSurfels, 1}), scale.log(), torch::zeros({kSurfels, 3}),
                             torch::full({kSurfels, 3}, 0.5)},
                            1);
    parts.components = 1e-3 * draw({components, kSurfels, parts.mean.size(1)}, "components");
    parts.projection = 0.1 * draw({9 * (smpl::kJoints - 1), components}, "projection");
    parts.bias = torch::zeros({components});
    return BakedAvatar(parts);
}

/// Every joint turned a little, so little that the picture stays the standard scene's.
BodyPose small_pose() {
    return {exp_map(1e-3 * draw({smpl::kJoints, 3}, "pose")), torch::zeros({3})};
}

/// Takes turns, so that what else the machine does falls on all of them.
std::vector<Time> timed(int repeats, const std::vector<std::function<void()>>& works) {
    std::vector<std::vector<double>> times(works.size());
    for (int k = -2; k < repeats; ++k) {  // the first two warm up
        for (size_t i = 0; i < works.size(); ++i) {
            const double start = now();
            works[i]();
            if (k >= 0) times[i].push_back(1e3 * (now() - start));
        }
    }
    std::vector<Time> out;
    for (auto& list : times) {
        std::sort(list.begin(), list.end());
        out.push_back({list.front(), list[list.size() / 2]});
    }
    return out;
}

void print(const std::string& what, const Time& time) {
    fmt::print("{:<42} {:8.2f} ms (median {:.2f})\n", what, time.best, time.median);
}

void run(int repeats, int64_t components) {
    const torch::NoGradGuard guard;
    auto standard = scene(kStandardSigma);
    const auto features = torch::rand({kSurfels, 3});
    const Camera camera{.rotation = torch::eye(3),
                        .translation = torch::zeros({3}),
                        .intrinsics = standard.intrinsics,
                        .width = kSize,
                        .height = kSize,
                        .low_pass = kLowPass};
    const auto pose = small_pose();
    const auto baked = baked_scene(standard, components);
    AvatarOptions options;
    options.subdivisions = 1;
    options.modalities.clear();
    Avatar avatar(paper_parts(BodyModel(torus(), torch::zeros({0}), 0), options));
    const auto draw_standard = [&] {
        standard.find_tiles();
        rasterize(standard.center.unsqueeze(0), standard.tangents.unsqueeze(0),
                  standard.opacity.unsqueeze(0), features, torch::zeros({3}, torch::kLong),
                  standard.intrinsics, standard.tiles);
    };
    const auto times = timed(repeats, {draw_standard, [&] { baked->forward(pose); },
                                       [&] { render(baked->forward(pose), camera, {"color"}); }});
    const auto &drawing = times[0], &posing = times[1], &frame = times[2];
    const auto networks =
        timed(std::min(repeats, 5), {[&] { avatar->forward(camera, pose).posed(); }}).front();

    fmt::print("{} threads, {} surfels, {}x{} pixels, {} components\n", at::get_num_threads(),
               kSurfels, kSize, kSize, components);
    print("find_tiles and 3 channels, as in bench_body", drawing);
    print("pose the baked avatar", posing);
    print("a frame of the baked avatar", frame);
    print("pose the avatar with networks", networks);
    const double whole = networks.best + drawing.best;
    fmt::print("baked: {:.2f} x find_tiles and 3 channels (the goal is at most 1.5), {:.1f} FPS\n",
               frame.best / drawing.best, 1e3 / frame.best);
    fmt::print("with networks: {:.1f} FPS, {:.1f} times slower\n", 1e3 / whole, whole / frame.best);
}

}  // namespace

int main(int argc, char** argv) {
    keep_freed_memory();
    const int repeats = argc > 1 ? std::atoi(argv[1]) : 20;
    const int64_t components = argc > 2 ? std::atoi(argv[2]) : 8;
    if (argc > 3 || repeats < 1 || components < 0) {
        fmt::print("usage: {} [repeats = 20] [components = 8]\nTimes a frame of a baked avatar.\n",
                   argv[0]);
        return argc == 2 && std::string(argv[1]) == "--help" ? 0 : 2;
    }
    run(repeats, components);
    return 0;
}
