#include <fmgs/core/body_model.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/synthetic/procedural_body.h>
#include <fmgs/fields/canonical_search.h>
#include <fmgs/fields/skinning_volume.h>

#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

const auto kDouble = torch::TensorOptions(torch::kDouble);

/// Weights of two bones that change smoothly along y.
struct TwoBones : Skinning {
    torch::Tensor forward(const torch::Tensor& x) override {
        const auto upper = torch::sigmoid(x.narrow(1, 1, 1) / 0.1);
        return torch::cat({1 - upper, upper}, 1);
    }
};

/// The first bone stays; the second turns by `angle` about an axis through the origin and moves.
torch::Tensor bent(double angle) {
    const auto turn = exp_map(torch::tensor({{0.2, -0.1, 1.0}}, kDouble) * angle);
    const auto moved = rigid(turn, torch::tensor({{0.02, 0.01, -0.03}}, kDouble));
    return torch::cat({torch::eye(4, kDouble).unsqueeze(0), moved});
}

torch::Tensor some_points(int64_t count) {
    torch::manual_seed(3);
    return 0.6 * torch::rand({count, 3}, kDouble) - 0.3;
}

}  // namespace

TEST_CASE("under one bone the search is its inverse, in one step") {
    const auto x = some_points(50);
    const auto bones = bent(0.9).narrow(0, 1, 1);
    struct One : Skinning {
        torch::Tensor forward(const torch::Tensor& at) override {
            return torch::ones_like(at.narrow(1, 0, 1));
        }
    } skinning;
    const auto posed = skin(skinning.forward(x), bones, x);
    CanonicalSearch search(CanonicalSearchOptions{.iterations = 1, .largest_step = 100});
    const auto found = search->forward(posed, bones, skinning, torch::zeros_like(x));
    CHECK(found.converged.all().item<bool>());
    CHECK((found.position - x).abs().max().item<double>() <= 1e-12);
}

TEST_CASE("what smooth weights bend is taken back, quadratically") {
    TwoBones skinning;
    const auto x = some_points(2000), bones = bent(0.8);
    const auto posed = skin(skinning.forward(x), bones, x);
    const auto start = posed;  // as if nothing had moved
    CanonicalSearch search;
    const auto found = search->forward(posed, bones, skinning, start);
    CHECK(found.converged.to(kDouble).mean().item<double>() >= 0.99);
    const auto again = skin(skinning.forward(found.position), bones, found.position);
    const auto missed = (again - posed).norm(2, 1).masked_select(found.converged);
    CHECK(missed.max().item<double>() <= 1e-5);
    // From a step before the answer the error is squared: with the term of ∂w alone at a tenth it
    // would shrink by a factor.
    const auto near = found.position + 1e-4;
    CanonicalSearch once(CanonicalSearchOptions{.iterations = 1, .tolerance = 1e-6});
    const auto next = once->forward(posed, bones, skinning, near);
    CHECK(next.converged.to(kDouble).mean().item<double>() >= 0.99);
}

TEST_CASE("a point that no place is carried to is said not to be found") {
    struct Collapsed : Skinning {  // every place goes to the plane z = 0
        torch::Tensor forward(const torch::Tensor& at) override {
            return torch::ones_like(at.narrow(1, 0, 1));
        }
    } skinning;
    auto flat = torch::eye(4, kDouble).unsqueeze(0).clone();
    flat[0][2][2] = 0;
    const auto posed = torch::tensor({{0.1, 0.2, 0.0}, {0.1, 0.2, 0.3}}, kDouble);
    const auto found =
        CanonicalSearch()->forward(posed, flat, skinning, torch::zeros({2, 3}, kDouble));
    CHECK(found.position.isfinite().all().item<bool>());
    CHECK_FALSE(found.converged[1].item<bool>());
}

TEST_CASE("a posed body is taken back through diffused weights") {
    const auto body = BodyModel(procedural_body({.cell = 0.035}), torch::Tensor());
    const auto canonical = body->canonical();
    const auto box = padded_box(canonical.vertices);
    SkinningVolume skinning(
        diffuse_weights(canonical.vertices, body->weights(), box, {.resolution = 40}));
    auto joints = torch::zeros({23, 3});
    joints[17][2] = 0.5, joints[4][0] = 0.6;
    const auto pose = smpl_pose(torch::tensor({0.1, 0.4, -0.2}), joints.reshape({-1}),
                                torch::tensor({0.3, 0.1, 2.0}), 24);
    const auto bones = body->bones(pose);
    const auto posed = skin(skinning->forward(canonical.vertices), bones, canonical.vertices);
    const auto found =
        CanonicalSearch()->forward(posed, bones, *skinning, nearest_start(posed, *body, pose));
    CHECK(found.converged.to(torch::kFloat).mean().item<double>() >= 0.97);
    const auto off = (found.position - canonical.vertices).norm(2, 1);
    CHECK((off <= 1e-3).to(torch::kFloat).mean().item<double>() >=
          0.9);  // the preimage it came from
}
