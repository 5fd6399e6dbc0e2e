#include <fmgs/core/random.h>
#include <fmgs/core/rotation.h>
#include <fmgs/fields/pose_encoder.h>

#include "support/gradcheck.h"
#include "support/module.h"
#include "support/test.h"

using namespace fmgs;

namespace {

/// A tree in which joints of equal depth are not neighbours in the list.
torch::Tensor tree() { return torch::tensor({-1, 0, 1, 0, 3, 1, 4}, torch::kInt64); }
torch::Tensor draw(std::initializer_list<int64_t> shape, uint64_t seed = 3) {
    return torch::randn(shape, Random{seed}.generator("draw"), torch::kFloat32);
}
torch::Tensor joints() { return draw({7, 3}, 8); }
torch::Tensor vertices() { return 2 * draw({40, 3}, 9); }
PoseEncoder encoder(uint64_t seed = 0, PoseEncoderOptions options = {}) {
    return PoseEncoder(tree(), joints(), vertices(), options, seed);
}
torch::Tensor pose(uint64_t seed = 1) { return exp_map(0.5 * draw({7, 3}, seed)); }

/// Recipe 1.2 joint by joint, without batching, of any nine numbers per joint.
torch::Tensor recursion(PoseEncoder& encoder, const torch::Tensor& local) {
    const auto p = encoder->named_parameters();
    const auto order = encoder->named_buffers()["order"].to(torch::kInt64);
    const auto V = vertices().to(local.dtype()), c = V.mean(0), m = (V - c).min(),
               range = (V - c).max() - m;
    const auto J = 2 * ((joints().to(local.dtype()) - c - m + 0.05 * range) / (1.1 * range) - 0.5);
    const auto parents = tree();
    std::vector<int64_t> slot(7);
    for (int64_t k = 0; k < 7; ++k) slot[static_cast<size_t>(order[k].item<int64_t>())] = k;
    const auto everything =
        torch::cat({local.index_select(0, order).flatten(), J.index_select(0, order).flatten()});
    const auto global = p["global_weight"].mv(everything) + p["global_bias"];
    std::vector<torch::Tensor> codes(7), ordered(7);
    for (int64_t j = 0; j < 7; ++j) {
        const auto k = static_cast<size_t>(j);
        const int64_t parent = parents[j].item<int64_t>(), s = slot[k];
        const auto bone = j == 0 ? J[0].norm() : (J[j] - J[parent]).norm();
        const auto input = torch::cat({local[j].flatten(), J[j], bone.view({1}),
                                       j == 0 ? global : codes[static_cast<size_t>(parent)]});
        const auto hidden =
            torch::relu(p["hidden_weight"][s].mv(input) + p["hidden_bias"][s].squeeze(1));
        codes[k] = p["code_weight"][s].mv(hidden) + p["code_bias"][s].squeeze(1);
        ordered[static_cast<size_t>(s)] = codes[k];
    }
    return p["output_weight"].mv(torch::cat(ordered)) + p["output_bias"];
}

/// The root's rotation does not enter.
torch::Tensor without_root(const torch::Tensor& rotations) {
    const auto local = rotations.clone();
    local[0] = torch::eye(3, rotations.options());
    return local;
}

}  // namespace

TEST_CASE("the batched encoder is the joint-by-joint recursion down the tree", "[pose_encoder]") {
    auto e = encoder();
    e->to(torch::kDouble);
    const auto rotations = pose().to(torch::kDouble);
    REQUIRE_CLOSE(e->forward(rotations), recursion(e, without_root(rotations)),
                  1e-6);  // rest features were rounded to float
}

TEST_CASE("the code does not depend on the root orientation", "[pose_encoder]") {
    auto e = encoder();
    auto turned = pose().clone();
    turned[0] = exp_map(torch::tensor({{0.3f, 2.0f, -1.0f}}))[0];
    REQUIRE(e->width() == 16);
    REQUIRE(e->forward(pose()).sizes() == torch::IntArrayRef({16}));
    REQUIRE(torch::equal(e->forward(pose()), e->forward(turned)));
    REQUIRE_FALSE(torch::equal(e->forward(pose(1)), e->forward(pose(2))));
}

