#include <fmgs/core/mesh.h>
#include <fmgs/core/random.h>

#include <fstream>

#include "support/test.h"

using namespace fmgs;

namespace {

Mesh tetrahedron() {
    return {
        torch::tensor({0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0}, torch::kDouble)
            .view({4, 3}),
        torch::tensor({0, 2, 1, 0, 1, 3, 0, 3, 2, 1, 2, 3}, torch::kLong).view({4, 3})};
}

double volume(const Mesh& mesh) {
    const auto p = mesh.vertices.index_select(0, mesh.faces.reshape({-1})).view({-1, 3, 3});
    return (p.select(1, 0) * torch::cross(p.select(1, 1), p.select(1, 2), 1)).sum().item<double>() /
           6;
}

std::filesystem::path written(const test::TemporaryFolder& folder, const std::string& text) {
    std::ofstream(folder.path / "a.obj") << text;
    return folder.path / "a.obj";
}

}  // namespace

TEST_CASE("subdivision keeps the surface and its orientation", "[mesh]") {
    const auto mesh = tetrahedron();
    const auto out = subdivide(mesh);
    REQUIRE(out.mesh.vertices.size(0) == 10);  // 4 + 6 edges
    REQUIRE(out.mesh.faces.size(0) == 16);
    REQUIRE(is_closed_manifold(out.mesh.faces));
    REQUIRE(volume(out.mesh) == Approx(volume(mesh)).epsilon(1e-14));
    REQUIRE(volume(mesh) > 0);
    const auto ends = mesh.vertices.index_select(0, out.parents.reshape({-1})).view({-1, 2, 3});
    REQUIRE_CLOSE(out.mesh.vertices, ends.mean(1), 0.0);
    for (int64_t i = 0; i < 4; ++i) REQUIRE(out.parents[i].eq(i).all().item<bool>());
}

TEST_CASE("a closed manifold has every edge once in each direction", "[mesh]") {
    const auto faces = tetrahedron().faces;
    REQUIRE(is_closed_manifold(faces));
    REQUIRE_FALSE(is_closed_manifold(faces.slice(0, 0, 3)));
    REQUIRE_FALSE(
        is_closed_manifold(torch::cat({faces.slice(0, 0, 3), faces.slice(0, 3).flip(1)})));
    REQUIRE_FALSE(is_closed_manifold(torch::cat({faces, faces})));
}

TEST_CASE("each undirected edge is listed once, in order", "[mesh]") {
    const auto expected =
        torch::tensor({0, 1, 0, 2, 0, 3, 1, 2, 1, 3, 2, 3}, torch::kLong).view({6, 2});
    REQUIRE(torch::equal(unique_edges(tetrahedron().faces), expected));
}

TEST_CASE("the Steiner ellipse of a face passes through its corners", "[mesh]") {
    const auto points = torch::rand({30, 3}, Random{1}.generator("mesh"), torch::kDouble);
    const Mesh mesh{points, torch::arange(30, torch::kLong).view({10, 3})};
    const auto frames = face_frames(mesh);
    const auto corner = points.view({10, 3, 3}) - frames.center.unsqueeze(1);
    const auto local = torch::matmul(corner, frames.rotation);  // rows in the frame
    const auto scaled = local.slice(2, 0, 2) / frames.scale.unsqueeze(1);
    REQUIRE_CLOSE(scaled.square().sum(2), torch::ones({10, 3}, torch::kDouble),
                  1e-12);  // measured 4e-16
    REQUIRE((frames.scale.select(1, 0) >= frames.scale.select(1, 1)).all().item<bool>());
    REQUIRE_CLOSE(torch::matmul(frames.rotation.transpose(1, 2), frames.rotation),
                  torch::eye(3, torch::kDouble).expand({10, 3, 3}), 1e-12);
    REQUIRE_CLOSE(torch::linalg_det(frames.rotation), torch::ones({10}, torch::kDouble), 1e-12);
    REQUIRE_CLOSE(frames.rotation.select(2, 2), face_normals(mesh), 1e-12);
}

TEST_CASE("an equilateral face has a circle, a degenerate one still a frame", "[mesh]") {
    const auto points = torch::tensor({1.0,
                                       0.0,
                                       0.0,
                                       -0.5,
                                       std::sqrt(0.75),
                                       0.0,
                                       -0.5,
                                       -std::sqrt(0.75),
                                       0.0,  // equilateral
                                       0.0,
                                       0.0,
                                       0.0,
                                       1.0,
                                       1.0,
                                       1.0,
                                       2.0,
                                       2.0,
                                       2.0,  // a line
                                       5.0,
                                       5.0,
                                       5.0,
                                       5.0,
                                       5.0,
                                       5.0,
                                       5.0,
                                       5.0,
                                       5.0},  // a point
                                      torch::kDouble)
                            .view({9, 3});
    const Mesh mesh{points, torch::arange(9, torch::kLong).view({3, 3})};
    const auto frames = face_frames(mesh);
    REQUIRE_CLOSE(frames.scale[0], torch::ones({2}, torch::kDouble), 1e-12);
    REQUIRE_CLOSE(torch::matmul(frames.rotation.transpose(1, 2), frames.rotation),
                  torch::eye(3, torch::kDouble).expand({3, 3, 3}), 1e-12);
    REQUIRE_CLOSE(face_normals(mesh)[2], torch::zeros({3}, torch::kDouble), 0.0);
}

