// Light as a picture of all directions: closed forms of what surfaces see of it.
#include <fmgs/fields/environment_light.h>
#include <torch/optim.h>

#include "support/gradcheck.h"
#include "support/lights.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

FilteredLight filtered(const torch::Tensor& radiance) { return {radiance, no_turn()}; }

double worst(const torch::Tensor& a, const torch::Tensor& b) {
    return (a - b).abs().max().item<double>();
}

/// The first nine spherical harmonics, up to factors, of directions: [M,9].
torch::Tensor low_harmonics(const torch::Tensor& w) {
    const auto x = w.select(1, 0), y = w.select(1, 1), z = w.select(1, 2);
    return torch::stack(
        {torch::ones_like(x), x, y, z, x * y, y * z, x * z, 3 * y * y - 1, x * x - z * z}, 1);
}

/// Their coefficients of a light, up to factors: [9,3].
torch::Tensor low_coefficients(const torch::Tensor& light) {
    const int64_t rows = light.size(0);
    const auto weighed =
        low_harmonics(texel_directions(rows)) * texel_solid_angles(rows).unsqueeze(1) / (4 * M_PI);
    return torch::matmul(weighed.t(), light.to(torch::kDouble).view({-1, 3}));
}

}  // namespace

TEST_CASE("texels cover the sphere once", "[light]") {
    for (const int64_t rows : {4, 16, 31}) {
        REQUIRE(texel_solid_angles(rows).sum().item<double>() == Approx(4 * M_PI).epsilon(1e-12));
        REQUIRE_CLOSE(texel_directions(rows).norm(2, 1), torch::ones({2 * rows * rows}), 1e-12);
    }
    // Up is the first row, the middle is -z, and columns go to the right of who looks there.
    const auto at = texel_directions(16).view({16, 32, 3});
    REQUIRE(at[0][3][1].item<double>() > 0.99);
    REQUIRE(at[8][16][2].item<double>() < -0.98);
    REQUIRE(at[8][24][0].item<double>() > 0.98);
}

TEST_CASE("the last level is the cosine, and its solid angles are right", "[light]") {
    const auto filters = light_filters(16);
    const auto matt = filters[4];
    REQUIRE_CLOSE(matt.sum(1), torch::ones({512}), 3e-3);
    const auto w = texel_directions(16), angles = texel_solid_angles(16);
    // One lit texel: L cos θ dω / π.
    for (const int64_t k : {5, 200, 300})
        REQUIRE_CLOSE(matt.select(1, k), w.matmul(w[k]).clamp_min(0) * angles[k] / M_PI, 1e-12);
    REQUIRE(filters.min().item<double>() >= 0);
}

TEST_CASE("a constant light is seen as it is by every surface", "[light]") {
    const auto color = torch::tensor({0.7, 1.0, 1.9}, torch::kDouble);
    const auto light = filtered(color.expand({16, 32, 3}));
    const auto n = any_directions(500), o = any_numbers(500, 1, 0, 1);
    REQUIRE_CLOSE(light.diffuse(n), color.expand({500, 3}), 1e-12);
    REQUIRE_CLOSE(light.specular(n, o), color.expand({500, 3}), 1e-12);
}

TEST_CASE("matt surfaces under lights of closed form", "[light]") {
    const auto n = any_directions(3000), y = n.select(1, 1);
    const auto b = torch::tensor({0.3, -0.2, 0.34641016}, torch::kDouble);  // |b| = 0.5
    const auto seen = [&](const std::function<torch::Tensor(const torch::Tensor&)>& f) {
        return filtered(light_of(f)).diffuse(n).select(1, 0);
    };
    const auto linear = seen([&](const auto& w) { return 1 + w.matmul(b); });
    REQUIRE(worst(linear, 1 + 2.0 / 3 * n.matmul(b)) < 3.5e-3);
    const auto quadratic = seen([](const auto& w) { return 3 * w.select(1, 1).square() - 1; });
    REQUIRE(worst(quadratic, (3 * y.square() - 1) / 4) < 1.5e-2);
    const auto above = seen([](const auto& w) { return (w.select(1, 1) > 0).to(torch::kDouble); });
    REQUIRE(worst(above, (1 + y) / 2) < 3.5e-3);
}

