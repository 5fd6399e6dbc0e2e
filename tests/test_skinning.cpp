#include <fmgs/core/random.h>
#include <fmgs/fields/skinning.h>

#include "support/gradcheck.h"
#include "support/module.h"
#include "support/test.h"

using namespace fmgs;

namespace {

SkinningFieldOptions small() {
    SkinningFieldOptions options;
    options.volume = {.levels = 3,
                      .features_per_level = 2,
                      .base_resolution = 3,
                      .finest_resolution = 9,
                      .log2_hashmap_size = 6};
    options.hidden = 8;
    options.layers = 2;
    return options;
}

/// A cylinder of 1.6 m along y with three joints blended smoothly along it: an arm.
struct Arm {
    Mesh mesh;
    torch::Tensor weights;

    Arm() {
        constexpr int64_t kRings = 33, kSides = 24;
        std::vector<float> vertices;
        std::vector<int64_t> faces;
        for (int64_t i = 0; i < kRings; ++i) {
            for (int64_t j = 0; j < kSides; ++j) {
                const double angle = 2 * M_PI * static_cast<double>(j) / kSides;
                vertices.insert(vertices.end(),
                                {float(0.1 * std::cos(angle)), float(1.6 * i / (kRings - 1) - 0.8),
                                 float(-0.1 * std::sin(angle))});
                if (i + 1 == kRings) continue;
                const int64_t a = i * kSides + j, b = i * kSides + (j + 1) % kSides, c = a + kSides,
                              d = b + kSides;
                faces.insert(faces.end(), {a, b, d, a, d, c});
            }
        }
        mesh.vertices = torch::tensor(vertices).view({-1, 3});
        mesh.faces = torch::tensor(faces, torch::kInt64).view({-1, 3});
        const auto y = mesh.vertices.select(1, 1);
        const auto lower = torch::sigmoid((y + 0.25) / 0.04),
                   upper = torch::sigmoid((y - 0.25) / 0.04);
        weights = torch::stack({1 - lower, lower - upper, upper}, 1);
    }

    /// Each joint bends the next part by 60 degrees about z: [3,4,4].
    torch::Tensor bones() const {
        const auto bend = [](double height) {
            auto bone = torch::eye(4);
            const float c = float(std::cos(M_PI / 3)), s = float(std::sin(M_PI / 3));
            bone[0][0] = c, bone[0][1] = -s, bone[1][0] = s, bone[1][1] = c;
            bone[0][3] = s * float(height), bone[1][3] = float(height) * (1 - c);
            return bone;
        };
        const auto first = bend(-0.25), second = torch::matmul(first, bend(0.25));
        return torch::stack({torch::eye(4), first, second});
    }

    torch::Tensor posed(const torch::Tensor& skinning) const {
        const auto T = torch::einsum("nj,jab->nab", {skinning, bones()});
        const auto homogeneous =
            torch::cat({mesh.vertices, torch::ones({mesh.vertices.size(0), 1})}, 1);
        return torch::matmul(T, homogeneous.unsqueeze(2)).squeeze(2).slice(1, 0, 3);
    }
};

torch::Tensor points() {
    return torch::rand({6, 3}, Random{3}.generator("points"), torch::kFloat32) * 2 - 1;
}
torch::Tensor box() { return torch::tensor({{-1.0f, -1.0f, -1.0f}, {1.0f, 1.0f, 1.0f}}); }

}  // namespace

TEST_CASE("skinning weights are positive and sum to one", "[skinning_field]") {
    SkinningField field(small(), box(), 5);
    const auto w = field->forward(points());
    REQUIRE(w.sizes() == torch::IntArrayRef({6, 5}));
    REQUIRE(w.min().item<float>() > 0);
    REQUIRE_CLOSE(w.sum(1), torch::ones({6}), 1e-6);
}

TEST_CASE("gradients of the skinning field reach positions and parameters, right in double",
          "[skinning_field]") {
    SkinningField field(small(), box(), 5);
    field->to(torch::kDouble);
    {
        torch::NoGradGuard guard;  // a fresh table is too flat to see gradients through
        field->named_parameters()["volume.table"].mul_(1e4);
    }
    const auto mix = torch::arange(1, 31, torch::kDouble).view({6, 5});
    const auto value = [&](const std::vector<torch::Tensor>& in) {
        return (field->forward(in[0]) * mix).sin().sum();
    };
    const auto x = points().to(torch::kDouble);
    REQUIRE(test::gradient_error(value, {x}) < 1e-6);
    REQUIRE(test::parameter_gradient_error(*field, [&] { return value({x}); }) < 1e-6);
}

TEST_CASE("a pre-fitted field poses the template as its own weights do", "[skinning_field]") {
    const Arm arm;
    SkinningFieldOptions options;
    options.prefit_steps = 200;
    options.prefit_points = 1024;
    SkinningField field(options, padded_box(arm.mesh.vertices), 3);
    int64_t calls = 0, last = 0;
    const double loss = prefit_skinning(*field, arm.mesh, arm.weights, options, 1,
                                        [&](int64_t step, int64_t steps, double) {
                                            ++calls;
                                            last = step;
                                            REQUIRE(steps == 200);
                                        });
    REQUIRE(calls >= 2);
    REQUIRE(last == 200);
    const auto distance =
        (arm.posed(field->forward(arm.mesh.vertices)) - arm.posed(arm.weights)).norm(2, 1);
    CAPTURE(loss, distance.mean().item<double>(), distance.max().item<double>());
    REQUIRE(loss < 1e-3);
    REQUIRE(distance.mean().item<double>() < 0.003);
    REQUIRE(distance.max().item<double>() < 0.015);
    for (const auto& p : field->parameters()) REQUIRE_FALSE(p.grad().defined());
}

