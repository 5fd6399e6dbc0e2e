#include <fmgs/data/synthetic/mesh_renderer.h>

#include "support/test.h"

using namespace fmgs;

namespace {

// A latitude–longitude sphere about the origin, counter-clockwise from outside.
Mesh sphere(double radius, int64_t rows) {
    const int64_t columns = 2 * rows;
    auto vertices = torch::empty({(rows + 1) * columns, 3});
    auto x = vertices.accessor<float, 2>();
    for (int64_t r = 0; r <= rows; ++r) {
        for (int64_t c = 0; c < columns; ++c) {
            const double a = M_PI * static_cast<double>(r) / static_cast<double>(rows);
            const double b = 2 * M_PI * static_cast<double>(c) / static_cast<double>(columns);
            x[r * columns + c][0] = static_cast<float>(radius * std::sin(a) * std::cos(b));
            x[r * columns + c][1] = static_cast<float>(radius * std::cos(a));
            x[r * columns + c][2] = static_cast<float>(-radius * std::sin(a) * std::sin(b));
        }
    }
    std::vector<int64_t> index;
    for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < columns; ++c) {
            const int64_t d = (c + 1) % columns;
            const int64_t p = r * columns + c, q = r * columns + d, s = p + columns,
                          t = q + columns;
            index.insert(index.end(), {p, s, t, p, t, q});
        }
    }
    const auto count = static_cast<int64_t>(index.size()) / 3;
    return {vertices, torch::tensor(index).view({count, 3})};
}

Camera camera_at(double distance, int64_t width = 96, int64_t height = 80) {
    Camera camera;
    camera.rotation = torch::eye(3);
    camera.translation = torch::tensor({0.03, -0.02, distance}, torch::kFloat);
    camera.intrinsics = torch::tensor({150.0, 140.0, 47.3, 41.1}, torch::kFloat);
    camera.width = width;
    camera.height = height;
    return camera;
}

SurfaceLook white(const SurfacePoint&) { return {{1, 1, 1}, 7}; }

// Distance along the ray to the sphere as a depth, 0 where it misses, and the closest approach to
// the centre, both [H,W].
std::pair<torch::Tensor, torch::Tensor> exact_sphere(const Camera& camera, double radius) {
    const auto k = camera.intrinsics.to(torch::kDouble);
    const auto c = camera.translation.to(torch::kDouble);
    const auto column = (torch::arange(camera.width, torch::kDouble) + 0.5 - k[2]) / k[0];
    const auto row = (torch::arange(camera.height, torch::kDouble) + 0.5 - k[3]) / k[1];
    const auto x = column.expand({camera.height, camera.width});
    const auto y = row.view({-1, 1}).expand({camera.height, camera.width});
    const auto ray = torch::stack({x, y, torch::ones_like(x)}, -1);
    const auto a = ray.pow(2).sum(-1), b = torch::matmul(ray, c);
    const auto approach = (c.pow(2).sum() - b * b / a).clamp_min(0).sqrt();
    const auto root = (b * b - a * (c.pow(2).sum() - radius * radius)).clamp_min(0).sqrt();
    return {torch::where(approach < radius, (b - root) / a, 0 * a), approach};
}

}  // namespace

TEST_CASE("a rendered sphere has the depth, normal and mask of the ideal one", "[mesh_renderer]") {
    const double radius = 0.5;
    const auto mesh = sphere(radius, 160);
    const auto camera = camera_at(2.5);
    const auto maps = render_mesh(mesh, vertex_normals(mesh), camera, white);
    const auto [depth, approach] = exact_sphere(camera, radius);
    const auto inside = approach < 0.97 * radius;
    REQUIRE(inside.sum().item<int64_t>() > 1500);
    // The polyhedron lies up to r(1-cos(π/320)) = 2.4e-5 m inside, more along a slanted ray:
    // measured 5.1e-5.
    REQUIRE_CLOSE(maps.at("depth")[0].masked_select(inside), depth.masked_select(inside), 2e-4);

    const auto k = camera.intrinsics.to(torch::kDouble);
    const auto x = (torch::arange(camera.width, torch::kDouble) + 0.5 - k[2]) / k[0] * depth;
    const auto y =
        (torch::arange(camera.height, torch::kDouble) + 0.5 - k[3]).view({-1, 1}) / k[1] * depth;
    const auto n =
        (torch::stack({x, y, depth}) - camera.translation.to(torch::kDouble).view({3, 1, 1})) /
        radius;
    const auto cosine = (maps.at("normal").to(torch::kDouble) * n).sum(0).masked_select(inside);
    REQUIRE(cosine.min().item<double>() > std::cos(0.1 * M_PI / 180));  // measured 0.024°

    const auto mask = maps.at("mask")[0] > 0.5;
    // The border is decided by counting samples: only pixels that it crosses may differ from the
    // centre's answer.
    REQUIRE(mask.masked_select(inside).all().item<bool>());
    REQUIRE_FALSE(mask.masked_select(approach > 1.03 * radius).any().item<bool>());
    REQUIRE(torch::equal(maps.at("semantic"), mask.to(torch::kInt64) * 7));
    REQUIRE(torch::equal(maps.at("depth")[0] > 0, mask));
}

