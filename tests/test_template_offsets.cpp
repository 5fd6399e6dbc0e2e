#include <fmgs/core/random.h>
#include <fmgs/core/template_offsets.h>
#include <fmgs/train/optim.h>

#include "support/ball.h"
#include "support/module.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

/// The regular tetrahedron of edges √8, doubles.
Mesh tetrahedron() {
    return {torch::tensor({1., 1., 1., 1., -1., -1., -1., 1., -1., -1., -1., 1.}, torch::kDouble)
                .view({4, 3}),
            torch::tensor({0, 1, 2, 0, 3, 1, 0, 2, 3, 1, 3, 2}, torch::kInt64).view({4, 3})};
}

Mesh ball() {
    const auto data = ball_data();
    return {data.vertices.to(torch::kDouble), data.faces};
}

/// Those of a mesh, moved by `offset` [V,3] or [3].
TemplateOffsets moved(const Mesh& mesh, const torch::Tensor& offset) {
    TemplateOffsets out(mesh);
    const torch::NoGradGuard guard;
    torch::Tensor(out->offsets()).add_(offset);
    return out;
}

double value(const torch::Tensor& x) { return x.item<double>(); }

}  // namespace

TEST_CASE("a template with offsets is born as the mesh, without penalty", "[template]") {
    const auto mesh = ball();
    TemplateOffsets offsets(mesh);
    CHECK(torch::equal(offsets->forward(), mesh.vertices));
    CHECK(torch::equal(offsets->faces(), mesh.faces));
    CHECK(value(offsets->laplacian()) == 0);
    CHECK(value(offsets->edge_length()) == 0);
    CHECK(offsets->named_parameters().size() == 1);
    CHECK(offsets->parameter_group("offsets") == "offset");
}

TEST_CASE("moving the whole template costs nothing", "[template]") {
    const auto mesh = ball();
    const auto by = torch::tensor({0.3, -0.2, 5.0}, torch::kDouble);
    const auto offsets = moved(mesh, by);
    CHECK_FALSE(torch::equal(offsets->forward(), mesh.vertices));
    CHECK(distance(offsets->forward(), mesh.vertices + by) <= 1e-15);
    CHECK(value(offsets->laplacian()) <= 1e-24);
    CHECK(value(offsets->edge_length()) <= 1e-24);
    CHECK(value(offsets->normal_consistency()) ==
          Approx(value(TemplateOffsets(mesh)->normal_consistency())).epsilon(1e-10));
}

TEST_CASE("penalties of a tetrahedron are those that its angles and edges give", "[template]") {
    const auto mesh = tetrahedron();
    // Between outward normals of a regular tetrahedron the cosine is -1/3.
    CHECK(value(TemplateOffsets(mesh)->normal_consistency()) == Approx(4.0 / 3).epsilon(1e-12));
    // Each edge is 1.3 times as long.
    CHECK(value(moved(mesh, 0.3 * mesh.vertices)->edge_length()) == Approx(0.09).epsilon(1e-12));
    // One of four moves by d: it differs from its neighbours by d, they by d/3 from theirs.
    auto one = torch::zeros({4, 3}, torch::kDouble);
    one[2][1] = 0.6;
    CHECK(value(moved(mesh, one)->laplacian()) ==
          Approx((1 + 3.0 / 9) / 4 * 0.36 / 8).epsilon(1e-12));
    // They have no unit.
    const Mesh small{1e-3 * mesh.vertices, mesh.faces};
    CHECK(value(moved(small, 1e-3 * one)->laplacian()) ==
          Approx(value(moved(mesh, one)->laplacian())).epsilon(1e-9));
    CHECK(value(moved(small, 1e-3 * one)->edge_length()) ==
          Approx(value(moved(mesh, one)->edge_length())).epsilon(1e-9));
}

