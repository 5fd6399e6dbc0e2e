#include <fmgs/core/random.h>
#include <fmgs/core/rotation.h>
#include <fmgs/core/surfels.h>

#include "support/gradcheck.h"

using namespace fmgs;

namespace {

constexpr int64_t N = 5, J = 3;

torch::Tensor draw(torch::IntArrayRef shape, uint64_t seed) {
    return torch::randn(shape, Random{seed}.generator("test_surfels"), torch::kDouble);
}

/// Surfels from free double tensors: position, axis-angle, log-scale, logit, skinning logits, bone
/// axis-angle, bone shift, colour.
std::vector<torch::Tensor> inputs() {
    return {draw({N, 3}, 0), draw({N, 3}, 1), draw({N, 2}, 2), draw({N, 1}, 3),
            draw({N, J}, 4), draw({J, 3}, 5), draw({J, 3}, 6), draw({N, 3}, 7)};
}

Surfels assemble(const std::vector<torch::Tensor>& x) {
    const auto bottom = torch::tensor({0., 0., 0., 1.}, torch::kDouble).expand({J, 1, 4});
    const auto bones = torch::cat({torch::cat({exp_map(x[5]), x[6].unsqueeze(2)}, 2), bottom}, 1);
    Surfels s{.position = x[0],
              .rotation = exp_map(x[1]),
              .scale = x[2].exp(),
              .opacity = x[3].sigmoid(),
              .skinning = x[4].softmax(1),
              .bones = bones,
              .features = {{"color", x[7]}},
              .latents = {{"semantic", x[7] * 2}}};
    return s;
}

/// A scalar that depends on everything a PosedSurfels holds.
torch::Tensor probe(const PosedSurfels& p) {
    const auto weigh = [](const torch::Tensor& x, uint64_t seed) {
        return (x * draw(x.sizes(), seed)).sum();
    };
    return weigh(p.center, 20) + weigh(p.tangents, 21) + weigh(p.normal, 22) +
           weigh(p.opacity, 23) + weigh(p.features.at("color"), 24);
}

}  // namespace

TEST_CASE("gradients of posed() match finite differences", "[surfels]") {
    const auto f = [](const std::vector<torch::Tensor>& x) { return probe(assemble(x).posed()); };
    REQUIRE(test::gradient_error(f, inputs()) < 1e-7);  // measured 2e-9
}

TEST_CASE("rigid bones move surfels rigidly and leave lengths alone", "[surfels]") {
    auto x = inputs();
    x[5] = x[5].narrow(0, 0, 1).expand({J, 3});
    x[6] = x[6].narrow(0, 0, 1).expand({J, 3});
    const auto s = assemble(x);
    const auto p = s.posed();
    const auto R = exp_map(x[5].narrow(0, 0, 1)).squeeze(0);
    REQUIRE_CLOSE(p.center, torch::matmul(s.position, R.t()) + x[6][0], 1e-13);
    REQUIRE_CLOSE(p.tangents.square().sum(1).sqrt(), s.scale, 1e-13);
    REQUIRE_CLOSE(p.normal, torch::matmul(s.rotation.select(2, 2), R.t()), 1e-13);
}

TEST_CASE("a sheared T keeps the normal perpendicular to both tangents", "[surfels]") {
    const auto p = assemble(inputs()).posed();
    const auto dots = torch::matmul(p.normal.unsqueeze(1), p.tangents).abs().max().item<double>();
    REQUIRE(dots < 1e-13);
    REQUIRE_CLOSE(p.normal.square().sum(1), torch::ones({N}, torch::kDouble), 1e-12);
}

TEST_CASE("every reach has the same values", "[surfels]") {
    const auto s = assemble(inputs());
    const auto all = s.posed();
    for (const auto& columns : std::vector<std::vector<std::string>>{
             {}, {"position"}, {"position", "skinning"}, {"scale", "opacity", "color"}}) {
        const auto some = s.posed(Reach::of(columns));
        REQUIRE(torch::equal(all.center, some.center));
        REQUIRE(torch::equal(all.tangents, some.tangents));
        REQUIRE(torch::equal(all.normal, some.normal));
        REQUIRE(torch::equal(all.opacity, some.opacity));
    }
}

