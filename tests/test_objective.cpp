#include <fmgs/losses/objective.h>

#include "support/losses.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

// Σ opacity, or a failure that shows it was evaluated.
class SumOfOpacity : public Loss {
  public:
    explicit SumOfOpacity(std::vector<std::string> targets = {}) : targets_(std::move(targets)) {}
    std::vector<std::string> targets() const override { return targets_; }
    torch::Tensor forward(const LossInput& input) override { return input.canonical.opacity.sum(); }

  private:
    std::vector<std::string> targets_;
};

class Forbidden : public Loss {
  public:
    torch::Tensor forward(const LossInput&) override { throw Error("evaluated"); }
};

Surfels three_surfels() {
    Surfels s;
    s.position = uniform({3, 3}, -1, 1);
    s.rotation = torch::eye(3, kDoubles).expand({3, 3, 3});
    s.scale = torch::ones({3, 2}, kDoubles);
    s.opacity = torch::full({3, 1}, 0.5, kDoubles).requires_grad_(true);
    s.skinning = torch::ones({3, 1}, kDoubles);
    s.bones = torch::eye(4, kDoubles).unsqueeze(0);
    return s;
}

}  // namespace

TEST_CASE("the total is the weighted sum, and the report holds no graph", "[losses]") {
    const auto s = three_surfels();
    Objective objective;
    objective->add("a", std::make_shared<SumOfOpacity>(), 2.0, Reach::of({"opacity"}));
    objective->add("b", std::make_shared<SumOfOpacity>(), Schedule({{0, 1.0}, {0.5, 3.0}}),
                   Reach::nothing());
    const auto early = objective->forward(s, {}, {}, 0.1),
               late = objective->forward(s, {}, {}, 0.5);
    REQUIRE(early.total.item<double>() == Approx(1.5 * (2 + 1)));
    REQUIRE(late.total.item<double>() == Approx(1.5 * (2 + 3)));
    REQUIRE(late.terms.size() == 2);
    REQUIRE(late.terms[1].weight == 3);
    REQUIRE(late.terms[1].value.item<double>() == Approx(1.5));
    REQUIRE_FALSE(late.terms[0].value.requires_grad());
    late.total.backward();
    REQUIRE_CLOSE(s.opacity.grad(), torch::full({3, 1}, 2.0, kDoubles),
                  1e-15);  // b reaches nothing
}

TEST_CASE("a term whose weight is 0 now is not evaluated", "[losses]") {
    const auto s = three_surfels();
    Objective objective;
    objective->add("later", std::make_shared<Forbidden>(), Schedule({{0, 0.0}, {0.5, 1.0}}),
                   Reach::nothing());
    const auto report = objective->forward(s, {}, {}, 0.2);
    REQUIRE(report.terms.empty());
    REQUIRE(report.total.item<double>() == 0);
    REQUIRE(throws_error([&] { objective->forward(s, {}, {}, 0.6); }, "evaluated"));
}

TEST_CASE("a missing target is an error that names term, map and frame", "[losses]") {
    Objective objective;
    objective->add("depth", std::make_shared<SumOfOpacity>(std::vector<std::string>{"depth"}), 1.0,
                   Reach::nothing());
    Frame frame;
    frame.name = "0007";
    REQUIRE(throws_error([&] { objective->forward(three_surfels(), frame, {}, 0); },
                         "loss 'depth' needs the map 'depth', which frame '0007' does not have"));
}

TEST_CASE("names are taken once and hold no dot", "[losses]") {
    Objective objective;
    objective->add("a", std::make_shared<SumOfOpacity>(), 1.0, Reach::nothing());
    REQUIRE(throws_error([&] { objective->add("a", std::make_shared<SumOfOpacity>(), 1.0, {}); },
                         "a loss 'a' already"));
    REQUIRE(throws_error([&] { objective->add("a.b", std::make_shared<SumOfOpacity>(), 1.0, {}); },
                         "contain a dot"));
}