TEST_CASE("gradients of the encoder are right in double", "[pose_encoder]") {
    auto e = encoder();
    e->to(torch::kDouble);
    const auto value = [&](const std::vector<torch::Tensor>& in) {
        return e->forward(in[0]).mul(3).sin().sum();
    };
    const auto rotations = pose().to(torch::kDouble);
    REQUIRE(test::gradient_error(value, {rotations}) < 1e-7);
    REQUIRE(test::parameter_gradient_error(*e, [&] { return value({rotations}); }) < 1e-7);
}

TEST_CASE("training noise touches about its share of the steps and depends on seed and step only",
          "[pose_encoder]") {
    auto e = encoder();
    const auto rotations = pose(), calm = e->forward(rotations);
    int noisy = 0;
    for (int64_t step = 0; step < 200; ++step) {
        const Random random{7, step};
        const auto code = e->forward(rotations, &random);
        REQUIRE(torch::equal(code, e->forward(rotations, &random)));
        noisy += !torch::equal(code, calm);
    }
    REQUIRE(noisy > 75);  // 100 expected, standard deviation 7
    REQUIRE(noisy < 125);
    auto silent = encoder(0, {.noise = 0});
    const Random random{7, 1};
    REQUIRE(torch::equal(silent->forward(rotations, &random), silent->forward(rotations)));
}

TEST_CASE("training noise on the rotations' entries has the deviation of the options",
          "[pose_encoder]") {
    constexpr double kNoise = 1e-5;  // so small that the encoder is linear over it
    auto e = encoder(0, {.noise = kNoise, .noise_share = 1});
    e->to(torch::kDouble);
    const auto rotations = pose().to(torch::kDouble);
    const auto local = without_root(rotations).requires_grad_(true);
    const auto code = recursion(e, local);
    double slopes = 0;  // the squares of all derivatives
    for (int64_t k = 0; k < code.size(0); ++k)
        slopes +=
            torch::autograd::grad({code[k]}, {local}, {}, true)[0].square().sum().item<double>();
    const auto calm = e->forward(rotations);
    double squares = 0;
    constexpr int64_t kSteps = 500;
    for (int64_t step = 0; step < kSteps; ++step) {
        const Random random{7, step};
        squares += (e->forward(rotations, &random) - calm).square().sum().item<double>();
    }
    // E|J·n|² = σ²·Σ J²; its estimate has a standard error of 0.06 at most.
    REQUIRE(squares / kSteps / (kNoise * kNoise * slopes) == Approx(1).margin(0.2));
}

TEST_CASE("an encoder with copied parameters gives the same bits", "[pose_encoder]") {
    auto a = encoder(1), b = encoder(2);
    REQUIRE_FALSE(torch::equal(a->forward(pose()), b->forward(pose())));
    REQUIRE(test::copy_state(*a, *b));
    REQUIRE(torch::equal(a->forward(pose()), b->forward(pose())));
}

TEST_CASE("an encoder refuses a broken tree and a pose of other joints", "[pose_encoder]") {
    REQUIRE(test::throws_error(
        [] {
            PoseEncoder(torch::tensor({-1, 2, 0}), torch::zeros({3, 3}), vertices());
        },
        "parents"));
    REQUIRE(test::throws_error(
        [] {
            PoseEncoder(torch::tensor({0, 0, 0}), torch::zeros({3, 3}), vertices());
        },
        "parents"));
    auto e = encoder();
    REQUIRE(test::throws_error(
        [&] {
            e->forward(torch::zeros({6, 3, 3}));
        },
        "rotations: expected [7,3,3], got [6,3,3]"));
}