TEST_CASE("nearest neighbours equal a full sort, with ties and duplicates", "[mesh]") {
    auto points = torch::randint(0, 6, {400, 3}, Random{2}.generator("mesh"),
                                 torch::kDouble);  // a lattice: many ties
    const auto found = nearest_neighbours(points, 5);
    auto distance = (points.unsqueeze(1) - points.unsqueeze(0)).square().sum(2);
    distance.fill_diagonal_(1e9);
    const auto expected = std::get<1>(distance.sort(/*stable=*/true, 1, false)).slice(1, 0, 5);
    REQUIRE(torch::equal(found, expected));
    REQUIRE(
        test::throws_error([&] { nearest_neighbours(points.slice(0, 0, 3), 3); }, "0 <= k < 3"));
}

TEST_CASE("surface samples are uniform by area and interpolate positions exactly", "[mesh]") {
    const auto mesh = tetrahedron();
    const auto samples = sample_surface(mesh, 20000, Random{3}.generator("mesh"));
    const auto points = interpolate(samples, mesh.faces, mesh.vertices);
    const auto slanted = samples.face == 3;  // lies on x + y + z = 1
    REQUIRE_CLOSE(points.sum(1).masked_select(slanted),
                  torch::ones({slanted.sum().item<int64_t>()}, torch::kDouble), 1e-12);
    const double share = slanted.to(torch::kDouble).mean().item<double>();
    REQUIRE(std::abs(share - std::sqrt(3.0) / (3 + std::sqrt(3.0))) <
            0.014);  // four standard deviations
    REQUIRE_CLOSE(points.masked_select(slanted.unsqueeze(1)).view({-1, 3}).mean(0),
                  torch::full({3}, 1.0 / 3, torch::kDouble), 0.012);
    const auto again = sample_surface(mesh, 20000, Random{3}.generator("mesh"));
    REQUIRE(torch::equal(samples.barycentric, again.barycentric));
}

TEST_CASE("OBJ files survive a round trip, and polygons and negative indices are read", "[mesh]") {
    const test::TemporaryFolder folder;
    const auto mesh = tetrahedron();
    write_obj(folder.path / "t.obj", mesh);
    const auto back = read_obj(folder.path / "t.obj");
    REQUIRE_CLOSE(back.vertices, mesh.vertices, 0.0);
    REQUIRE(torch::equal(back.faces, mesh.faces));
    const auto quad = read_obj(written(
        folder,
        "# a quad\nv 0 0 0\nv 1 0 0 # one\r\nv 1 1 0\nv 0 1 0\nvt 0 0\nf 1/1 2/1/1 -2//3 -1\n"));
    REQUIRE(torch::equal(quad.faces, torch::tensor({0, 1, 2, 0, 2, 3}, torch::kLong).view({2, 3})));
}

TEST_CASE("a broken OBJ is named by file and line", "[mesh]") {
    const test::TemporaryFolder folder;
    const auto message = [&](const std::string& text, const std::string& words) {
        return test::throws_error([&] { read_obj(written(folder, text)); }, words);
    };
    REQUIRE(message("v 0 0 0\nv 1 x 0\n", "a.obj:2: expected three finite numbers"));
    REQUIRE(message("v 0 0\n", "a.obj:1:"));
    REQUIRE(message("v 0 0 0\nf 1 2 3\n",
                    "a.obj:2: expected the number of one of the 1 vertices so far, got '2'"));
    REQUIRE(message("v 0 0 0\nf 1 1\n", "at least three corners"));
    REQUIRE(message("v 0 0 nan\n", "finite"));
    REQUIRE(message("", "no face"));
    REQUIRE(test::throws_error([&] { read_obj(folder.path / "missing.obj"); }, "missing.obj"));
}

TEST_CASE("faces on both sides of an edge are paired, once for each edge that has two", "[mesh]") {
    const auto square = torch::tensor({{0, 1, 2}, {0, 2, 3}}, torch::kInt64);
    const auto sorted = [](const torch::Tensor& faces) {
        return std::get<0>(adjacent_faces(faces).sort(1));
    };
    REQUIRE(torch::equal(sorted(square), torch::tensor({{0, 1}}, torch::kInt64)));
    REQUIRE(adjacent_faces(square.slice(0, 0, 1)).size(0) == 0);
    REQUIRE(adjacent_faces(square.slice(0, 0, 0)).size(0) == 0);
    const auto solid = torch::tensor({{0, 1, 2}, {0, 3, 1}, {0, 2, 3}, {1, 3, 2}}, torch::kInt64);
    const auto pairs = adjacent_faces(solid);
    REQUIRE(pairs.size(0) == 6);  // each with each
    const auto key = std::get<0>(pairs.min(1)) * 4 + std::get<0>(pairs.max(1));
    REQUIRE(std::get<0>(at::_unique(key)).size(0) == 6);
    REQUIRE((pairs.select(1, 0) != pairs.select(1, 1)).all().item<bool>());
    // Three faces on one edge: the first with the second, the second with the third.
    const auto fan = torch::tensor({{0, 1, 2}, {0, 1, 3}, {1, 0, 4}}, torch::kInt64);
    REQUIRE(torch::equal(sorted(fan), torch::tensor({{0, 1}, {1, 2}}, torch::kInt64)));
}
