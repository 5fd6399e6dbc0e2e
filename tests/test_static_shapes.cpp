// What training on a GPU rests on: losses that mask pixels instead of picking them, and a step that
// reads nothing back.
#include <ATen/record_function.h>
#include <fmgs/losses/depth_ranking.h>
#include <fmgs/losses/map_losses.h>
#include <fmgs/losses/paper_objective.h>
#include <fmgs/raster/render.h>
#include <fmgs/train/optim.h>

#include <mutex>
#include <set>

#include "support/losses.h"
#include "support/person.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

/// Value and gradient of a loss in the map `name`.
std::pair<torch::Tensor, torch::Tensor> value_and_gradient(LossScene scene, Loss& loss,
                                                           const std::string& name,
                                                           bool static_shapes) {
    scene.static_shapes = static_shapes;
    const auto leaf = scene.rendered.at(name).detach().clone().requires_grad_(true);
    scene.rendered.set(name, leaf);
    const auto value = scene(loss);
    return {value.detach(), torch::autograd::grad({value}, {leaf})[0]};
}

std::set<std::string>& seen_operators() {
    static std::set<std::string> names;
    return names;
}

bool is_fused_adam(const at::RecordFunction& f) {
    return std::string_view(f.name()) == "aten::_fused_adam_";
}

/// The operators that run while it lives, but for those inside the fused Adam, which reads its flag
/// on the CPU and not on a GPU.
struct Recording {
    static std::unique_ptr<at::ObserverContext> start(const at::RecordFunction& f) {
        if (!inside()) {
            const std::lock_guard lock(mutex());
            seen_operators().insert(f.name());
        }
        if (is_fused_adam(f)) inside() = true;
        return nullptr;
    }
    static void end(const at::RecordFunction& f, at::ObserverContext*) {
        if (is_fused_adam(f)) inside() = false;
    }
    static bool& inside() {
        static thread_local bool value = false;
        return value;
    }
    static std::mutex& mutex() {
        static std::mutex value;
        return value;
    }

    at::CallbackHandle handle;
    Recording()
        : handle(at::addGlobalCallback(
              at::RecordFunctionCallback(start, end).scopes({at::RecordScope::FUNCTION}))) {
        seen_operators().clear();
    }
    ~Recording() { at::removeCallback(handle); }
    Recording(const Recording&) = delete;
    Recording& operator=(const Recording&) = delete;
};

/// Operators whose result's value, on a GPU, the processor has to wait for.
std::vector<std::string> that_wait() {
    std::vector<std::string> found;
    for (const auto& name : {"item", "_local_scalar_dense", "nonzero", "masked_select",
                             "is_nonzero", "equal", "_unique2", "bincount", "repeat_interleave"}) {
        if (seen_operators().count(std::string("aten::") + name)) found.emplace_back(name);
    }
    return found;
}

}  // namespace

TEST_CASE("masked pixels give the value and gradient of picked ones", "[losses]") {
    LossScene scene(6, 7);
    scene.rendered.set("dino", uniform({5, 6, 7}, -1, 1, 1));
    auto wanted = uniform({5, 6, 7}, -1, 1, 2);
    wanted.select(1, 2).fill_(NAN);
    wanted.select(2, 3).fill_(0);
    scene.frame.maps.set("dino", wanted);
    scene.rendered.set("semantic", uniform({4, 6, 7}, -2, 2, 3));
    auto labels = torch::randint(4, {6, 7}, Random{4}.generator("labels"), torch::kLong);
    scene.frame.maps.set("semantic", labels);
    auto mask = torch::ones({1, 6, 7}, kDoubles);
    mask.select(1, 0).fill_(0);
    MapL1Loss l1("dino");
    MapL2Loss l2("dino");
    MapCosineLoss cosine("dino");
    CrossEntropyLoss entropy("semantic");
    const std::vector<std::pair<Loss*, std::string>> losses = {
        {&l1, "dino"}, {&l2, "dino"}, {&cosine, "dino"}, {&entropy, "semantic"}};
    for (const auto& cover : {torch::ones_like(mask), mask, torch::zeros_like(mask)}) {
        scene.frame.maps.set("mask", cover);
        for (const auto& [loss, name] : losses) {
            const auto picked = value_and_gradient(scene, *loss, name, false);
            const auto masked = value_and_gradient(scene, *loss, name, true);
            REQUIRE_CLOSE(masked.first, picked.first, 1e-14);
            REQUIRE_CLOSE(masked.second, picked.second, 1e-14);
        }
    }
}

TEST_CASE("pairs of depths drawn without reading back follow the same rule", "[losses]") {
    LossScene scene(8, 8);
    scene.static_shapes = true;
    auto depth = torch::full({1, 8, 8}, 1.0, kDoubles);
    depth.narrow(1, 4, 4).fill_(1.1);
    scene.rendered.set("depth", depth);
    auto prior = 3 * depth + 5;
    prior.select(2, 0).fill_(NAN);
    prior.select(2, 1).fill_(0);
    scene.frame.maps.set("depth", prior);
    auto normal = torch::zeros({3, 8, 8}, kDoubles);
    normal[2].fill_(-1);
    scene.rendered.set("normal", normal);
    DepthRankingLoss loss;
    REQUIRE(scene(loss).item<double>() == Approx(1 - std::tanh(1.0)).epsilon(1e-9));
    const auto gradient = value_and_gradient(scene, loss, "depth", true).second;
    REQUIRE(gradient.isfinite().all().item<bool>());
    REQUIRE(gradient.slice(2, 0, 2).abs().max().item<double>() == 0);  // never drawn
    REQUIRE((gradient.slice(2, 2) != 0).sum().item<int64_t>() >= 40);  // of 48: all may be
    REQUIRE(scene.silent_without_foreground(loss, "depth"));
}

TEST_CASE("a training step reads nothing back", "[losses]") {
    Avatar avatar = small_avatar({.levels = 4,
                                  .features_per_level = 2,
                                  .base_resolution = 8,
                                  .finest_resolution = 32,
                                  .log2_hashmap_size = 12});
    const auto frame = noise_frame(48, 120, avatar->parts().body->joint_count());
    ObjectiveOptions options;
    options.losses.photometric.ssim = 0;  // on the CPU it looks for the box that is not black
    auto objective = paper_objective(avatar->parts(), options);
    Optimizer optimizer(grouped_parameters(*avatar), {});
    const Random random{1, 2};

    const auto step = [&] {
        const auto surfels = avatar->forward(frame.camera, frame.pose, &random);
        const auto posed = surfels.posed();
        std::vector<std::string> names = {"alpha", "depth", "normal", "color", "semantic"};
        const auto tiles = find_tiles(posed, frame.camera);
        const auto rendered = render(posed, frame.camera, names, &tiles);
        torch::Tensor total = torch::zeros({});
        size_t terms = 0;
        for (const auto& entry : objective->entries()) {
            total = total + entry.loss->forward({surfels, posed, rendered, frame, random,
                                                 /*static_shapes=*/true});
            ++terms;
        }
        REQUIRE(terms >= 8);
        optimizer.zero_grad();
        total.backward();
        optimizer.step_unchecked(0.1, total);
    };
    step();
    {
        const Recording recording;
        step();
    }
    REQUIRE(seen_operators().count("aten::searchsorted") == 1);
    REQUIRE(seen_operators().count("aten::_fused_adam_") == 1);
    std::string words;
    for (const auto& name : that_wait()) words += name + " ";
    INFO("operators that wait: " << words);
    REQUIRE(words.empty());
    REQUIRE(optimizer.take_skipped() == 0);
}
