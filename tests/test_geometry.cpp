#include <fmgs/core/random.h>
#include <fmgs/fields/geometry.h>

#include "support/gradcheck.h"
#include "support/module.h"
#include "support/test.h"

using namespace fmgs;

namespace {

GeometryFieldOptions small() {
    return {.volume = {.levels = 3,
                       .base_resolution = 3,
                       .finest_resolution = 9,
                       .log2_hashmap_size = 6},
            .hidden = 8,
            .layers = 2,
            .code = 4};
}
torch::Tensor box() { return torch::tensor({{-1.0f, -1.0f, -1.0f}, {1.0f, 1.0f, 1.0f}}); }
torch::Tensor draw(std::initializer_list<int64_t> shape, uint64_t seed = 3) {
    return torch::rand(shape, Random{seed}.generator("draw"), torch::kFloat32) * 2 - 1;
}
FieldInput input(std::initializer_list<int64_t> points, const torch::Tensor& code = draw({5})) {
    return {.at = LocatedPoints(draw(points)), .pose_code = code};
}
void perturb(torch::nn::Module& module, double size = 0.5) {
    torch::NoGradGuard guard;
    uint64_t seed = 0;
    for (auto& p : module.parameters())
        p.add_(size * torch::randn(p.sizes(), Random{++seed}.generator("perturb"),
                                   p.options().requires_grad(false)));
}

}  // namespace

TEST_CASE("a fresh geometry field leaves the template exactly as it is", "[geometry_field]") {
    for (const bool free : {false, true}) {
        auto options = small();
        options.free_offset = free;
        GeometryField field(options, box(), 5);
        const auto out = field->forward(input({10, 3}));
        REQUIRE(out.offset.sizes() == torch::IntArrayRef({10, free ? 3 : 1}));
        REQUIRE(out.scale.sizes() == torch::IntArrayRef({10, 2}));
        REQUIRE(out.rotation.sizes() == torch::IntArrayRef({10, 3}));
        REQUIRE(out.code.sizes() == torch::IntArrayRef({10, 4}));
        for (const auto& residual : {out.offset, out.scale, out.rotation})
            REQUIRE(residual.abs().max().item<float>() == 0);
        REQUIRE(out.code.abs().max().item<float>() > 0);
    }
}

TEST_CASE("residuals stay within their bounds however far the network goes", "[geometry_field]") {
    GeometryField field(small(), box(), 5);
    perturb(*field, 20);
    const auto out = field->forward(input({50, 3}));
    REQUIRE(out.offset.abs().max().item<float>() <= 0.05f);
    REQUIRE(out.rotation.abs().max().item<float>() <= 0.8f);
    REQUIRE(out.scale.abs().max().item<float>() <= 1.0f);
    REQUIRE(out.offset.abs().max().item<float>() > 0.04f);
}

TEST_CASE("small residuals do not feel the bounds of scale and rotation", "[geometry_field]") {
    auto tight = small();
    tight.offset_bound = 0.01, tight.rotation_bound = 0.1, tight.scale_bound = 0.2;
    GeometryField wide(small(), box(), 5), narrow(tight, box(), 5);
    for (auto* field : {&wide, &narrow}) {
        (*field)->to(torch::kDouble);
        perturb(**field);
        const torch::NoGradGuard guard;
        for (const char* name : {"mlp.weight2", "mlp.bias2"})
            (*field)->named_parameters()[name].mul_(1e-7);
    }
    const auto in = input({10, 3}, draw({5}).to(torch::kDouble));
    const auto a = wide->forward(in), b = narrow->forward(in);
    REQUIRE(a.rotation.abs().max().item<double>() > 1e-8);
    REQUIRE_CLOSE(1e7 * a.rotation, 1e7 * b.rotation, 1e-9);
    REQUIRE_CLOSE(1e7 * a.scale, 1e7 * b.scale, 1e-9);
    REQUIRE_CLOSE(1e7 * a.offset, 5e7 * b.offset, 1e-9);  // δd is a share of its bound
}

TEST_CASE("before its start a geometry field gives nothing, and from there on what it has",
          "[geometry_field]") {
    auto options = small();
    options.start = 0.5;
    GeometryField field(options, box(), 5);
    perturb(*field);
    auto in = input({10, 3});
    in.progress = 0.49;
    const auto before = field->forward(in);
    for (const auto& residual : {before.offset, before.scale, before.rotation, before.code})
        REQUIRE(residual.abs().max().item<float>() == 0);
    in.progress = 0.5;
    const auto after = field->forward(in);
    for (const auto& residual : {after.offset, after.scale, after.rotation, after.code})
        REQUIRE(residual.abs().max().item<float>() > 0);
}

TEST_CASE("gradients of the geometry field are right in double", "[geometry_field]") {
    GeometryField field(small(), box(), 5);
    field->to(torch::kDouble);
    perturb(*field);
    const auto value = [&](const std::vector<torch::Tensor>& in) {
        const auto out = field->forward(input({6, 3}, in[0]));
        return torch::cat({20 * out.offset, out.scale, out.rotation, out.code}, 1).sin().sum();
    };
    const auto code = draw({5}).to(torch::kDouble);
    REQUIRE(test::gradient_error(value, {code}) < 1e-7);
    REQUIRE(test::parameter_gradient_error(*field, [&] { return value({code}); }) < 1e-7);
}

TEST_CASE("a geometry field with copied parameters gives the same bits", "[geometry_field]") {
    GeometryField a(small(), box(), 5, 1), b(small(), box(), 5, 2);
    perturb(*a);
    const auto in = input({6, 3});
    REQUIRE_FALSE(torch::equal(a->forward(in).rotation, b->forward(in).rotation));
    REQUIRE(test::copy_state(*a, *b));
    REQUIRE(torch::equal(a->forward(in).rotation, b->forward(in).rotation));
    REQUIRE(torch::equal(a->forward(in).code, b->forward(in).code));
}

TEST_CASE("a geometry field refuses a pose code of another width and senseless bounds",
          "[geometry_field]") {
    GeometryField field(small(), box(), 5);
    REQUIRE(test::throws_error(
        [&] {
            field->forward(input({6, 3}, draw({4})));
        },
        "input of the Mlp"));
    auto options = small();
    options.offset_bound = 0;
    REQUIRE(test::throws_error([&] { GeometryField(options, box(), 5); }, "offset_bound"));
}
