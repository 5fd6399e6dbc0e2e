// [cuda]: what only a GPU can show. Without one every case says so and ctest lists the entry as
// skipped.
#include <fmgs/avatar.h>
#include <fmgs/core/cuda/memory.h>
#include <fmgs/data/synthetic/procedural_body.h>
#include <fmgs/losses/paper_objective.h>
#include <fmgs/losses/photometric.h>
#include <fmgs/raster/render.h>
#include <fmgs/train/optim.h>
#include <torch/cuda.h>

#include "support/person.h"
#include "support/raster_probe.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

bool no_gpu() {
    if (torch::cuda::device_count() > 0) return false;
    std::puts("skipped: there is no GPU");
    return true;
}

Scene to_gpu(const Scene& s) {
    Scene out = s;
    for (auto* x : {&out.center, &out.tangents, &out.opacity, &out.features, &out.intrinsics})
        *x = x->to(torch::kCUDA);
    return out;
}

/// Image, alpha, depth and all gradients of a probe, on the CPU.
std::vector<torch::Tensor> drawn(Scene s) {
    s.require_gradients();
    const auto out = s.draw(s.center.is_cuda() ? 8 : 16);
    torch::Tensor sum;
    auto generator = at::make_generator<at::CPUGeneratorImpl>(uint64_t{5});
    for (const auto& x : {out.image, out.alpha, out.depth}) {
        const auto weight = torch::randn(x.sizes(), generator, torch::kFloat).to(x.device());
        sum = sum.defined() ? sum + (x * weight).sum() : (x * weight).sum();
    }
    std::vector<torch::Tensor> results = {out.image, out.alpha, out.depth};
    for (const auto& g : gradients(sum, s.inputs())) results.push_back(g);
    for (auto& x : results) x = x.detach().cpu();
    return results;
}

double relative(const torch::Tensor& a, const torch::Tensor& b) {
    const double scale = std::max(b.abs().max().item<double>(), 1e-30);
    const double difference = (a - b).abs().max().item<double>();
    return std::isfinite(difference) ? difference / scale : INFINITY;
}

const HashGridOptions coarse{.levels = 8,
                             .features_per_level = 2,
                             .base_resolution = 8,
                             .finest_resolution = 256,
                             .log2_hashmap_size = 14};

}  // namespace

TEST_CASE("the GPU draws and differentiates as the CPU does", "[cuda]") {
    if (no_gpu()) return;
    for (const int64_t channels : {0, 3, 36, 64, 130, 300}) {
        const auto scene = random_scene(91, 3000, channels, 253, 187, 0.5, 3).to(torch::kFloat);
        const auto cpu = drawn(scene), gpu = drawn(to_gpu(scene));
        CAPTURE(channels);
        for (size_t i = 0; i < cpu.size(); ++i) {
            if (cpu[i].numel() == 0) continue;
            INFO("result " << i << ": " << relative(gpu[i], cpu[i]));
            // A pair on the edge of a decision may fall to the other side: 1/255 of its colour.
            CHECK(relative(gpu[i], cpu[i]) <= (i < 3 ? 5e-3 : 2e-2));
            if (cpu[i].numel() < 1000) {
                // A few sums over all pixels, whose terms cancel.
                CHECK(relative(gpu[i], cpu[i]) <= 1e-3);
                continue;
            }
            const auto far = ((gpu[i] - cpu[i]).abs() > 1e-4 * cpu[i].abs().max());
            CHECK(far.to(torch::kDouble).mean().item<double>() <= 1e-3);
        }
    }
}

TEST_CASE("the GPU repeats itself bit by bit", "[cuda]") {
    if (no_gpu()) return;
    const auto scene = to_gpu(random_scene(92, 5000, 36, 256, 256, 0.5, 3).to(torch::kFloat));
    const auto first = drawn(scene);
    for (int k = 0; k < 5; ++k) {
        const auto again = drawn(scene);
        for (size_t i = 0; i < first.size(); ++i) REQUIRE(torch::equal(first[i], again[i]));
    }
}

TEST_CASE("find_tiles makes the same lists on the GPU", "[cuda]") {
    if (no_gpu()) return;
    const auto s = random_scene(93, 70000, 0, 2048, 1024, 0.5, 1).to(torch::kFloat);
    const auto expected = s.tiles(8), tiles = to_gpu(s).tiles(8);
    REQUIRE(tiles.level.item<int32_t>() == 0);
    // The device rounds its own way: a box may gain or lose a pixel.
    const auto a = tiles.offsets.cpu().to(torch::kDouble), b = expected.offsets.to(torch::kDouble);
    REQUIRE((a - b).abs().max().item<double>() <= 1e-4 * b[-1].item<double>() + 1);
}

