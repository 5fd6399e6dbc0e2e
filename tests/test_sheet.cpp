#include <fmgs/eval/colors.h>
#include <fmgs/eval/sheet.h>

#include "support/test.h"

using namespace fmgs;

namespace {

Camera camera() {
    return {torch::eye(3), torch::zeros(3), torch::tensor({20.0F, 22.0F, 8.0F, 6.5F}), 16, 12};
}

torch::Tensor all() { return torch::ones({1, 12, 16}, torch::kBool); }

}  // namespace

TEST_CASE("colours stay in [0,1], are black outside, and differ from near to far", "[sheet]") {
    auto where = all();
    where.slice(2, 0, 4).fill_(false);
    auto depth = torch::linspace(1, 2, 16).expand({1, 12, 16}).clone();
    depth[0][0][0] = NAN;
    for (const auto& image :
         {colorize_depth(depth, where), colorize_normal(torch::randn({3, 12, 16}), where),
          colorize_feature(torch::randn({32, 12, 16}), where)}) {
        REQUIRE(image.sizes() == torch::IntArrayRef({3, 12, 16}));
        REQUIRE((image >= 0).all().item<bool>());
        REQUIRE((image <= 1).all().item<bool>());
        REQUIRE(!image.slice(2, 0, 4).any().item<bool>());
        REQUIRE(image.slice(2, 4).any().item<bool>());
    }
    const auto image = colorize_depth(depth, where);
    REQUIRE(image[0][3][4].item<float>() > image[2][3][4].item<float>());    // near: red
    REQUIRE(image[2][3][15].item<float>() > image[0][3][15].item<float>());  // far: blue
    REQUIRE(!colorize_depth(depth, ~all()).any().item<bool>());
    // What has no depth is black, and the range is that of the rest.
    auto holed = depth.clone();
    holed[0][3][5] = 0;
    const auto around = colorize_depth(holed, where);
    REQUIRE(!around.select(1, 3).select(1, 5).any().item<bool>());
    auto there = where.clone();
    there[0][3][5] = false;
    REQUIRE(torch::equal(around, colorize_depth(depth, there)));
    REQUIRE_CLOSE(colorize_normal(torch::tensor({0.0F, 0.0F, -1.0F}).view({3, 1, 1}),
                                  torch::ones({1, 1, 1}, torch::kBool)),
                  torch::tensor({0.5F, 0.5F, 1.0F}).view({3, 1, 1}), 0);
}

TEST_CASE("labels have the palette's colours, and those beyond it their own", "[sheet]") {
    const auto image =
        colorize_labels(torch::tensor({{0, 1, 21, 27, 28, 29}}, torch::kInt64)) * 255;
    REQUIRE_CLOSE(image.select(2, 0).view({3}), torch::zeros({3}), 0);
    REQUIRE_CLOSE(image.select(2, 1).view({3}), torch::tensor({255.0F, 218.0F, 0.0F}),
                  1e-6);  // measured 0
    REQUIRE_CLOSE(image.select(2, 2).view({3}), torch::tensor({14.0F, 204.0F, 0.0F}), 1e-6);
    REQUIRE_CLOSE(image.select(2, 3).view({3}), torch::tensor({82.0F, 21.0F, 114.0F}), 1e-6);
    REQUIRE(!torch::equal(image.select(2, 4), image.select(2, 5)));
}

TEST_CASE("a row is cut to the subject", "[sheet]") {
    Frame frame;
    frame.camera = camera();
    frame.camera.width = 60;
    frame.camera.height = 50;
    frame.maps.set("mask", torch::zeros({1, 50, 60}));
    frame.maps.at("mask")[0][20][30] = 1;
    auto alpha = torch::zeros({1, 50, 60});
    alpha[0][24][33] = 0.9;
    auto color = torch::zeros({3, 50, 60});
    color[0][24][33] = 1;
    const auto row = sheet_row(frame, {{"color", color}, {"alpha", alpha}});
    REQUIRE(row.sizes() == torch::IntArrayRef({3, 5 + 16, 2 * (4 + 16) + 2}));
    REQUIRE(row[0][8 + 4][8 + 3].item<float>() == 1);
}

TEST_CASE("a row holds ground truth and every rendered map once", "[sheet]") {
    Frame frame;
    frame.camera = camera();
    frame.maps.set("color", torch::ones({3, 12, 16}));
    frame.maps.set("mask", torch::zeros({1, 12, 16}));
    Maps rendered = {{"color", torch::rand({3, 12, 16})}, {"alpha", torch::ones({1, 12, 16})}};
    REQUIRE(sheet_row(frame, rendered).sizes() == torch::IntArrayRef({3, 12, 3 * 16 + 2 * 2}));
    rendered.set("depth", torch::ones({1, 12, 16}));
    rendered.set("normal", torch::ones({3, 12, 16}));
    rendered.set("semantic", torch::rand({28, 12, 16}));
    rendered.set("dino", torch::rand({32, 12, 16}));
    const auto row = sheet_row(frame, rendered);
    REQUIRE(row.sizes() == torch::IntArrayRef({3, 12, 8 * 16 + 7 * 2}));
    REQUIRE_CLOSE(row.slice(2, 0, 16), frame.maps.at("color"), 0);
    REQUIRE_CLOSE(row.slice(2, 18, 34), rendered.at("color"), 0);
    REQUIRE(below({row, row.slice(2, 0, 30)}).sizes() == torch::IntArrayRef({3, 26, 142}));
    REQUIRE(fmgs::test::throws_error([] { beside({}); }, "at least one picture"));
}

TEST_CASE("errors are coloured from nothing to the most, and the legend has the same ends",
          "[sheet]") {
    Frame frame;
    frame.camera = camera();
    frame.maps = {{"color", torch::zeros({3, 12, 16})}, {"mask", torch::ones({1, 12, 16})}};
    auto color = torch::zeros({3, 12, 16});
    color[1].slice(1, 8).fill_(0.6F);  // 0.2 on average over the channels
    const auto row = error_row(frame, {{"color", color}}, 0.2);
    REQUIRE(row.sizes() == torch::IntArrayRef({3, 12, 3 * 16 + 2 * 2}));
    const auto legend = error_legend(0.2, 60);
    REQUIRE_CLOSE(row.select(2, 36).select(1, 0), legend.select(2, 0).select(1, 59), 1e-6);
    REQUIRE_CLOSE(row.select(2, 51).select(1, 0), legend.select(2, 0).select(1, 0), 1e-6);
    REQUIRE((legend.slice(2, 20).sum() > 0).item<bool>());  // numbers
    REQUIRE(error_legend(0.2, 4).sizes() == torch::IntArrayRef({3, 4, legend.size(2)}));
}