TEST_CASE("a skinning field with copied parameters gives the same bits", "[skinning_field]") {
    SkinningField a(small(), box(), 5, 1), b(small(), box(), 5, 2);
    REQUIRE_FALSE(torch::equal(a->forward(points()), b->forward(points())));
    REQUIRE(test::copy_state(*a, *b));
    REQUIRE(torch::equal(a->forward(points()), b->forward(points())));
}

TEST_CASE("a pre-fit refuses weights of another joint count", "[skinning_field]") {
    const Arm arm;
    SkinningField field(small(), box(), 5);
    REQUIRE(test::throws_error([&] { prefit_skinning(*field, arm.mesh, arm.weights, small(), 1); },
                               "expected [4096,3], got [4096,5]"));
}

TEST_CASE("a skinning of one's own is pre-fitted through its own forward", "[skinning_field]") {
    // Weights from the height alone, with two numbers for each joint. The parent's network is there
    // and is never asked.
    struct Heights : SkinningFieldImpl {
        Heights() : SkinningFieldImpl(small(), box(), 3) {}
        torch::Tensor forward(const torch::Tensor& x) override {
            return torch::softmax(x.narrow(1, 1, 1) * slope + shift, 1);
        }
        torch::Tensor slope = register_parameter("slope", torch::zeros({3}));
        torch::Tensor shift = register_parameter("shift", torch::zeros({3}));
    };
    const Arm arm;
    auto options = small();
    options.prefit_steps = 300, options.prefit_points = 512;
    const auto field = std::make_shared<Heights>();
    const auto untouched = field->named_parameters()["mlp.weight0"].clone();
    double first = 0;
    const double last = prefit_skinning(*field, arm.mesh, arm.weights, options, 1,
                                        [&](int64_t step, int64_t, double loss) {
                                            if (step == 50) first = loss;
                                        });
    REQUIRE(torch::equal(field->named_parameters()["mlp.weight0"], untouched));
    const auto found = field->forward(arm.mesh.vertices);
    const double at_vertices = (found - arm.weights).square().sum(1).mean().item<double>();
    CAPTURE(first, last, at_vertices);
    REQUIRE(last < 0.9 * first);
    REQUIRE(std::abs(at_vertices - last) < 0.2 * last);  // what is reported is what forward() gives
}

TEST_CASE("a pre-fit of nothing is refused", "[skinning_field]") {
    struct Even : Skinning {
        torch::Tensor forward(const torch::Tensor& x) override {
            return torch::full({x.size(0), 3}, 1.F / 3);
        }
    };
    const Arm arm;
    Even even;
    REQUIRE(test::throws_error([&] { prefit_skinning(even, arm.mesh, arm.weights, small(), 1); },
                               "this skinning has no parameters"));
}

TEST_CASE("a pre-fit asks half on the surface, half in a shell around it, and small faces as often",
          "[skinning_field]") {
    struct Watching : Skinning {
        torch::Tensor share = register_parameter("share", torch::zeros({2}));
        std::vector<torch::Tensor> seen;
        torch::Tensor forward(const torch::Tensor& x) override {
            seen.push_back(x.detach());
            return torch::softmax(share, 0).expand({x.size(0), 2});
        }
    };
    // In the plane z = 0: half a square metre at x < 1, half a square centimetre at x > 4.
    const Mesh mesh{torch::tensor({0.F, 0.F, 0.F, 1.F, 0.F, 0.F, 0.F, 1.F, 0.F, 5.F, 0.F, 0.F,
                                   5.01F, 0.F, 0.F, 5.F, 0.01F, 0.F})
                        .view({6, 3}),
                    torch::tensor({{0, 1, 2}, {3, 4, 5}}, torch::kLong)};
    auto options = small();
    options.prefit_steps = 4, options.prefit_points = 4000, options.prefit_shell = 0.02;
    Watching skinning;
    prefit_skinning(skinning, mesh, torch::full({6, 2}, 0.5F), options, 1);
    REQUIRE(skinning.seen.size() == 4);
    const auto x = torch::cat(skinning.seen);
    const auto height = x.select(1, 2).abs(), off = height.masked_select(height > 0);
    REQUIRE(off.size(0) == Approx(8000).margin(8));  // some of the shell's draws may be 0
    REQUIRE(off.max().item<double>() <= 0.02 + 1e-6);
    REQUIRE(off.mean().item<double>() == Approx(0.01).epsilon(0.03));  // standard error 0.6 %
    REQUIRE((x.select(1, 2) < 0).to(torch::kFloat).mean().item<double>() ==
            Approx(0.25).margin(0.02));
    // Every other point falls on either face alike.
    const auto small_face = (x.select(1, 0) > 4).to(torch::kFloat).mean().item<double>();
    REQUIRE(small_face == Approx(0.25).margin(0.02));  // standard error 0.3 %
}