TEST_CASE("wrong devices and types are named", "[cuda]") {
    if (no_gpu()) return;
    const auto s = to_gpu(random_scene(94, 10, 3).to(torch::kFloat));
    auto mixed = s;
    mixed.opacity = s.opacity.cpu();
    REQUIRE(throws_error([&] { mixed.draw(8); }, "cpu"));
    REQUIRE(
        throws_error([&] { to_gpu(random_scene(94, 10, 3)).draw(8); }, "expected float on a GPU"));
    auto strided = s;
    strided.center = torch::stack({s.center, s.center}, 2).select(2, 0);
    REQUIRE(torch::equal(strided.draw(8).image, s.draw(8).image));
}

TEST_CASE("hash encoding and SSIM are the same on the GPU", "[cuda]") {
    if (no_gpu()) return;
    const torch::Device gpu(torch::kCUDA, 0);
    auto generator = at::make_generator<at::CPUGeneratorImpl>(uint64_t{6});
    const auto x = torch::rand({5000, 3}, generator), weight = torch::randn({5000, 16}, generator);
    std::vector<torch::Tensor> results[2];
    for (const bool on_gpu : {false, true}) {
        HashGrid grid(coarse, torch::tensor({{0.F, 0.F, 0.F}, {1.F, 1.F, 1.F}}), 7);
        if (on_gpu) grid->to(gpu);
        const auto device = on_gpu ? gpu : torch::Device(torch::kCPU);
        const auto table = grid->parameters()[0];
        const auto points = x.to(device).requires_grad_(true);
        const auto fixed = grid->forward(grid->locate(x.to(device))), live = grid->forward(points);
        results[on_gpu] = {fixed, live,
                           torch::autograd::grad({(fixed * weight.to(device)).sum()}, {table})[0]};
        for (const auto& g :
             torch::autograd::grad({(live * weight.to(device)).sum()}, {table, points}))
            results[on_gpu].push_back(g);
        const auto a =
            torch::rand({3, 101, 77}, at::make_generator<at::CPUGeneratorImpl>(uint64_t{8}))
                .to(device)
                .requires_grad_(true);
        const auto b = a.detach().flip(2) * 0.9;
        const auto similarity = ssim(a, b);
        results[on_gpu].push_back(similarity);
        results[on_gpu].push_back(torch::autograd::grad({similarity}, {a})[0]);
    }
    for (size_t k = 0; k < results[0].size(); ++k) {
        CAPTURE(k);
        CHECK(relative(results[1][k].detach().cpu(), results[0][k].detach()) <= 1e-4);
    }
}

TEST_CASE("a training step on the GPU follows the CPU's", "[cuda]") {
    if (no_gpu()) return;
    std::vector<double> losses[2];
    for (const bool gpu : {false, true}) {
        Avatar avatar = small_avatar(coarse);
        auto frame = noise_frame(192, 400, avatar->parts().body->joint_count());
        if (gpu) {
            avatar->to(torch::Device(torch::kCUDA, 0));
            frame = frame.to(torch::Device(torch::kCUDA, 0));
        }
        ObjectiveOptions options;
        options.static_shapes = "true";  // so that both draw the same pairs of pixels
        auto objective = paper_objective(avatar->parts(), options);
        Optimizer optimizer(grouped_parameters(*avatar), {});
        for (int64_t step = 0; step < 20; ++step) {
            const Random random{1, step};
            const auto report =
                objective->forward(avatar->forward(frame.camera, frame.pose, &random), frame,
                                   random, double(step) / 20);
            optimizer.zero_grad();
            report.total.backward();
            optimizer.step_unchecked(double(step) / 20, report.total);
            losses[gpu].push_back(report.total.item<double>());
        }
        REQUIRE(optimizer.take_skipped() == 0);
    }
    REQUIRE(losses[1].back() < losses[1].front());
    for (size_t k = 0; k < losses[0].size(); ++k) {
        CAPTURE(k, losses[0][k], losses[1][k]);
        CHECK(std::abs(losses[1][k] - losses[0][k]) <= 1e-2 * losses[0][k]);
    }
}

TEST_CASE("free memory of a GPU is a number of bytes", "[cuda]") {
    if (no_gpu()) return;
    REQUIRE(free_memory(torch::Device(torch::kCUDA, 0)) > 0);
    REQUIRE(throws_error([] { free_memory(torch::kCPU); }, "expected a GPU"));
}
