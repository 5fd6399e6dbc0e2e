#include <fmgs/core/template_mesh.h>
#include <fmgs/data/synthetic/procedural_body.h>

#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

BodyModel coarse_body() { return BodyModel(procedural_body({.cell = 0.035}), torch::Tensor()); }

/// A bell of `rings` rings about the body's axis from the hips to the knees: a skirt.
Mesh bell(const BodyModelImpl& body, int64_t rings = 9, int64_t sides = 40) {
    const auto canonical = body.canonical().vertices;
    const float hips = body.joints()[0][1].item<float>();
    const float knees = body.joints()[4][1].item<float>();
    std::vector<float> vertices;
    std::vector<int64_t> faces;
    for (int64_t i = 0; i < rings; ++i) {
        const float share = float(i) / float(rings - 1), radius = 0.2F + 0.25F * share;
        for (int64_t j = 0; j < sides; ++j) {
            const double angle = 2 * M_PI * double(j) / double(sides);
            vertices.insert(vertices.end(),
                            {radius * float(std::sin(angle)), hips + share * (knees - hips),
                             radius * float(std::cos(angle))});
            if (i + 1 == rings) continue;
            const int64_t a = i * sides + j, b = i * sides + (j + 1) % sides;
            faces.insert(faces.end(), {a, a + sides, b, b, a + sides, b + sides});
        }
    }
    return {torch::tensor(vertices).view({-1, 3}),
            torch::tensor(faces, torch::kInt64).view({-1, 3})};
}

/// Both as one mesh.
Mesh joined(const Mesh& a, const Mesh& b) {
    return {torch::cat({a.vertices, b.vertices}),
            torch::cat({a.faces, b.faces + a.vertices.size(0)})};
}

BodyPose a_pose() {
    auto joints = torch::zeros({23, 3});
    joints[0][0] = -0.5, joints[17][2] = 0.4;
    return smpl_pose(torch::tensor({0.0, 0.3, 0.1}), joints.reshape({-1}),
                     torch::tensor({0.1, 0.0, 2.0}), 24);
}

}  // namespace

TEST_CASE("a mesh in the body's clothes stands where it stood and moves with it") {
    const auto body = coarse_body();
    const auto naked = body->canonical();
    const auto mesh = joined(naked, bell(*body));
    const auto dressed = with_template(*body, mesh, {.resolution = 48});
    const auto canonical = dressed->canonical();
    CHECK((canonical.vertices - mesh.vertices).abs().max().item<double>() <= 1e-5);
    CHECK(torch::equal(canonical.faces, mesh.faces));
    CHECK((dressed->weights().sum(1) - 1).abs().max().item<double>() <= 1e-5);
    CHECK(dressed->weights().min().item<double>() >= 0);
    CHECK(torch::equal(dressed->joints(), body->joints()));

    // Its own vertices go where the body's go, but for the grid.
    const auto pose = a_pose();
    const int64_t own = naked.vertices.size(0);
    const auto off = (dressed->posed(pose).narrow(0, 0, own) - body->posed(pose)).norm(2, 1);
    CHECK(off.mean().item<double>() <= 0.004);
    // The skirt hangs between the legs: where each vertex follows the nearest of the body, it
    // tears.
    const auto nearest = std::get<1>(torch::cdist(mesh.vertices, naked.vertices).min(1));
    const auto torn =
        skin(body->weights().index_select(0, nearest), body->bones(pose), mesh.vertices);
    const auto moved = dressed->posed(pose);
    const auto length = [&](const torch::Tensor& v) {
        const auto edges = unique_edges(mesh.faces.slice(0, naked.faces.size(0)));
        return (v.index_select(0, edges.select(1, 0)) - v.index_select(0, edges.select(1, 1)))
            .norm(2, 1);
    };
    const auto stretch = [&](const torch::Tensor& v) {
        return (length(v) / length(mesh.vertices)).max().item<double>();
    };
    CHECK(stretch(moved) <= 2);
    CHECK(stretch(torn) >= 2 * stretch(moved));
}

TEST_CASE("moved vertices make another shape of the same body") {
    auto data = procedural_body({.cell = 0.035});
    data.pose_directions = torch::zeros({data.vertices.size(0), 3, 9 * 23});
    const BodyModel body(data, torch::Tensor());
    const auto canonical = body->canonical().vertices;
    const auto same = with_vertices(*body, canonical);
    CHECK((same->shaped() - body->shaped()).abs().max().item<double>() <= 1e-5);
    const auto wanted = canonical + 0.02 * torch::sin(20 * canonical);
    const auto moved = with_vertices(*body, wanted);
    CHECK((moved->canonical().vertices - wanted).abs().max().item<double>() <= 1e-5);
    for (const auto& item : body->named_buffers()) {
        INFO(item.key());
        const auto& now = moved->named_buffers()[item.key()];
        CHECK(torch::equal(now, item.value()) == (item.key() != "shaped"));
    }
    CHECK(throws_error([&] { with_vertices(*body, wanted.slice(0, 1)); }, "canonical vertices"));
}

TEST_CASE("a template of another size, place or shape is refused by name") {
    const auto body = coarse_body();
    const auto mesh = body->canonical();
    const auto refused = [&](const Mesh& m, const std::string& words) {
        return throws_error([&] { with_template(*body, m, {.resolution = 16}); }, words);
    };
    CHECK(refused({100 * mesh.vertices, mesh.faces}, "metres"));
    CHECK(refused({mesh.vertices + torch::tensor({1.5F, 0.F, 0.F}), mesh.faces}, "does not stand"));
    CHECK(refused({mesh.vertices, mesh.faces.slice(0, 0, 0)}, "no face"));
    auto broken = mesh.vertices.clone();
    broken[3][1] = NAN;
    CHECK(refused({broken, mesh.faces}, "finite"));
    CHECK(refused({mesh.vertices, mesh.faces + 5}, "corners of faces"));
}
