#include <fmgs/core/random.h>
#include <fmgs/fields/feature.h>
#include <torch/nn/functional/loss.h>
#include <torch/optim/adam.h>

#include "support/module.h"
#include "support/test.h"

using namespace fmgs;

namespace {
FeatureFieldOptions small() {
    return {.volume = {.levels = 3,
                       .base_resolution = 3,
                       .finest_resolution = 9,
                       .log2_hashmap_size = 6},
            .channels = 5,
            .hidden = 8,
            .folder = ""};
}
torch::Tensor box() { return torch::tensor({{-1.0f, -1.0f, -1.0f}, {1.0f, 1.0f, 1.0f}}); }
torch::Tensor points() {
    return torch::rand({9, 3}, Random{3}.generator("points"), torch::kFloat32) * 2 - 1;
}
}  // namespace

TEST_CASE("a feature field decodes the latent that it samples", "[feature_field]") {
    FeatureField field(small(), box());
    const FieldInput in{.at = LocatedPoints(points())};
    const auto out = field->forward(in);
    REQUIRE(out.latent.sizes() == torch::IntArrayRef({9, 6}));
    REQUIRE(out.value.sizes() == torch::IntArrayRef({9, 5}));
    HashGrid volume = field->volume();
    REQUIRE(torch::equal(out.latent, volume->forward(in.at)));
}

TEST_CASE("gradients of the feature field are right in double", "[feature_field]") {
    FeatureField field(small(), box());
    field->to(torch::kDouble);
    const FieldInput in{.at = LocatedPoints(points())};
    const auto value = [&] {
        const auto out = field->forward(in);
        return out.value.sin().sum() + out.latent.square().sum();
    };
    REQUIRE(test::parameter_gradient_error(*field, value) < 1e-7);
}

TEST_CASE("a feature field with copied parameters gives the same bits", "[feature_field]") {
    FeatureField a(small(), box(), 1), b(small(), box(), 2);
    const FieldInput in{.at = LocatedPoints(points())};
    REQUIRE_FALSE(torch::equal(a->forward(in).value, b->forward(in).value));
    REQUIRE(test::copy_state(*a, *b));
    REQUIRE(torch::equal(a->forward(in).value, b->forward(in).value));
}

TEST_CASE("a feature field learns labels that follow position", "[feature_field]") {
    FeatureField field(small(), box());
    const auto x = torch::rand({400, 3}, Random{5}.generator("points"), torch::kFloat32) * 2 - 1;
    const auto label =
        (x.select(1, 0) > 0).to(torch::kInt64) + 2 * (x.select(1, 1) > 0).to(torch::kInt64);
    const FieldInput in{.at = LocatedPoints(x)};
    torch::optim::Adam optimizer(field->parameters(), torch::optim::AdamOptions(2e-2));
    for (int step = 0; step < 150; ++step) {
        optimizer.zero_grad();
        torch::nn::functional::cross_entropy(field->forward(in).value, label).backward();
        optimizer.step();
    }
    const auto share =
        (field->forward(in).value.argmax(1) == label).to(torch::kFloat32).mean().item<double>();
    REQUIRE(share > 0.95);
}
