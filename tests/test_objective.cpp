#include <fmgs/losses/objective.h>

#include <fmgs/train/checkpoint.h>
#include <fmgs/train/optim.h>

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

// ‖sharpness‖² of its own, and how often it was asked.
class Learned : public Loss {
  public:
    torch::Tensor forward(const LossInput& input) override {
        calls.add_(1);
        return (sharpness * sharpness).sum() * input.canonical.opacity.mean();
    }
    torch::Tensor sharpness = register_parameter("sharpness", torch::tensor({1.F, -2.F}));
    torch::Tensor calls = register_buffer("calls", torch::zeros({1}, torch::kLong));
};

// Remembers what it was told.
class Witness : public Loss {
  public:
    torch::Tensor forward(const LossInput& input) override {
        told = input.static_shapes;
        return input.canonical.opacity.sum();
    }
    bool told = false;
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
    objective->add("order", std::make_shared<SumOfOpacity>(std::vector<std::string>{"depth"}), 1.0,
                   Reach::nothing());
    Frame frame;
    frame.name = "0007";
    REQUIRE(throws_error([&] { objective->forward(three_surfels(), frame, {}, 0); },
                         "loss 'order' needs the map 'depth', which frame '0007' does not have"));
}

TEST_CASE("names are taken once, plain, and not those of maps and columns", "[losses]") {
    Objective objective;
    const auto add = [&](const std::string& name) {
        objective->add(name, std::make_shared<SumOfOpacity>(), 1.0, Reach::nothing());
    };
    add("a");
    REQUIRE(throws_error([&] { add("a"); }, "a loss 'a' already"));
    for (const std::string odd : {"", "a.b", "/tmp/x", "a b", "a#1"})
        REQUIRE(throws_error([&] { add(odd); }, "loss '" + odd + "': a name has"));
    for (const std::string word : {"depth", "position", "everything"})
        REQUIRE(throws_error([&] { add(word); }, "the word has a meaning already"));
    add("mask");  // the paper's own terms keep their names
    add("normal");
    REQUIRE(objective->entries().size() == 3);
}

TEST_CASE("what cannot be a term is refused at the door", "[losses]") {
    Objective objective;
    REQUIRE(throws_error([&] { objective->add("a", nullptr, 1.0, {}); }, "the loss 'a' is null"));
    REQUIRE(throws_error(
        [&] {
            objective->add("a", std::make_shared<SumOfOpacity>(), 1.0,
                           {.rotation = true, .skinning = true, .features = {}});
        },
        "'skinning' is open and 'position' is not"));
    REQUIRE(objective->entries().empty());
    REQUIRE(objective->children().empty());
}

TEST_CASE("a column that the surfels do not have is an error in the first step", "[losses]") {
    auto s = three_surfels();
    s.features.set("color", torch::zeros({3, 3}, kDoubles));
    s.latents.set("dino", torch::zeros({3, 8}, kDoubles));
    const auto error = [&](const std::string& column) {
        Objective objective;  // the term is off now
        objective->add("later", std::make_shared<Forbidden>(), Schedule({{0, 0.0}, {0.5, 1.0}}),
                       Reach::of({column}));
        objective->add("now", std::make_shared<SumOfOpacity>(), 1.0, Reach::of({"opacity"}));
        try {
            objective->forward(s, {}, {}, 0.1);
        } catch (const Error& e) {
            return std::string(e.what());
        }
        return std::string("none");
    };
    const std::string words = "the reach of loss 'later': there is no column ";
    REQUIRE(error("positon").find(words + "'positon'; the nearest is 'position'") == 0);
    REQUIRE(error("colour").find(words + "'colour'; the nearest is 'color'") == 0);
    REQUIRE(error("dino").find(words + "'dino'; the nearest is ") == 0);
    REQUIRE(error("dino.latent") == "none");
    REQUIRE(error("color") == "none");
}

TEST_CASE("shapes are static where the objective says so, and by default not on a CPU",
          "[losses]") {
    const auto s = three_surfels();
    const auto witness = std::make_shared<Witness>();
    Objective objective;
    objective->add("witness", witness, 1.0, Reach::nothing());
    objective->forward(s, {}, {}, 0);
    REQUIRE_FALSE(witness->told);
    objective->static_shapes = true;
    objective->forward(s, {}, {}, 0);
    REQUIRE(witness->told);
    objective->static_shapes = false;
    objective->forward(s, {}, {}, 0);
    REQUIRE_FALSE(witness->told);
}

TEST_CASE("what a loss owns is optimised, saved and restored to the bit", "[losses]") {
    struct Training {
        std::shared_ptr<Learned> loss = std::make_shared<Learned>();
        Objective objective;
        std::optional<Optimizer> optimizer;
        Training() {
            objective->add("learned", loss, 0.5, Reach::nothing());
            optimizer.emplace(grouped_parameters(*objective), OptimOptions{.loss = 0.1});
        }
        void step(int64_t k) {
            const auto report = objective->forward(three_surfels(), {}, {}, double(k) / 4);
            optimizer->zero_grad();
            report.total.backward();
            REQUIRE_FALSE(optimizer->step(double(k) / 4));
        }
    };
    Training whole, first, resumed;
    const auto groups = grouped_parameters(*whole.objective);
    REQUIRE(groups.size() == 1);
    REQUIRE(groups[0].name == "learned.sharpness");
    REQUIRE(groups[0].group == "loss");
    for (int64_t k = 0; k < 4; ++k) whole.step(k);
    for (int64_t k = 0; k < 2; ++k) first.step(k);

    const TemporaryFolder folder;
    write_safetensors(folder.path / "losses", named_tensors(*first.objective));
    write_safetensors(folder.path / "moments", first.optimizer->state());
    const auto saved = read_safetensors(folder.path / "losses");
    REQUIRE(saved.size() == 2);
    copy_tensors(saved, named_tensors(*resumed.objective), "losses");
    copy_tensors(read_safetensors(folder.path / "moments"), resumed.optimizer->state(), "moments");
    REQUIRE(torch::equal(resumed.loss->sharpness, first.loss->sharpness));
    for (int64_t k = 2; k < 4; ++k) resumed.step(k);
    REQUIRE(torch::equal(resumed.loss->sharpness, whole.loss->sharpness));
    REQUIRE(torch::equal(resumed.loss->calls, whole.loss->calls));
    REQUIRE(whole.loss->calls.item<int64_t>() == 4);
    REQUIRE(whole.loss->sharpness[0].item<float>() < 0.8F);  // four steps of a tenth
}

TEST_CASE("a schedule that does not rise from 0 is refused when it is made", "[losses]") {
    using Pieces = Schedule::Pieces;
    const double infinity = std::numeric_limits<double>::infinity();
    for (const auto& bad :
         {Pieces{}, Pieces{{0.1, 1}}, Pieces{{0, 1}, {0, 2}}, Pieces{{0, 1}, {0.5, 2}, {0.4, 3}},
          Pieces{{0, 1}, {1.5, 2}}, Pieces{{0, infinity}}, Pieces{{0, 1}, {NAN, 2}}})
        REQUIRE(throws_error([&] { Schedule{bad}; }, "schedule: expected pieces"));
    REQUIRE(throws_error([] { Schedule{NAN}; }, "schedule: expected"));
    REQUIRE(Schedule(Pieces{{0, 1}, {0.5, 2}, {1, 3}}).at(0.9) == 2);
}
