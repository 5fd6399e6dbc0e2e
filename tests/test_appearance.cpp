#include <fmgs/core/random.h>
#include <fmgs/fields/appearance.h>

#include "support/gradcheck.h"
#include "support/module.h"
#include "support/test.h"

using namespace fmgs;

namespace {

AppearanceFieldOptions small(double noise = 45) {
    return {.volume = {.levels = 3,
                       .base_resolution = 3,
                       .finest_resolution = 9,
                       .log2_hashmap_size = 6},
            .hidden = 8,
            .view_noise = noise};
}
torch::Tensor box() { return torch::tensor({{-1.0f, -1.0f, -1.0f}, {1.0f, 1.0f, 1.0f}}); }
torch::Tensor draw(std::initializer_list<int64_t> shape, uint64_t seed = 3) {
    return torch::randn(shape, Random{seed}.generator("draw"), torch::kFloat32);
}
torch::Tensor unit(const torch::Tensor& x) { return x / x.norm(2, 1, true); }

/// A field of 7 points with its inputs.
struct Scene {
    AppearanceField field;
    LocatedPoints at{draw({7, 3}, 6).clamp(-1, 1)};
    torch::Tensor geometry_code = draw({7, 4}), pose_code = draw({5}, 4),
                  direction = unit(draw({7, 3}, 5));

    explicit Scene(double noise = 45, uint64_t seed = 0) : field(small(noise), box(), 4, 5, seed) {}
    torch::Tensor color(std::optional<Random> random = std::nullopt) {
        return field->forward({.at = at,
                               .pose_code = pose_code,
                               .geometry_code = geometry_code,
                               .direction = direction,
                               .random = random});
    }
    /// From here on the logit of the colour is the direction itself, whatever else comes in: hidden
    /// units ±x, ±y, ±z, of which LeakyReLU leaves leaky(x) - leaky(-x) = 1.01 x.
    void show_direction() {
        const torch::NoGradGuard guard;
        field->to(torch::kDouble);
        for (auto& p : field->parameters()) p.zero_();
        auto read = field->named_parameters()["mlp.weight0"],
             write = field->named_parameters()["mlp.weight1"];
        const int64_t first = read.size(1) - 15 - pose_code.size(0);
        constexpr double kFactor = 0.4886025119029199;  // harmonics: -y, z, -x times this
        const std::vector<std::pair<int64_t, double>> columns = {{2, -1.0}, {0, -1.0}, {1, 1.0}};
        for (int64_t axis = 0; axis < 3; ++axis) {
            const auto& [column, sign] = columns[static_cast<size_t>(axis)];
            for (const int64_t k : {0, 1}) {
                const double side = k == 0 ? 1 : -1;
                read[2 * axis + k][first + column] = side * sign / kFactor;
                write[axis][2 * axis + k] = side / 1.01;
            }
        }
        for (auto* x : {&geometry_code, &pose_code, &direction}) *x = x->to(torch::kDouble);
        direction = torch::eye(3, torch::kDouble).repeat({3, 1}).slice(0, 0, 7);
    }
    /// The rotation that a step applies to view directions, after show_direction().
    torch::Tensor turn(int64_t step) { return color(Random{1, step}).logit().slice(0, 0, 3).t(); }
};

/// The angles a, b, c in degrees of 400 steps' rotations Rx(a)·Ry(b)·Rz(c): [400,3].
torch::Tensor noise_angles(double noise) {
    Scene scene(noise);
    scene.show_direction();
    REQUIRE_CLOSE(scene.color().logit(), scene.direction, 1e-12);
    std::vector<torch::Tensor> angles;
    for (int64_t step = 0; step < 400; ++step) {
        const auto R = scene.turn(step);
        REQUIRE_CLOSE(R.matmul(R.t()), torch::eye(3, torch::kDouble), 1e-10);
        angles.push_back(torch::stack({torch::atan2(-R[1][2], R[2][2]), torch::asin(R[0][2]),
                                       torch::atan2(-R[0][1], R[0][0])}));
    }
    return torch::stack(angles) * (180 / M_PI);
}

}  // namespace

TEST_CASE("the spherical harmonics are orthonormal over the sphere and lack the constant",
          "[appearance_field]") {
    // A product rule that integrates polynomials of degree 6 exactly: Gauss in z, equal steps
    // around.
    const std::vector<double> nodes{0.1834346424956498, 0.5255324099163290, 0.7966664774136267,
                                    0.9602898564975363};
    const std::vector<double> weights{0.3626837833783620, 0.3137066458778873, 0.2223810344533745,
                                      0.1012285362903763};
    std::vector<torch::Tensor> directions, shares;
    for (size_t k = 0; k < 8; ++k) {
        const double z = (k < 4 ? 1 : -1) * nodes[k % 4], r = std::sqrt(1 - z * z);
        for (int j = 0; j < 16; ++j) {
            const double angle = 2 * M_PI * j / 16;
            directions.push_back(
                torch::tensor({r * std::cos(angle), r * std::sin(angle), z}, torch::kDouble));
            shares.push_back(torch::tensor(weights[k % 4] * 2 * M_PI / 16, torch::kDouble));
        }
    }
    const auto basis = spherical_harmonics(torch::stack(directions));
    const auto share = torch::stack(shares).unsqueeze(1);
    REQUIRE_CLOSE(basis.t().matmul(share * basis), torch::eye(15, torch::kDouble), 1e-12);
    REQUIRE_CLOSE((share * basis).sum(0), torch::zeros({15}, torch::kDouble), 1e-12);
}

