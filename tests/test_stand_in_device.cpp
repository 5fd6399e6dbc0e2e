// Everything that draws or learns takes its device from its tensors: the same on a second device,
// where a tensor left on the CPU is refused.
#include <fmgs/raster/render.h>
#include <fmgs/run/draw.h>
#include <fmgs/run/influence.h>

#include "support/person.h"
#include "support/stage.h"
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
            template_surfels(*avatar->parts().body, *avatar->parts().surfels, 0, f.pose);
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

TEST_CASE("a training step is the same on another device", "[device]") {
    auto options = only(table_rows(), "measured");
    options.static_shapes = "true";  // or the CPU draws other pairs of pixels
    const Step cpu(torch::kCPU, options), device(kStandIn, options);
    REQUIRE(device.report.total.device() == kStandIn);
    REQUIRE(cpu.report.terms.size() == table_rows().size());
    for (size_t k = 0; k < cpu.report.terms.size(); ++k) {
        INFO(cpu.report.terms[k].name);
        REQUIRE(cpu.report.terms[k].value.item<float>() > 0);
        REQUIRE_CLOSE(device.report.terms[k].value.cpu(), cpu.report.terms[k].value, 1e-6);
    }
    REQUIRE(device.gradients.size() == cpu.gradients.size());
    for (size_t k = 0; k < cpu.gradients.size(); ++k)
        REQUIRE_CLOSE(device.gradients[k], cpu.gradients[k], 1e-5);
}

TEST_CASE("views are drawn wherever the avatar is, from cameras and poses anywhere", "[device]") {
    auto avatar = small_avatar(kCoarse);
    const auto frame = noise_frame(32, 60, avatar->parts().body->joint_count());
    const auto maps = draw(avatar, frame.camera, frame.pose);
    avatar->to(kStandIn);
    for (const auto& [name, map] : draw(avatar, frame.camera, frame.pose)) {
        INFO(name);
        REQUIRE(map.is_cpu());
        REQUIRE_CLOSE(map, maps.at(name), 1e-6);
    }
}

TEST_CASE("which surfels a loss moves is drawn on another device", "[device]") {
    const auto drawn = [](torch::Device device) {
        auto avatar = small_avatar(kCoarse);
        auto objective = paper_objective(avatar->parts(), only({"photometric"}, "measured"));
        avatar->to(device);
        objective->to(device);
        const auto frame = noise_frame(32, 60, avatar->parts().body->joint_count()).to(device);
        auto surfels = avatar->forward(frame.camera, frame.pose);
        const auto columns = make_leaves(surfels);
        const auto sizes = gradient_sizes(objective->entries().at(0), surfels, columns, frame);
        const torch::NoGradGuard guard;
        auto posed = surfels.posed();
        std::vector<torch::Tensor> pictures;
        for (const auto& size : sizes) {
            posed.features = {{"size", heat(size, surfels.size(), posed.center.options())}};
            pictures.push_back(render(posed, frame.camera, {"size"}).at("size").cpu());
        }
        return torch::stack(pictures);
    };
    const auto cpu = drawn(torch::kCPU);
    REQUIRE(cpu.size(0) > 1);
    REQUIRE_CLOSE(drawn(kStandIn), cpu, 1e-5);
}