TEST_CASE("color is the share of a pixel that the mesh covers", "[mesh_renderer]") {
    const double radius = 0.5;
    const auto mesh = sphere(radius, 160);
    const auto camera = camera_at(2.5);
    const auto maps = render_mesh(mesh, vertex_normals(mesh), camera, white, 5);
    // Area of the silhouette: rays within asin(r/D) of the axis, nearly on the optical axis, so an
    // ellipse.
    const double angle = std::tan(std::asin(radius / 2.5));
    const double area = M_PI * angle * angle * 150 * 140;
    // measured 1.1e-4
    REQUIRE(maps.at("color")[1].sum().item<double>() == Approx(area).epsilon(2e-3));
}

TEST_CASE("a point of the mesh appears where the camera projects it", "[mesh_renderer]") {
    auto camera = camera_at(3);
    const double turn = 0.4;
    camera.rotation = torch::tensor({std::cos(turn), 0.0, std::sin(turn), 0.0, 1.0, 0.0,
                                     -std::sin(turn), 0.0, std::cos(turn)},
                                    torch::kFloat)
                          .view({3, 3});
    const auto vertices =
        torch::tensor({{-0.4, -0.3, 0.2}, {0.5, -0.2, -0.3}, {0.1, 0.4, 0.1}}, torch::kFloat);
    const Mesh mesh{vertices, torch::tensor({{0, 1, 2}})};
    const auto fragments = draw_mesh(mesh, camera, 3);
    const auto k = camera.intrinsics;
    int64_t hits = 0;
    double worst = 0;
    for (int64_t at = 0; at < fragments.width * fragments.height; ++at) {
        const auto i = static_cast<size_t>(at);
        const int64_t column = at % fragments.width, row = at / fragments.width;
        if (fragments.face[i] < 0) continue;
        ++hits;
        const double u = fragments.u[i], v = fragments.v[i];
        const auto b = torch::tensor({1 - u - v, u, v}, torch::kFloat);
        const auto p = camera.to_camera(torch::matmul(b, vertices).view({1, 3}))[0];
        const auto x = (k[0] * p[0] / p[2] + k[2]).item<double>(),
                   y = (k[1] * p[1] / p[2] + k[3]).item<double>();
        worst = std::max({worst, std::abs(x - (static_cast<double>(column) + 0.5) / 3),
                          std::abs(y - (static_cast<double>(row) + 0.5) / 3),
                          std::abs(p[2].item<double>() - fragments.depth[i])});
        if (hits % 17 == 0) at += 41;  // every place need not be asked
    }
    REQUIRE(hits > 500);
    REQUIRE(worst < 5e-5);  // float coordinates of up to 96 pixels; measured 5.1e-6
}

TEST_CASE("the nearer of two triangles is seen, whatever their order", "[mesh_renderer]") {
    const auto vertices = torch::tensor(
        {{-1., -1., 0.}, {1., -1., 0.}, {0., 1., 0.}, {-1., -1., 1.}, {1., -1., 1.}, {0., 1., 1.}},
        torch::kFloat);
    const auto camera = camera_at(3);
    for (const bool swapped : {false, true}) {
        const auto faces =
            swapped ? torch::tensor({{3, 4, 5}, {0, 1, 2}}) : torch::tensor({{0, 1, 2}, {3, 4, 5}});
        const auto f = draw_mesh({vertices, faces}, camera, 1);
        REQUIRE(f.depth[40 * 96 + 47] == Approx(3));
        REQUIRE(f.face[40 * 96 + 47] == (swapped ? 1 : 0));
    }
}

TEST_CASE("a triangle that reaches behind the camera is cut at the near plane", "[mesh_renderer]") {
    // A floor one metre below, from far ahead to behind the viewer.
    const auto vertices =
        torch::tensor({{-40., 1., -10.}, {40., 1., -10.}, {0., 1., 60.}}, torch::kFloat);
    Camera camera = camera_at(0);
    camera.translation = torch::zeros(3);
    const auto f = draw_mesh({vertices, torch::tensor({{0, 1, 2}})}, camera, 1);
    for (int64_t row = 0; row < camera.height; ++row) {
        const double y = (static_cast<double>(row) + 0.5 - 41.1F) / 140;
        const auto depth = static_cast<double>(f.depth[static_cast<size_t>(row * 96 + 47)]);
        const double expected = y > 0 && 1 / y < 55 ? 1 / y : 0;
        if (y <= 0 || expected > 0) REQUIRE(depth == Approx(expected).epsilon(1e-5));
    }
}

TEST_CASE("neighbouring triangles leave no gap and degenerate ones draw nothing",
          "[mesh_renderer]") {
    const auto mesh = sphere(0.5, 24);
    auto camera = camera_at(1.2);
    const auto f = draw_mesh(mesh, camera, 3);
    for (int64_t j = 100; j < 145; ++j) {
        for (int64_t i = 120; i < 165; ++i)
            REQUIRE(f.face[static_cast<size_t>(j * f.width + i)] >= 0);
    }
    const auto flat = torch::tensor({{0., 0., 0.}, {0., 0., 0.}, {0.1, 0., 0.}}, torch::kFloat);
    const auto none = draw_mesh({flat, torch::tensor({{0, 1, 2}})}, camera, 3);
    REQUIRE(*std::max_element(none.face.begin(), none.face.end()) == -1);
}

TEST_CASE("wrong faces and even sampling are refused with a message", "[mesh_renderer]") {
    const Mesh mesh{torch::zeros({3, 3}), torch::tensor({{0, 1, 3}})};
    REQUIRE(test::throws_error([&] { draw_mesh(mesh, camera_at(2)); }, "expected vertices 0 to 2"));
    const auto good = sphere(0.5, 4);
    REQUIRE(test::throws_error(
        [&] { render_mesh(good, vertex_normals(good), camera_at(2), white, 2); }, "odd number"));
}