TEST_CASE("rough mirrors under a linear light see it the paler the rougher", "[light]") {
    const auto r = any_directions(2000);
    const auto b = torch::tensor({0.3, -0.2, 0.34641016}, torch::kDouble);
    const auto light = filtered(light_of([&](const auto& w) { return 1 + w.matmul(b); }));
    const std::pair<double, double> known[] = {
        {0.3, 0.960}, {0.5, 0.867}, {0.7, 0.767}, {0.85, 0.708}, {1.0, 2.0 / 3}};
    for (const auto& [roughness, kept] : known) {
        INFO(roughness);
        const auto seen = light.specular(r, torch::full({2000, 1}, roughness, torch::kDouble));
        REQUIRE(worst(seen.select(1, 0), 1 + kept * r.matmul(b)) < 6e-3);
    }
}

TEST_CASE("roughness 1 is matt, below the first level nothing changes", "[light]") {
    const auto light = filtered(uneven_light());
    const auto n = any_directions(300);
    const auto at = [&](double o) {
        return light.specular(n, torch::full({300, 1}, o, torch::kDouble));
    };
    REQUIRE_CLOSE(at(1), light.diffuse(n), 1e-12);
    REQUIRE_CLOSE(at(0.05), at(0.3), 1e-12);
    REQUIRE_CLOSE(at(0.6), 0.5 * (at(0.5) + at(0.7)), 1e-12);
    REQUIRE(worst(at(0.3), at(1)) > 0.1);
}

TEST_CASE("neither the seam nor a pole is seen", "[light]") {
    const auto light = filtered(uneven_light());
    const double e = 1e-7;
    const auto pairs = torch::tensor({e, 0.3, 0.95, -e, 0.3, 0.95,   // across the seam
                                      e, 1.0, 0.0, -e, 1.0, 0.0,     // over the upper pole
                                      0.0, -1.0, e, 0.0, -1.0, -e},  // and the lower
                                     torch::kDouble)
                           .view({6, 3});
    const auto seen = light.diffuse(pairs / pairs.norm(2, 1, true)).view({3, 2, 3});
    REQUIRE(worst(seen.select(1, 0), seen.select(1, 1)) < 1e-5);
    const auto poles = torch::tensor({0., 1., 0., 0., -1., 0.}, torch::kDouble).view({2, 3});
    auto n = poles.clone().requires_grad_(true);
    light.diffuse(n).sum().backward();
    REQUIRE(n.grad().isfinite().all().item<bool>());
}

TEST_CASE("rolling the picture is turning the light about up", "[light]") {
    const auto picture = uneven_light();
    const auto n = any_directions(400), o = any_numbers(400, 1, 0.3, 1);
    for (const int64_t columns : {1, 7, 16, 31}) {
        const auto turn = turn_by(double(columns), 32);
        const auto rolled = filtered(picture.roll(columns, 1));
        const auto turned_n = n.matmul(turn.t());
        REQUIRE_CLOSE(rolled.specular(turned_n, o), filtered(picture).specular(n, o), 1e-9);
        EnvironmentLight light(16);
        light->to(torch::kDouble);
        light->set(picture, no_turn());
        light->turn(turn);
        REQUIRE_CLOSE(light->filtered().diffuse(turned_n), filtered(picture).diffuse(n), 1e-9);
    }
}

TEST_CASE("resampling a picture keeps its flux", "[light]") {
    for (const auto& [h, w] :
         std::vector<std::pair<int64_t, int64_t>>{{37, 64}, {128, 256}, {3, 5}}) {
        const auto picture = any_numbers(h * w, 3, 0, 2).view({h, w, 3});
        const auto borders = torch::linspace(0, M_PI, h + 1, torch::kDouble).cos();
        const auto area = (-borders.diff() * 2 * M_PI / double(w)).view({h, 1, 1});
        const auto flux = (picture * area).flatten(0, 1).sum(0);
        for (const int64_t rows : {2, 16, 32}) {
            const auto small = resampled_light(picture, rows);
            REQUIRE(small.sizes() == torch::IntArrayRef({rows, 2 * rows, 3}));
            REQUIRE_CLOSE(torch::matmul(texel_solid_angles(rows), small.view({-1, 3})), flux, 1e-9);
        }
    }
    const auto same = uneven_light();
    REQUIRE_CLOSE(resampled_light(same, 16), same, 1e-12);
}