TEST_CASE("a reach lets the gradient through to what it names and nowhere else", "[surfels]") {
    // The inputs that each column opens: position 0, rotation 1, scale 2, opacity 3, skinning 4–6,
    // colour 7.
    struct Case {
        std::vector<std::string> columns;
        std::set<size_t> open;
    };
    const std::vector<Case> cases = {{{"position"}, {0}},
                                     {{"rotation"}, {1}},
                                     {{"scale"}, {2}},
                                     {{"opacity"}, {3}},
                                     {{"color"}, {7}},
                                     {{"position", "skinning"}, {0, 4, 5, 6}},
                                     {{"position", "rotation", "skinning"}, {0, 1, 4, 5, 6}},
                                     {{"everything"}, {0, 1, 2, 3, 4, 5, 6, 7}}};
    for (const auto& [columns, open] : cases) {
        auto x = inputs();
        for (auto& t : x) t.requires_grad_(true);
        const auto y = probe(assemble(x).posed(Reach::of(columns)));
        const auto grads = torch::autograd::grad({y}, x, {}, false, false, true);
        for (size_t k = 0; k < x.size(); ++k) {
            const bool reached = grads[k].defined() && grads[k].abs().max().item<double>() > 0;
            INFO("input " << k << " with " << columns.front());
            REQUIRE(reached == (open.count(k) > 0));
        }
    }
}

TEST_CASE(
    "with rotation open and position closed T turns the tangents but does not move the centre",
    "[surfels]") {
    auto x = inputs();
    for (auto& t : x) t.requires_grad_(true);
    const auto p = assemble(x).posed({.rotation = true, .skinning = true, .features = {}});
    REQUIRE_FALSE(p.center.requires_grad());
    REQUIRE(p.normal.requires_grad());
    const auto q = assemble(x).posed(Reach::of({"position", "skinning"}));
    REQUIRE(q.center.requires_grad());
    REQUIRE_FALSE(q.normal.requires_grad());
    REQUIRE_FALSE(q.tangents.requires_grad());
}

TEST_CASE("latents are reached by their own column", "[surfels]") {
    auto x = inputs();
    x[7].requires_grad_(true);
    REQUIRE(assemble(x)
                .restricted(Reach::of({"semantic.latent"}))
                .latents.at("semantic")
                .requires_grad());
    REQUIRE_FALSE(assemble(x)
                      .restricted(Reach::of({"semantic", "color"}))
                      .latents.at("semantic")
                      .requires_grad());
}

TEST_CASE("skinning without position is refused: the weights are sampled there", "[surfels]") {
    const std::string words = "'skinning' is open and 'position' is not";
    REQUIRE(test::throws_error([] { Reach::of({"skinning", "scale"}); }, words));
    REQUIRE(test::throws_error([] { Reach::of({"skinning", "rotation"}); }, words));
    REQUIRE(Reach::of({"skinning", "position"}).skinning);
}

TEST_CASE("every fixed column opens something, and every other word is a feature", "[surfels]") {
    const auto names = Reach::fixed_columns();
    REQUIRE(names == std::vector<std::string>{"position", "rotation", "scale", "opacity",
                                              "skinning", "everything"});
    for (const auto& name : names) {
        const auto reach = Reach::of({name, "position"});
        INFO(name);
        REQUIRE(reach.features.empty());
        REQUIRE((name == "position" || !reach.same_geometry(Reach::of({"position"}))));
    }
    REQUIRE(Reach::of({"dino"}).features == std::set<std::string>{"dino"});
}

TEST_CASE("features are cut by name", "[surfels]") {
    const auto x = inputs()[7].requires_grad_(true);
    const Maps cut = restricted({{"color", x * 1}, {"dino", x * 2}}, Reach::of({"dino"}));
    REQUIRE_FALSE(cut.at("color").requires_grad());
    REQUIRE(cut.at("dino").requires_grad());
    REQUIRE(torch::equal(cut.at("color"), x));
}
