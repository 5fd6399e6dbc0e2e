// The split sum: what a light makes of a material, against closed forms and a furnace.
#include <fmgs/core/color_space.h>
#include <fmgs/fields/split_sum_shading.h>
#include <torch/optim.h>

#include "support/gradcheck.h"
#include "support/lights.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

/// Points of all kinds, seen from the front.
struct Points {
    int64_t count = 400;
    Materials materials{any_numbers(count, 3, 0, 1, 3), any_numbers(count, 1, 0, 1, 4),
                        any_numbers(count, 1, 0, 1, 5)};
    torch::Tensor normal = any_directions(count, 6), view = [this] {
        const auto v = any_directions(count, 7);
        return torch::where((v * normal).sum(1, true) < 0, -v, v);
    }();
};

FilteredLight light_from(const torch::Tensor& radiance) { return {radiance, no_turn()}; }
FilteredLight white() { return light_from(torch::ones({16, 32, 3}, torch::kDouble)); }

using ShadeFunction = torch::Tensor (*)(const Materials&, const torch::Tensor&,
                                        const torch::Tensor&, const FilteredLight&);

/// What a white furnace makes of white paint: 1, whatever its gloss. Largest error.
double furnace_error(ShadeFunction shading) {
    Points p;
    p.materials.albedo = torch::ones_like(p.materials.albedo);
    const auto seen = shading(p.materials, p.normal, p.view, white());
    return (seen - 1).abs().max().item<double>();
}

/// HRAvatar's, whose Fresnel factor stands before a table that has one already, and whose diffuse
/// part gives away what was reflected.
torch::Tensor twice_reflected(const Materials& m, const torch::Tensor& n, const torch::Tensor& v,
                              const FilteredLight& light) {
    const auto n_v = (n * v).sum(1, true).clamp(1e-6, 1);
    const auto most = torch::maximum(1 - m.roughness, m.f0);
    const auto ks = m.f0 + (most - m.f0) * torch::pow(2, (-5.55473 * n_v - 6.98316) * n_v);
    const auto table = split_sum(n_v, m.roughness);
    const auto spec = ks * table.narrow(1, 0, 1) + table.narrow(1, 1, 1);
    return m.albedo * light.diffuse(n) + spec * light.specular(2 * n_v * n - v, m.roughness);
}

}  // namespace

TEST_CASE("in a white furnace white paint is white, whatever its gloss", "[split_sum]") {
    REQUIRE(furnace_error(shade) < 1e-5);
    REQUIRE(furnace_error(twice_reflected) > 0.3);  // and the test can tell
}

TEST_CASE("nothing is brighter than the light", "[split_sum]") {
    const Points p;
    REQUIRE(shade(p.materials, p.normal, p.view, white()).max().item<double>() <= 1 + 1e-9);
    REQUIRE(shade(p.materials, p.normal, p.view, white()).min().item<double>() >= 0);
}

TEST_CASE("the table of the split sum", "[split_sum]") {
    const auto at = [](double n_v, double o) {
        const auto one = torch::ones({1, 1}, torch::kDouble);
        return split_sum(n_v * one, o * one)[0];
    };
    const auto close = [&](double n_v, double o, double a, double b) {
        const auto found = at(n_v, o);
        INFO(n_v << " " << o << ": " << found[0].item<double>() << " " << found[1].item<double>());
        REQUIRE(std::abs(found[0].item<double>() - a) < 4e-3);
        REQUIRE(std::abs(found[1].item<double>() - b) < 4e-3);
    };
    close(0.252, 0.252, 0.761, 0.200);
    close(0.502, 0.998, 0.449, 0.003);
    close(0.752, 0.502, 0.888, 0.003);
    for (const double n_v : {0.1, 0.3, 0.6, 0.95})  // a mirror: Schlick's term alone
        close(n_v, 0, 1 - std::pow(1 - n_v, 5), std::pow(1 - n_v, 5));
    const auto all = split_sum(any_numbers(5000, 1, 0, 1), any_numbers(5000, 1, 0, 1, 9));
    REQUIRE(all.min().item<double>() >= 0);
    REQUIRE(all.sum(1).max().item<double>() <= 1 + 1e-3);
}