TEST_CASE("faces in a plane agree whatever lies beside them, and a lone one agrees with none",
          "[template]") {
    const Mesh square{
        torch::tensor({0., 0., 0., 1., 0., 0., 1., 1., 0., 0., 1., 0., 9., 9., 9.}, torch::kDouble)
            .view({5, 3}),
        torch::tensor({{0, 1, 2}, {0, 2, 3}}, torch::kInt64)};
    CHECK(value(TemplateOffsets(square)->normal_consistency()) <= 1e-12);
    auto lift = torch::zeros({5, 3}, torch::kDouble);
    lift[1] = lift[3] = torch::tensor({0., 0., std::sqrt(0.5)}, torch::kDouble);
    // Both wings stand at 45°: the normals at a right angle.
    CHECK(value(moved(square, lift)->normal_consistency()) == Approx(1).epsilon(1e-12));
    // The vertex of no face has no neighbours, and no penalty.
    auto far = torch::zeros({5, 3}, torch::kDouble);
    far[4] = 7;
    CHECK(value(moved(square, far)->laplacian()) == 0);
    const Mesh lone{square.vertices, square.faces.slice(0, 0, 1)};
    TemplateOffsets one(lone);
    const auto none = one->normal_consistency();
    CHECK(value(none) == 0);
    none.backward();
    CHECK(one->offsets().grad().abs().max().item<double>() == 0);
}

TEST_CASE("gradients of the penalties are those of finite differences", "[template]") {
    const auto mesh = tetrahedron();
    const auto noise = 0.3 * torch::randn({4, 3}, Random{.seed = 4}.generator("noise"),
                                          torch::TensorOptions(torch::kDouble));
    auto offsets = moved(mesh, noise);
    const auto error = [&](auto penalty) {
        return parameter_gradient_error(*offsets, penalty, /*count=*/12);
    };
    CHECK(error([&] { return offsets->laplacian(); }) <= 1e-7);
    CHECK(error([&] { return offsets->edge_length(); }) <= 1e-7);
    CHECK(error([&] { return offsets->normal_consistency(); }) <= 1e-7);
    CHECK(error([&] { return (offsets->forward() * noise).sin().sum(); }) <= 1e-7);
}

TEST_CASE("a face without area leaves the gradient finite", "[template]") {
    auto mesh = tetrahedron();
    mesh.vertices[1] = mesh.vertices[0].clone();
    TemplateOffsets offsets(mesh);
    (offsets->laplacian() + offsets->edge_length() + offsets->normal_consistency()).backward();
    CHECK(offsets->offsets().grad().isfinite().all().item<bool>());
}

TEST_CASE("the surface of a larger ball is found", "[template]") {
    const auto mesh = ball();  // radius 0.5
    TemplateOffsets offsets(mesh);
    OptimOptions options;
    options.offset = 1e-2;
    Optimizer optimizer(grouped_parameters(*offsets), options);
    for (int step = 0; step < 200; ++step) {
        const auto off = offsets->forward().norm(2, 1) - 0.65;
        optimizer.zero_grad();
        (off.square().mean() + 1e-6 * offsets->laplacian() + 1e-6 * offsets->edge_length())
            .backward();
        REQUIRE_FALSE(optimizer.step(step / 200.0));
    }
    const torch::NoGradGuard guard;
    CHECK((offsets->forward().norm(2, 1) - 0.65).abs().max().item<double>() <= 1e-4);
    // Each vertex is where it was seen from the centre, within degrees: the surface does not fold.
    const auto cosine = (offsets->forward() * mesh.vertices).sum(1) / (0.65 * 0.5);
    CHECK(cosine.min().item<double>() >= 0.99);
}

TEST_CASE("offsets are copied deeply, and what is no mesh is refused", "[template]") {
    const auto offsets = moved(ball(), torch::tensor({1., 2., 3.}, torch::kDouble));
    const auto copy = std::dynamic_pointer_cast<TemplateOffsetsImpl>(offsets->clone());
    REQUIRE(copy);
    CHECK(torch::equal(copy->forward(), offsets->forward()));
    torch::NoGradGuard guard;
    torch::Tensor(copy->offsets()).zero_();
    CHECK(offsets->offsets()[0][2].item<double>() == 3);
    CHECK(copy->laplacian().item<double>() == 0);
    const auto mesh = ball();
    CHECK(throws_error(
        [&] {
            TemplateOffsets(Mesh{mesh.vertices, mesh.faces.slice(0, 0, 0)});
        },
        "no face"));
    CHECK(throws_error(
        [&] {
            TemplateOffsets(Mesh{mesh.vertices.slice(1, 0, 2), mesh.faces});
        },
        "vertices of the template: expected [any,3]"));
}
