// The person of the synthetic capture in a skirt: a garment that hangs off the body.
#include <fmgs/core/template_mesh.h>
#include <fmgs/data/synthetic/motion.h>
#include <fmgs/data/synthetic/procedural_body.h>
#include <fmgs/data/synthetic/skirt.h>
#include <fmgs/data/synthetic/synthetic.h>
#include <fmgs/eval/surface.h>

#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

constexpr int64_t kSkirt = 1, kTrousers = 12;

const BodyData& body_data() {
    static const BodyData data = procedural_body({.cell = 0.03});
    return data;
}

const BodyModel& body() {
    static const BodyModel model(body_data(), torch::Tensor());
    return model;
}

SyntheticOptions dressed() {
    SyntheticOptions options;
    options.size = 128;
    options.train_frames = 6;
    options.test_frames = options.test_views = 0;
    options.novel_frames = 4;
    options.subdivisions = 0;
    options.samples = 1;
    options.garment = "skirt";
    return options;
}

const Capture& capture() {
    static const Capture made = synthetic_capture(body_data(), dressed());
    return made;
}

}  // namespace

TEST_CASE("a skirt hangs from the waist to the knees, round both legs", "[synthetic]") {
    const auto& joints = body()->joints();
    const auto y = [&](int64_t joint) { return joints[joint][1].item<double>(); };
    const auto skirt = fmgs::detail::skirt(*body(), body()->shaped(), body()->faces(), 0);
    const auto heights = skirt.rest.select(1, 1);
    CHECK(std::abs(heights.max().item<double>() - y(3)) < 0.05);  // SMPL's spine1
    CHECK(std::abs(heights.min().item<double>() - y(4)) < 0.05);  // and knee

    // Every vertex of the trunk and the legs at its height lies inside its ring, by centimetres.
    const auto& rest = body()->shaped();
    const auto z = skirt.rest.select(1, 2);
    for (int64_t ring = 0; ring < 25; ++ring) {
        const auto at = skirt.rest.slice(0, 72 * ring, 72 * ring + 72);
        const double height = at[0][1].item<double>(), half = at.select(1, 0).max().item<double>();
        const double front = at.select(1, 2).max().item<double>(),
                     back = at.select(1, 2).min().item<double>();
        const auto near =
            rest.index({(rest.select(1, 1) - height).abs() < 0.01}).to(torch::kDouble);
        REQUIRE(near.size(0) > 0);
        const auto inside =
            (near.select(1, 0) / (half - 0.02)).square() +
            ((near.select(1, 2) - (front + back) / 2) / ((front - back) / 2 - 0.02)).square();
        INFO("height " << height);
        CHECK(inside.max().item<double>() <= 1);
    }
    // Weights: a partition, alike on both sides, and with no seam between the legs.
    const auto& w = skirt.weights;
    CHECK(w.min().item<double>() >= 0);
    CHECK((w.sum(1) - 1).abs().max().item<double>() <= 1e-6);
    const auto mirrored = skirt.rest * torch::tensor({-1.F, 1.F, 1.F});
    const auto twin = std::get<1>(torch::cdist(mirrored, skirt.rest).min(1));
    CHECK((w.select(1, 1) - w.select(1, 2).index_select(0, twin)).abs().max().item<double>() <=
          1e-5);
    const auto edges = unique_edges(skirt.canonical.faces);
    const auto jump =
        (w.index_select(0, edges.select(1, 0)) - w.index_select(0, edges.select(1, 1))).abs().max();
    CHECK(jump.item<double>() < 0.2);
    // Outside faces out.
    const auto normal = face_normals({skirt.rest, skirt.canonical.faces});
    const auto center = skirt.rest.index({skirt.canonical.faces}).mean(1);
    CHECK((normal *
           (center - torch::stack({torch::zeros_like(z.mean()), center.mean(0)[1], z.mean()})))
              .sum(1)
              .gt(-0.05)
              .all()
              .item<bool>());
}

TEST_CASE("the canonical skirt goes where it hangs when the body stands in its T-pose",
          "[synthetic]") {
    const auto skirt = fmgs::detail::skirt(*body(), body()->shaped(), body()->faces(), 0);
    const BodyPose t_pose{torch::eye(3).expand({24, 3, 3}).contiguous(), torch::zeros(3), {}};
    const auto back = skin(skirt.weights, body()->bones(t_pose), skirt.canonical.vertices);
    CHECK((back - skirt.rest).abs().max().item<double>() <= 1e-5);
    CHECK((skirt.canonical.vertices - skirt.rest).norm(2, 1).max().item<double>() > 0.1);
}

TEST_CASE("walking, the skirt is seen where it hangs and no leg comes through", "[synthetic]") {
    for (const char* split : {"train", "novel_motion"}) {
        for (const auto& frame : capture().splits.at(split)) {
            INFO(split << " " << frame.name);
            const auto& labels = frame.truth.at("semantic");
            const auto skirt = labels == kSkirt, legs = labels == kTrousers;
            REQUIRE(skirt.sum().item<int64_t>() > 0.15 * (labels > 0).sum().item<int64_t>());
            REQUIRE(legs.any().item<bool>());
            // Trousers show below the hem only: none has the skirt below it, but where a dancer
            // lifts it and its inside shows behind a leg.
            const auto below = skirt.to(torch::kInt64).flip(0).cumsum(0).flip(0);
            const auto above = legs.logical_and(below > 0).sum().item<int64_t>();
            REQUIRE(above <= (std::string(split) == "train" ? 0 : 20));
            // Its rows have no gap between the legs.
            const auto rows = skirt.sum(1);
            const auto mask = labels > 0;
            const int64_t middle = (rows > 0).nonzero().median().item<int64_t>();
            const auto across = skirt[middle].nonzero();
            const auto row = mask[middle].slice(0, across.min().item<int64_t>(),
                                                across.max().item<int64_t>() + 1);
            REQUIRE(row.all().item<bool>());
        }
    }
}

TEST_CASE("the skirt's mesh as a template follows the true surface, which the body's own does not",
          "[synthetic]") {
    const auto mesh = synthetic_template(body_data(), dressed());
    const auto with_skirt = with_template(*body(), mesh, {.resolution = 32});
    const auto subject = synthetic_subject(body_data(), dressed());
    for (const size_t k : {size_t{0}, size_t{4}}) {
        const auto frame = capture().splits.at("train").heads()[k];
        const auto truth = subject.posed(frame.pose);
        const auto error = [&](const BodyModel& model) {
            return surface_errors({model->posed(frame.pose), model->faces()}, truth, 500);
        };
        const auto own = error(body()), dressed_up = error(with_skirt);
        INFO(frame.name << ": " << own.chamfer << " and " << dressed_up.chamfer);
        CHECK(dressed_up.chamfer <= 0.5 * own.chamfer);
        CHECK(own.chamfer > 0.025);
    }
    auto plain = dressed();
    plain.garment = "none";
    const auto naked = synthetic_template(body_data(), plain);
    CHECK(torch::equal(naked.vertices, body()->canonical().vertices));
    CHECK(torch::equal(naked.faces, body()->faces()));
}

TEST_CASE("a garment that nobody made is refused", "[synthetic]") {
    auto options = dressed();
    options.garment = "kilt";
    CHECK(throws_error([&] { synthetic_capture(body_data(), options); },
                       "garment: expected none or skirt, got 'kilt'"));
}
