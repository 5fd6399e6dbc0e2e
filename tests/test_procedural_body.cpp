#include <fmgs/core/rotation.h>
#include <fmgs/data/synthetic/procedural_body.h>

#include <set>

#include "support/test.h"

using namespace fmgs;

namespace {

const BodyData& body() {
    static const BodyData data = procedural_body();
    return data;
}

double volume(const torch::Tensor& vertices, const torch::Tensor& faces) {
    const auto p =
        vertices.to(torch::kDouble).index_select(0, faces.reshape({-1})).view({-1, 3, 3});
    return (p.select(1, 0) * torch::cross(p.select(1, 1), p.select(1, 2), 1)).sum().item<double>() /
           6;
}

}  // namespace

TEST_CASE("the procedural body is one closed surface of a person's size", "[procedural_body]") {
    const auto& b = body();
    check_body(b);
    const int64_t vertices = b.vertices.size(0), edges = unique_edges(b.faces).size(0);
    CAPTURE(vertices);
    REQUIRE((vertices > 6000 && vertices < 8000));
    REQUIRE(is_closed_manifold(b.faces));
    REQUIRE(vertices - edges + b.faces.size(0) == 2);  // with one component: a sphere's topology
    auto label = torch::arange(vertices);
    const auto e = unique_edges(b.faces);
    for (int round = 0; round < 400; ++round) {  // the smallest index floods each component
        const auto low = torch::minimum(label.index_select(0, e.select(1, 0)),
                                        label.index_select(0, e.select(1, 1)));
        label.scatter_reduce_(0, e.select(1, 0), low, "amin")
            .scatter_reduce_(0, e.select(1, 1), low, "amin");
    }
    REQUIRE((label == 0).all().item<bool>());
    const auto size = std::get<0>(b.vertices.max(0)) - std::get<0>(b.vertices.min(0));
    REQUIRE(size[1].item<double>() == Approx(1.7).margin(0.05));
    REQUIRE(size[0].item<double>() == Approx(1.7).margin(0.1));
    const double litres = 1000 * volume(b.vertices, b.faces);  // positive: outward
    CAPTURE(litres);
    REQUIRE((litres > 45 && litres < 90));
}

TEST_CASE("the procedural body is the same each time", "[procedural_body]") {
    const auto again = procedural_body();
    REQUIRE(torch::equal(again.vertices, body().vertices));
    REQUIRE(torch::equal(again.faces, body().faces));
    REQUIRE(torch::equal(again.weights, body().weights));
}

TEST_CASE("its joints lie where SMPL's do, left on +x", "[procedural_body]") {
    const auto& b = body();
    const auto joints = torch::matmul(b.joint_regressor, b.vertices);
    REQUIRE((b.joint_regressor != 0).sum(1).max().item<int64_t>() <= 128);
    REQUIRE_CLOSE(b.joint_regressor.sum(1), torch::ones({24}), 1e-5);
    REQUIRE_CLOSE(joints[0], torch::tensor({0.0, -0.23, 0.02}), 1e-5);
    REQUIRE_CLOSE(joints[20], torch::tensor({0.685, 0.22, -0.02}), 1e-5);
    REQUIRE_CLOSE(joints[21], torch::tensor({-0.685, 0.22, -0.02}), 1e-5);
    REQUIRE(b.parents.size(0) == 24);
}

TEST_CASE("its skinning has at most four joints per vertex and no leak across the legs",
          "[procedural_body]") {
    const auto& b = body();
    REQUIRE((b.weights > 0).sum(1).max().item<int64_t>() <= 4);
    REQUIRE_CLOSE(b.weights.sum(1), torch::ones({b.vertices.size(0)}), 1e-6);
    const auto low = (b.vertices.select(1, 1) < -0.5).to(torch::kFloat);
    const auto left = low * (b.vertices.select(1, 0) > 0),
               right = low * (b.vertices.select(1, 0) < 0);
    for (const int64_t j : {1, 4, 7, 10}) {
        REQUIRE((right * b.weights.select(1, j)).sum().item<float>() == 0);
        REQUIRE((left * b.weights.select(1, j + 1)).sum().item<float>() == 0);
    }
}

TEST_CASE("bent, shaped and subdivided it stays a body", "[procedural_body]") {
    const auto& b = body();
    BodyModel model(b, torch::tensor({1.0, 1.0, 1.0, 1.0, 1.0, 1.0}));
    const double shaped = volume(model->shaped(), b.faces);
    REQUIRE(shaped > volume(b.vertices, b.faces));
    REQUIRE(is_closed_manifold(subdivide(model->canonical()).mesh.faces));
    auto angles = torch::zeros({24, 3});
    angles[4][0] = 1.2f;    // knee
    angles[18][1] = -1.2f;  // elbow
    const auto bent = model->posed({exp_map(angles), torch::zeros({3})});
    REQUIRE(volume(bent, b.faces) == Approx(shaped).epsilon(0.05));
}

TEST_CASE("its labels name the parts of each side", "[procedural_body]") {
    const auto& b = body();
    const auto labels = body_part_labels(b);
    std::set<int64_t> seen;
    for (int64_t i = 0; i < labels.size(0); ++i) seen.insert(labels[i].item<int64_t>());
    REQUIRE(seen == std::set<int64_t>{2, 3, 4, 5, 6, 7, 10, 11, 13, 14, 15, 16, 19, 20, 21});
    const auto mean = [&](int64_t label, int64_t axis) {
        return b.vertices.select(1, axis).masked_select(labels == label).mean().item<double>();
    };
    for (const auto& [left, right] :
         {std::pair{4, 13}, {5, 14}, {6, 15}, {7, 16}, {10, 19}, {11, 20}}) {
        REQUIRE(mean(left, 0) > 0.05);
        REQUIRE(mean(right, 0) < -0.05);
    }
    REQUIRE(mean(3, 1) > mean(2, 1));  // hair above the face,
    REQUIRE(mean(3, 2) < mean(2, 2));  // and behind it
    REQUIRE(mean(7, 1) < mean(11, 1));
}

TEST_CASE("impossible grids are named", "[procedural_body]") {
    REQUIRE(test::throws_error([] { procedural_body({.cell = 0}); }, "expected a cell between"));
    REQUIRE(test::throws_error([] { procedural_body({.cell = 0.5}); }, "expected a cell between"));
}