TEST_CASE("a mirror reflects f0 from the front, more aslant; a perfect one has no diffuse part",
          "[split_sum]") {
    const auto n = any_directions(20);
    const auto mirror = torch::zeros({20, 1}, torch::kDouble);
    const auto f0 = any_numbers(20, 1, 0, 1), black = torch::zeros({20, 3}, torch::kDouble);
    REQUIRE_CLOSE(shade({black, mirror, f0}, n, n, white()), f0.expand({20, 3}), 1e-3);
    const auto one = torch::ones({20, 1}, torch::kDouble);
    const auto light = light_from(uneven_light());
    REQUIRE_CLOSE(shade({black, mirror, one}, n, n, light),
                  shade({black + 1, mirror, one}, n, n, light), 1e-3);
    // Aslant, Schlick's term alone: f0 + (1 - f0)(1 - n·v)⁵.
    const double n_v = 0.3;
    const auto side = torch::cross(n, any_directions(20, 8), 1);
    const auto v = n_v * n + std::sqrt(1 - n_v * n_v) * side / side.norm(2, 1, true);
    REQUIRE_CLOSE(shade({black, mirror, f0}, n, v, white()),
                  (f0 + (1 - f0) * std::pow(1 - n_v, 5)).expand({20, 3}), 4e-3);
    // f0 may have a colour.
    const auto gold = torch::tensor({1.0, 0.7, 0.3}, torch::kDouble).expand({20, 3});
    REQUIRE_CLOSE(shade({black, mirror, gold}, n, n, white()), gold, 1e-3);
}

TEST_CASE("shading is linear in the light", "[split_sum]") {
    const Points p;
    const auto a = uneven_light(), b = a.flip(0).roll(5, 1);
    const auto under = [&](const torch::Tensor& light) {
        return shade(p.materials, p.normal, p.view, light_from(light));
    };
    REQUIRE_CLOSE(under(a + 3 * b), under(a) + 3 * under(b), 1e-12);
}

TEST_CASE("turning light, normals and views together changes nothing", "[split_sum]") {
    const Points p;
    const auto light = uneven_light(), turn = turn_by(5, 32).t();
    const auto still = shade(p.materials, p.normal, p.view, light_from(light));
    const auto turned = shade(p.materials, p.normal.matmul(turn), p.view.matmul(turn),
                              light_from(light.roll(5, 1)));
    REQUIRE_CLOSE(turned, still, 1e-9);
    REQUIRE(distance(shade(p.materials, p.normal, p.view, light_from(light.roll(5, 1))), still) >
            0.1);
}

TEST_CASE("gradients of shading are right", "[split_sum]") {
    Points p;
    p.count = 6;
    const auto n = any_directions(6, 11);
    const auto v = n + 0.5 * any_directions(6, 12);
    const auto weights = any_numbers(6, 3, 0, 1, 13);
    const auto error = gradient_error(
        [&](const std::vector<torch::Tensor>& x) {
            const auto unit = [](const torch::Tensor& y) { return y / y.norm(2, 1, true); };
            const FilteredLight light(x[5].exp(), no_turn());
            return (weights * shade({x[0], x[1], x[2]}, unit(x[3]), unit(x[4]), light)).sum();
        },
        {any_numbers(6, 3, 0.1, 0.9, 14), any_numbers(6, 1, 0.35, 0.95, 15),
         any_numbers(6, 1, 0.02, 0.15, 16), n, v, 0.3 * any_numbers(32, 3, -1, 1).view({4, 8, 3})});
    REQUIRE(error < 1e-5);
}

TEST_CASE("a ball in a known light tells its albedo", "[split_sum]") {
    const auto n = any_directions(300);
    auto view = torch::zeros_like(n);
    view.select(1, 2).fill_(1);
    const auto front = n.index({n.select(1, 2) > 0.05});
    view = view.slice(0, 0, front.size(0));
    const auto light = light_from(uneven_light());
    const auto all = [&](const torch::Tensor& x) { return x.expand({front.size(0), -1}); };
    const auto o = torch::full({1, 1}, 0.6, torch::kDouble), f0 = 0 * o + 0.04;
    const auto truth = torch::tensor({{0.8, 0.35, 0.1}}, torch::kDouble);
    const auto seen = shade({all(truth), all(o), all(f0)}, front, view, light);
    auto albedo = torch::full({1, 3}, 0.5, torch::kDouble).requires_grad_(true);
    torch::optim::Adam adam({albedo}, torch::optim::AdamOptions(0.03));
    for (int k = 0; k < 200; ++k) {
        adam.zero_grad();
        (shade({all(albedo), all(o), all(f0)}, front, view, light) - seen)
            .square()
            .mean()
            .backward();
        adam.step();
    }
    REQUIRE(distance(albedo, truth) < 1e-3);
}

TEST_CASE("sRGB there and back", "[split_sum]") {
    const auto x = torch::linspace(0, 1, 1001, torch::kDouble);
    REQUIRE_CLOSE(srgb_color(linear_color(x)), x, 1e-6);
    REQUIRE_CLOSE(linear_color(srgb_color(x)), x, 1e-6);
    REQUIRE(srgb_color(torch::tensor(0.5, torch::kDouble)).item<double>() ==
            Approx(0.735357).epsilon(1e-5));
    REQUIRE(srgb_color(torch::tensor(4.0, torch::kDouble)).item<double>() > 1.5);
    auto dark = torch::zeros({3}, torch::kDouble).requires_grad_(true);
    srgb_color(dark).sum().backward();
    REQUIRE_CLOSE(dark.grad(), torch::full({3}, 12.92, torch::kDouble), 1e-12);
}