TEST_CASE("the first harmonics follow the sign convention -y, z, -x", "[appearance_field]") {
    const auto basis =
        spherical_harmonics(torch::eye(3, torch::kDouble)).slice(1, 0, 3) / 0.4886025119029199;
    REQUIRE_CLOSE(
        basis, torch::tensor({{0.0, 0.0, -1.0}, {-1.0, 0.0, 0.0}, {0.0, 1.0, 0.0}}, torch::kDouble),
        1e-15);
}

TEST_CASE("colours lie in (0,1) and depend on every input", "[appearance_field]") {
    Scene scene;
    const auto color = scene.color();
    REQUIRE(color.sizes() == torch::IntArrayRef({7, 3}));
    REQUIRE(color.min().item<float>() > 0);
    REQUIRE(color.max().item<float>() < 1);
    for (auto* input : {&scene.geometry_code, &scene.pose_code, &scene.direction}) {
        const auto before = *input;
        *input = -before;
        REQUIRE_FALSE(torch::equal(scene.color(), color));
        *input = before;
    }
}

TEST_CASE("gradients of the appearance field are right in double", "[appearance_field]") {
    Scene scene;
    scene.field->to(torch::kDouble);
    const auto value = [&](const std::vector<torch::Tensor>& in) {
        scene.geometry_code = in[0], scene.pose_code = in[1], scene.direction = in[2];
        return scene.color().mul(3).sin().sum();
    };
    const std::vector<torch::Tensor> inputs{scene.geometry_code.to(torch::kDouble),
                                            scene.pose_code.to(torch::kDouble),
                                            scene.direction.to(torch::kDouble)};
    REQUIRE(test::gradient_error(value, inputs) < 1e-7);
    REQUIRE(test::parameter_gradient_error(*scene.field, [&] { return value(inputs); }) < 1e-7);
}

TEST_CASE("view noise is one draw per seed and step, and off without a Random",
          "[appearance_field]") {
    Scene scene, calm(0);
    const Random one{1, 1}, two{1, 2};
    REQUIRE(torch::equal(scene.color(), scene.color()));
    REQUIRE(torch::equal(scene.color(one), scene.color(one)));
    REQUIRE_FALSE(torch::equal(scene.color(one), scene.color(two)));
    REQUIRE_FALSE(torch::equal(scene.color(one), scene.color()));
    REQUIRE(torch::equal(calm.color(one), calm.color()));
}

TEST_CASE("view noise of σ degrees: normal about x and z, uniform below σ about y",
          "[appearance_field]") {
    const auto angles = noise_angles(10);
    const auto deviation = angles.std(0), mean = angles.mean(0);
    for (const int64_t k : {0, 2}) {  // standard error 0.5 and 0.35
        REQUIRE(std::abs(mean[k].item<double>()) < 2);
        REQUIRE(deviation[k].item<double>() == Approx(10).margin(1.5));
    }
    REQUIRE(mean[1].item<double>() == Approx(5).margin(0.6));  // standard error 0.15
    REQUIRE(angles.select(1, 1).min().item<double>() >= 0);
    REQUIRE(angles.select(1, 1).max().item<double>() <= 10);
}

TEST_CASE("view noise is held within a quarter turn", "[appearance_field]") {
    const auto angles = noise_angles(60).abs();
    REQUIRE(angles.max().item<double>() <= 90 + 1e-6);
    for (const int64_t k : {0, 2}) {
        const auto held = angles.select(1, k) > 90 - 1e-6;
        // 13.4 % of the draws lie beyond 1.5 σ; standard error 1.7 %.
        REQUIRE(held.to(torch::kDouble).mean().item<double>() == Approx(0.134).margin(0.07));
    }
}

TEST_CASE("an appearance field with copied parameters gives the same bits", "[appearance_field]") {
    Scene a(45, 1), b(45, 2);
    REQUIRE_FALSE(torch::equal(a.color(), b.color()));
    REQUIRE(test::copy_state(*a.field, *b.field));
    REQUIRE(torch::equal(a.color(), b.color()));
}

TEST_CASE("an appearance field refuses inputs of the wrong shape", "[appearance_field]") {
    Scene scene;
    scene.direction = draw({6, 3});
    REQUIRE(test::throws_error([&] { scene.color(); }, "direction: expected [7,3], got [6,3]"));
}
