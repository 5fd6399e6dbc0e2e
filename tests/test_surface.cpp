#include <fmgs/eval/surface.h>

#include <cmath>

#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

/// A square of side 2 about the origin in the plane z = `height`, in n × n × 2 triangles.
Mesh sheet(double height, int64_t n = 6) {
    const auto line = torch::linspace(-1, 1, n + 1, torch::kFloat64);
    const auto grid = torch::meshgrid({line, line}, "ij");
    const auto x = grid[0].flatten(), y = grid[1].flatten();
    std::vector<torch::Tensor> faces;
    for (int64_t i = 0; i < n; ++i) {
        for (int64_t j = 0; j < n; ++j) {
            const int64_t a = i * (n + 1) + j, b = a + n + 1;
            faces.push_back(torch::tensor({a, b, a + 1}, torch::kInt64));
            faces.push_back(torch::tensor({b, b + 1, a + 1}, torch::kInt64));
        }
    }
    return {torch::stack({x, y, torch::full_like(x, height)}, 1), torch::stack(faces)};
}

torch::Tensor points(std::initializer_list<double> values) {
    return torch::tensor(at::ArrayRef<double>(values), torch::kFloat64).view({-1, 3});
}

/// The least distance to many samples of every triangle: never below the true one.
torch::Tensor by_samples(const Mesh& mesh, const torch::Tensor& p) {
    constexpr int64_t kSteps = 24;
    std::vector<torch::Tensor> samples;
    const auto corners = mesh.vertices.index({mesh.faces});
    for (int64_t i = 0; i <= kSteps; ++i) {
        for (int64_t j = 0; i + j <= kSteps; ++j) {
            const double u = static_cast<double>(i) / kSteps, v = static_cast<double>(j) / kSteps;
            samples.push_back(u * corners.select(1, 0) + v * corners.select(1, 1) +
                              (1 - u - v) * corners.select(1, 2));
        }
    }
    return std::get<0>(torch::cdist(p, torch::cat(samples)).min(1));
}

}  // namespace

TEST_CASE("the distance is to the plane above a triangle, else to its nearest side or corner",
          "[metrics]") {
    const Mesh triangle{points({0, 0, 0, 1, 0, 0, 0, 1, 0}),
                        torch::tensor({{0, 1, 2}}, torch::kInt64)};
    const auto p = points({0.2, 0.3, 0.5,   // above
                           0.2, 0.3, -0.5,  // below
                           0.5, -2, 0,      // beside a side
                           -3, -4, 0,       // beyond a corner
                           1, 1, 0,         // beside the long side
                           0.25, 0.25, 0});
    REQUIRE_CLOSE(SurfaceDistance(triangle)(p),
                  torch::tensor({0.5, 0.5, 2.0, 5.0, std::sqrt(0.5), 0.0}, torch::kFloat64), 1e-12);
    const Mesh needle{points({0, 0, 0, 1, 0, 0, 2, 0, 0}),
                      torch::tensor({{0, 1, 2}}, torch::kInt64)};
    REQUIRE_CLOSE(SurfaceDistance(needle)(points({1.5, 3, 0})),
                  torch::tensor({3.0}, torch::kFloat64), 1e-12);
}

TEST_CASE("the grid finds the nearest triangle, from inside, outside and far away", "[metrics]") {
    auto generator = at::make_generator<at::CPUGeneratorImpl>(uint64_t{3});
    // Triangles of very different sizes, strewn about.
    const auto places = torch::rand({60, 1, 3}, generator, torch::kFloat64) * 2 - 1;
    const auto sizes = torch::rand({60, 1, 1}, generator, torch::kFloat64).pow(3);
    const auto corners =
        places + sizes * (torch::rand({60, 3, 3}, generator, torch::kFloat64) - 0.5);
    const Mesh mesh{corners.view({-1, 3}), torch::arange(180).view({-1, 3})};
    const auto near = torch::rand({300, 3}, generator, torch::kFloat64) * 2.4 - 1.2;
    const auto p = torch::cat({near, points({30, -20, 5, 0, 0, -9, -4, 0.1, 0.2})});
    const auto exact = SurfaceDistance(mesh)(p), sampled = by_samples(mesh, p);
    REQUIRE((exact <= sampled + 1e-12).all().item<bool>());
    REQUIRE((sampled - exact).max().item<double>() < 0.03);  // the samples' own spacing
    REQUIRE(throws_error(
        [&] {
            SurfaceDistance(Mesh{mesh.vertices, mesh.faces + 1});
        },
        "a face names a vertex that is not there"));
    REQUIRE(throws_error(
        [&] {
            SurfaceDistance(Mesh{mesh.vertices * NAN, mesh.faces});
        },
        "a vertex is not finite"));
}

TEST_CASE("errors of a surface have their units and their two directions", "[metrics]") {
    const auto truth = sheet(0);
    auto errors = surface_errors(sheet(0.008), truth, 2000);
    REQUIRE(errors.chamfer == Approx(0.008));
    REQUIRE(errors.point_to_surface == Approx(0.008));
    REQUIRE(errors.f_1cm == Approx(1));
    errors = surface_errors(sheet(0.012), truth, 2000);
    REQUIRE(errors.f_1cm == 0);
    // Half of the truth is missing: all of ours is right, of the true samples a half is found.
    auto half = sheet(0);
    half.vertices.select(1, 0).clamp_(-1, 0);
    errors = surface_errors(half, truth, 20000);
    REQUIRE(errors.chamfer == Approx(0.25 / 2).epsilon(0.02));  // of x in [0,1] the mean is ½
    REQUIRE(errors.point_to_surface == Approx(0.25).epsilon(0.02));
    REQUIRE(errors.f_1cm == Approx(2 * 0.505 / 1.505).epsilon(0.02));
    REQUIRE(surface_errors(half, truth, 20000).chamfer == errors.chamfer);  // seeded
}

TEST_CASE("a mesh is carried along by the mean of its faces' displacements", "[metrics]") {
    const auto mesh = sheet(0, 1);  // two triangles: 0 2 1 and 2 3 1
    const auto moved = carried(mesh, points({0, 0, 1, 0, 0, 3}));
    REQUIRE_CLOSE(moved.vertices.select(1, 2), torch::tensor({1.0, 2.0, 2.0, 3.0}, torch::kFloat64),
                  1e-12);
    REQUIRE(torch::equal(moved.faces, mesh.faces));
}