TEST_CASE("the mean of a learned light is 1, whatever its parameter", "[light]") {
    EnvironmentLight light(8);
    light->to(torch::kDouble);
    REQUIRE_CLOSE(light->radiance(), torch::ones({8, 16, 3}), 1e-12);
    auto& x = *light->named_parameters().find("log_radiance");
    {
        const torch::NoGradGuard guard;
        x.copy_(3 * any_numbers(128, 3, -1, 1).view({8, 16, 3}));
    }
    const auto mean =
        torch::matmul(texel_solid_angles(8) / (4 * M_PI), light->radiance().reshape({-1, 3}));
    REQUIRE_CLOSE(mean, torch::ones({3}), 1e-12);
    // What makes all of it brighter changes nothing.
    const auto weights = any_numbers(128, 3, 0, 1, 5).view({8, 16, 3});
    const auto slope = torch::autograd::grad({(weights * light->radiance()).sum()}, {x})[0];
    REQUIRE_CLOSE(slope.flatten(0, 1).sum(0), torch::zeros({3}), 1e-10);
    REQUIRE(slope.abs().max().item<double>() > 1e-3);
    REQUIRE(gradient_error(
                [&](const std::vector<torch::Tensor>& in) {
                    const auto level = in[0].exp();
                    return (weights * level / level.mean()).sum();
                },
                {x}) < 1e-6);
}

TEST_CASE("a light that is given is that light, and a copy is a light of its own", "[light]") {
    EnvironmentLight light(16);
    light->to(torch::kDouble);
    const auto picture = 7 * uneven_light();
    light->set(picture, turn_by(4, 32));
    REQUIRE_CLOSE(light->radiance(), picture, 1e-9);
    const auto n = any_directions(50);
    REQUIRE_CLOSE(light->filtered().diffuse(n),
                  filtered(picture).diffuse(n.matmul(turn_by(4, 32).t())), 1e-9);
    const auto copy = std::dynamic_pointer_cast<EnvironmentLightImpl>(light->clone());
    REQUIRE(torch::equal(copy->filtered().diffuse(n), light->filtered().diffuse(n)));
    copy->turn(turn_by(8, 32));
    REQUIRE(distance(copy->filtered().diffuse(n), light->filtered().diffuse(n)) > 0.1);
    REQUIRE_FALSE(light->filtered(/*open=*/false).diffuse(n).requires_grad());
    REQUIRE(light->filtered().diffuse(n).requires_grad());

    REQUIRE(throws_error([&] { light->set(-picture, no_turn()); }, "at least 0"));
    REQUIRE(throws_error([&] { light->set(picture / 0, no_turn()); }, "finite"));
    REQUIRE(throws_error([&] { light->set(picture.slice(2, 0, 2), no_turn()); }, "picture"));
    REQUIRE(throws_error([&] { light->set(0 * picture, no_turn()); }, "without any"));
    REQUIRE_CLOSE(light->radiance(), picture, 1e-9);
}

TEST_CASE("matt paint of known albedo tells the low frequencies of a light", "[light]") {
    const auto truth = light_of([](const torch::Tensor& w) {
        const auto x = w.select(1, 0), y = w.select(1, 1), z = w.select(1, 2);
        return torch::stack({1 + 0.6 * x, 1 + 0.4 * y + 0.3 * x * z, 1 - 0.5 * z + 0.2 * x * y}, 1);
    });
    const auto n = any_directions(600);
    const auto seen = 0.6 * filtered(truth).diffuse(n);
    EnvironmentLight light(16);
    light->to(torch::kDouble);
    torch::optim::Adam adam(light->parameters(), torch::optim::AdamOptions(0.05));
    for (int k = 0; k < 150; ++k) {
        adam.zero_grad();
        (0.6 * light->filtered().diffuse(n) - seen).square().mean().backward();
        adam.step();
    }
    const auto error = low_coefficients(light->radiance()) - low_coefficients(truth);
    REQUIRE(error.abs().max().item<double>() < 5e-3);
    REQUIRE(low_coefficients(truth).slice(0, 1).abs().max().item<double>() > 0.1);
}
