// Everything that draws or learns takes its device from its tensors: the same on a second device,
// where a tensor left on the CPU is refused.
#include <fmgs/core/config/config.h>
#include <fmgs/losses/paper_objective.h>
#include <fmgs/raster/render.h>

#include "support/person.h"
#include "support/stand_in_device.h"
#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

constexpr HashGridOptions kCoarse{.levels = 2,
                                  .features_per_level = 2,
                                  .base_resolution = 8,
                                  .finest_resolution = 16,
                                  .log2_hashmap_size = 10};

const std::vector<std::string> kLosses{
    "photometric",  "mask",           "depth_ranking", "normal_consistency",
    "normal",       "normal_tv",      "semantic",      "semantic_smoothness",
    "iso_position", "iso_covariance", "skin"};

/// The losses of the paper for which `chosen` holds, at weight 1.
template <class Chosen>
ObjectiveOptions losses(Chosen&& chosen) {
    Config config;
    for (const auto& name : kLosses)
        config.add_argument("losses." + name + (chosen(name) ? ".weight=1" : ".weight=0"));
    ObjectiveOptions options;
    config.read(options);
    return options;
}

/// The objective of an avatar in a frame of noise, and its gradients on the CPU.
struct Step {
    LossReport report;
    std::vector<torch::Tensor> gradients;

    Step(torch::Device device, const ObjectiveOptions& options) {
        auto avatar = small_avatar(kCoarse);
        auto objective = paper_objective(avatar->parts(), options);
        avatar->to(device);
        objective->to(device);
        const auto frame = noise_frame(32, 60, avatar->parts().body->joint_count()).to(device);
        const Random random{1, 2};
        report = objective->forward(avatar->forward(frame.camera, frame.pose, &random), frame,
                                    random, 1.0);
        report.total.backward();
        for (const auto& parameter : avatar->parameters()) {
            REQUIRE(parameter.device() == device);
            const auto& gradient = parameter.grad();
            gradients.push_back(gradient.defined() ? gradient.cpu() : torch::zeros({0}));
        }
    }
};

}  // namespace

TEST_CASE("the stand-in refuses tensors of the CPU and hides its memory", "[device]") {
    const auto x = torch::ones({3}, kStandIn), y = torch::ones({3});
    REQUIRE(x.device() == kStandIn);
    REQUIRE((x + 1).sum().item<float>() == 6);
    REQUIRE(torch::equal(x.cpu(), y));
    REQUIRE_THROWS(x + y);
    REQUIRE_THROWS(torch::cat({x, y}));
    REQUIRE_THROWS(torch::matmul(x.unsqueeze(0), y));
    REQUIRE_THROWS(torch::where(y > 0, x, x));
    REQUIRE_THROWS(x.index_select(0, torch::zeros({1}, torch::kLong)));
    REQUIRE(throws_error([&] { torch::addmm(x, x.view({1, 3}), y.view({3, 1})); }, "on the CPU"));
}

TEST_CASE("an avatar draws on another device what it draws on the CPU", "[device]") {
    auto avatar = small_avatar(kCoarse);
    const auto frame = noise_frame(32, 60, avatar->parts().body->joint_count());
    const std::vector<std::string> names{"color", "alpha", "depth", "normal", "semantic"};
    const auto draw = [&](const Frame& f) {
        const torch::NoGradGuard guard;
        const auto bare =
            template_surfels(avatar->parts().body, avatar->parts().surfels, 0, f.pose);
        return std::pair{render(avatar->forward(f.camera, f.pose).posed(), f.camera, names),
                         render(bare.posed(), f.camera, {"color", "depth", "normal"})};
    };
    const auto [maps, bare] = draw(frame);
    avatar->to(kStandIn);
    const auto [device_maps, device_bare] = draw(frame.to(kStandIn));
    for (const auto& [name, map] : maps) {
        INFO(name);
        REQUIRE(device_maps.at(name).device() == kStandIn);
        REQUIRE_CLOSE(device_maps.at(name).cpu(), map, 1e-6);
    }
    for (const auto& [name, map] : bare) {
        INFO("template: " << name);
        REQUIRE_CLOSE(device_bare.at(name).cpu(), map, 1e-6);
    }
}

// Away from the CPU, the ranking of depths draws its pairs from the whole picture: other pairs.
TEST_CASE("a training step is the same on another device", "[device]") {
    const auto compared = losses([](const auto& name) { return name != "depth_ranking"; });
    const Step cpu(torch::kCPU, compared), device(kStandIn, compared);
    REQUIRE(device.report.total.device() == kStandIn);
    REQUIRE(cpu.report.terms.size() == kLosses.size() - 1);
    for (size_t k = 0; k < cpu.report.terms.size(); ++k) {
        INFO(cpu.report.terms[k].name);
        REQUIRE_CLOSE(device.report.terms[k].value.cpu(), cpu.report.terms[k].value, 1e-6);
    }
    REQUIRE(device.gradients.size() == cpu.gradients.size());
    for (size_t k = 0; k < cpu.gradients.size(); ++k)
        REQUIRE_CLOSE(device.gradients[k], cpu.gradients[k], 1e-5);
}

TEST_CASE("the ranking of depths runs on another device", "[device]") {
    const Step device(kStandIn, losses([](const auto& name) { return name == "depth_ranking"; }));
    REQUIRE(device.report.terms.size() == 1);
    REQUIRE(device.report.total.item<float>() > 0);
    double largest = 0;
    for (const auto& gradient : device.gradients) {
        REQUIRE(gradient.isfinite().all().item<bool>());
        if (gradient.numel()) largest = std::max(largest, gradient.abs().max().item<double>());
    }
    REQUIRE(largest > 0);
}
