#include <fmgs/eval/metrics.h>

#include <cmath>

#include "support/test.h"

using namespace fmgs;

namespace {
torch::Tensor picture(int seed) {
    auto generator = at::make_generator<at::CPUGeneratorImpl>(static_cast<uint64_t>(seed));
    return torch::rand({3, 20, 24}, generator);
}
}  // namespace

TEST_CASE("PSNR follows its formula, in the full picture and in the mask", "[metrics]") {
    const auto zero = torch::zeros({3, 4, 4});
    auto image = zero.clone();
    image.slice(2, 0, 1).fill_(0.5);  // a quarter of the pixels
    REQUIRE(psnr(image, zero) == Approx(-10 * std::log10(0.25 / 4)));
    auto mask = torch::zeros({1, 4, 4});
    mask.slice(2, 0, 2).fill_(1);
    REQUIRE(psnr(image, zero, mask) == Approx(-10 * std::log10(0.125)));
    REQUIRE(psnr(zero - 3, zero) == 100);
    REQUIRE(std::isnan(psnr(image, zero, torch::zeros({1, 4, 4}))));
    REQUIRE(fmgs::test::throws_error(
        [&] {
            psnr(image, torch::zeros({3, 4, 5}));
        },
        "expected [3,4,5], got [3,4,4]"));
}

TEST_CASE("SSIM is 1 for equal pictures and equals a direct sum over windows", "[metrics]") {
    const auto a = picture(1).to(torch::kDouble), b = picture(2).to(torch::kDouble);
    REQUIRE(mean_ssim(a, a) == Approx(1));
    double total = 0, g[11], sum = 0;
    for (int i = 0; i < 11; ++i) sum += g[i] = std::exp(-(i - 5) * (i - 5) / 4.5);
    auto x = a.accessor<double, 3>(), y = b.accessor<double, 3>();
    for (int c = 0; c < 3; ++c) {
        for (int i = 0; i < 20; ++i) {
            for (int j = 0; j < 24; ++j) {
                double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
                for (int u = -5; u <= 5; ++u) {
                    for (int v = -5; v <= 5; ++v) {
                        if (i + u < 0 || i + u >= 20 || j + v < 0 || j + v >= 24) continue;
                        const double w = g[u + 5] * g[v + 5] / (sum * sum), p = x[c][i + u][j + v],
                                     q = y[c][i + u][j + v];
                        mx += w * p, my += w * q, xx += w * p * p, yy += w * q * q, xy += w * p * q;
                    }
                }
                total += (2 * mx * my + 1e-4) * (2 * (xy - mx * my) + 9e-4) /
                         ((mx * mx + my * my + 1e-4) * (xx - mx * mx + yy - my * my + 9e-4));
            }
        }
    }
    REQUIRE(std::abs(mean_ssim(a, b) - total / (3 * 20 * 24)) < 1e-12);
}

TEST_CASE("mask IoU, depth and normal errors have their units", "[metrics]") {
    auto a = torch::zeros({1, 2, 4}), b = torch::zeros({1, 2, 4});
    a.fill_(0.5);  // a half is outside
    a.slice(2, 0, 2).fill_(0.51);
    b.slice(2, 1, 3).fill_(1);
    REQUIRE(mask_iou(a, b) == Approx(1.0 / 3));
    REQUIRE(mask_iou(a * 0, b * 0) == 1);
    const auto where = a > 0.5;
    REQUIRE(depth_mae(torch::full({1, 2, 4}, 2.03), torch::full({1, 2, 4}, 2.0), where) ==
            Approx(0.03).epsilon(1e-5));
    REQUIRE(std::isnan(depth_mae(a, b, torch::zeros({1, 2, 4}, torch::kBool))));
    for (const double degrees : {0.0, 1e-3, 30.0, 90.0, 180.0}) {
        auto n = torch::zeros({3, 2, 4}, torch::kDouble),
             m = torch::zeros({3, 2, 4}, torch::kDouble);
        n[2].fill_(-2);
        m[0].fill_(std::sin(degrees * M_PI / 180));
        m[2].fill_(-std::cos(degrees * M_PI / 180));
        REQUIRE(normal_errors(n, m, where).mean == Approx(degrees).margin(1e-9));
    }
}

TEST_CASE("rendered labels never are background inside and always outside", "[metrics]") {
    const auto logits = torch::tensor({9.0F, 9.0F, 1.0F, 0.0F, 0.0F, 2.0F}).view({3, 1, 2});
    const auto alpha = torch::tensor({0.51F, 0.5F}).view({1, 1, 2});
    REQUIRE(torch::equal(rendered_labels(logits, alpha), torch::tensor({{1, 0}}, torch::kInt64)));
}

TEST_CASE("mIoU leaves out background and rare classes and pools all pictures", "[metrics]") {
    Confusion confusion(4);
    const auto truth = torch::tensor({{0, 1, 1, 2}}, torch::kInt64),
               found = torch::tensor({{1, 1, 2, 2}}, torch::kInt64);
    confusion.add(found, truth);
    confusion.add(torch::tensor({{1, 3}}, torch::kInt64),
                  torch::tensor({{1, 255}}, torch::kInt64));  // 255 is ignored
    REQUIRE(confusion.mean_iou() == Approx((2.0 / 4 + 1.0 / 2) / 2));
    REQUIRE(confusion.mean_iou(0.5) == Approx(0.5));
    REQUIRE(std::isnan(Confusion(4).mean_iou()));
}

TEST_CASE("a frame gets every metric its truth allows, and tables agree", "[metrics]") {
    Frame frame;
    frame.maps.set("color", picture(1));
    frame.maps.set("depth", torch::zeros({1, 20, 24}));  // a prior is no truth
    frame.maps.set("mask", torch::ones({1, 20, 24}));
    Maps rendered = {{"color", picture(1)},
                     {"alpha", torch::ones({1, 20, 24})},
                     {"depth", torch::ones({1, 20, 24})}};
    auto values = evaluate_frame(rendered, frame);
    std::vector<std::string> names;
    for (const auto& [name, value] : values) names.push_back(name);
    REQUIRE(names == std::vector<std::string>{"psnr", "ssim", "psnr_person", "mae", "mask_iou",
                                              "mask_boundary_f"});
    frame.truth.set("depth", torch::full({1, 20, 24}, 1.5));
    values = evaluate_frame(rendered, frame);
    REQUIRE(values.size() == 8);
    REQUIRE(value_of(values, "depth_mae") == Approx(0.5));
    REQUIRE(value_of(values, "depth_mae_aligned") == Approx(0).margin(1e-12));
    SplitMetrics split;
    split.frames = {{"a", {{"psnr", 30}, {"x", NAN}}}, {"b", {{"psnr", 32}, {"x", 2}}}};
    split.whole = {{"miou", 0.5}, {"none", NAN}};
    REQUIRE(split.csv() == "frame,psnr,x\na,30,\nb,32,2\n");
    SplitMetrics odd;  // names of pictures are the user's
    odd.frames = {{"a,b", {{"psnr", 1}}}, {"say \"x\"", {{"psnr", 2}}}, {"a\nb", {{"psnr", 3}}}};
    REQUIRE(odd.csv() == "frame,psnr\n\"a,b\",1\n\"say \"\"x\"\"\",2\n\"a\nb\",3\n");
    const TableRows rows = {{"test", split.mean()}};
    REQUIRE(markdown_table(rows, all_columns(rows)) ==
            "| | psnr | x | miou | none |\n|---|---|---|---|---|\n| test | 31 | 2 | 0.5 | - |\n");
    REQUIRE(metrics_json({{"test", split}}) ==
            "{\n  \"test\": {\n    \"psnr\": 31.0,\n    \"x\": 2.0,\n    \"miou\": 0.5,\n    "
            "\"none\": null\n  }\n}\n");
}

TEST_CASE("geometry is measured where the person is and something is drawn", "[metrics]") {
    Frame frame;
    auto mask = torch::zeros({1, 4, 6}), alpha = torch::zeros({1, 4, 6}),
         depth = torch::full({1, 4, 6}, 7.0F);
    mask.slice(2, 0, 4).fill_(1);   // columns 0 to 3
    alpha.slice(2, 2, 6).fill_(1);  // columns 2 to 5
    depth.slice(2, 2, 4).fill_(2.25F);
    auto normal = torch::zeros({3, 4, 6});
    normal[1].fill_(1);  // a right angle off where it does not count
    normal.slice(2, 2, 4)[1].fill_(0);
    normal.slice(2, 2, 4)[2].fill_(-1);
    auto true_normal = torch::zeros({3, 4, 6});
    true_normal[2].fill_(-1);
    frame.truth = {
        {"mask", mask}, {"depth", torch::full({1, 4, 6}, 2.0F)}, {"normal", true_normal}};
    const auto values =
        evaluate_frame({{"alpha", alpha}, {"depth", depth}, {"normal", normal}}, frame);
    REQUIRE(value_of(values, "mask_iou") == Approx(2.0 / 6));
    REQUIRE(value_of(values, "depth_mae") == Approx(0.25));
    REQUIRE(value_of(values, "normal_deg") == Approx(0).margin(1e-6));
    REQUIRE(value_of(values, "normal_30") == 1);
    REQUIRE(std::isnan(value_of(values, "depth_normal_deg")));  // there is no camera
}

TEST_CASE("angles of normals have a median and shares below three bounds", "[metrics]") {
    auto n = torch::zeros({3, 1, 4}, torch::kDouble), m = torch::zeros({3, 1, 4}, torch::kDouble);
    m[2].fill_(-1);
    const double degrees[] = {11, 12, 23, 80};
    for (int64_t k = 0; k < 4; ++k) {
        n[0][0][k] = std::sin(degrees[k] * M_PI / 180);
        n[2][0][k] = -std::cos(degrees[k] * M_PI / 180);
    }
    auto where = torch::ones({1, 1, 4}, torch::kBool);
    auto errors = normal_errors(n, m, where);
    REQUIRE(errors.mean == Approx(126.0 / 4));
    REQUIRE(errors.below_11 == Approx(1.0 / 4));
    REQUIRE(errors.below_22 == Approx(2.0 / 4));
    REQUIRE(errors.below_30 == Approx(3.0 / 4));
    where[0][0][0] = false;
    errors = normal_errors(n, m, where);
    REQUIRE(errors.median == Approx(23));
    REQUIRE(errors.below_11 == 0);
    REQUIRE(std::isnan(normal_errors(n, m, where & ~where).median));
}

TEST_CASE("depth after scale and shift keeps what a line cannot explain", "[metrics]") {
    const auto truth = torch::tensor({2.0, 2.1, 2.2, 2.3, 9.0}, torch::kDouble).view({1, 1, 5});
    auto where = torch::ones({1, 1, 5}, torch::kBool);
    where[0][0][4] = false;
    REQUIRE(aligned_depth_mae((truth - 1.5) / -3, truth, where) == Approx(0).margin(1e-12));
    // Residuals of least squares: ±1, ∓1 about the line are orthogonal to it and stay.
    const auto wave = torch::tensor({0.01, -0.01, -0.01, 0.01, 0.0}, torch::kDouble);
    REQUIRE(aligned_depth_mae(truth, truth + wave, where) == Approx(0.01));
    REQUIRE(aligned_depth_mae(torch::ones_like(truth), truth, where) == Approx(0.1));
    REQUIRE(std::isnan(aligned_depth_mae(truth, truth, where & ~where)));
}

TEST_CASE("outlines match within the tolerance alone", "[metrics]") {
    const auto square = [](int64_t left) {
        auto mask = torch::zeros({1, 60, 80});  // a diagonal of 100 pixels
        mask.slice(1, 20, 40).slice(2, left, left + 20).fill_(1);
        return mask;
    };
    REQUIRE(mask_boundary_f(square(30), square(31), 0.01) == 1);
    REQUIRE(mask_boundary_f(square(30), square(30), 0) == 1);
    REQUIRE(mask_boundary_f(square(10), square(50), 0.01) == 0);
    REQUIRE(mask_boundary_f(square(30) * 0, square(30) * 0) == 1);
    REQUIRE(mask_boundary_f(square(30) * 0, square(30)) == 0);
    // Four pixels to the side: upper and lower sides overlap, the others do not.
    const double moved = mask_boundary_f(square(30), square(34), 0.01);
    REQUIRE(moved > 0.4);
    REQUIRE(moved < 0.6);
}

TEST_CASE("normals of the rendered depth are measured where their neighbours are drawn",
          "[metrics]") {
    Frame frame;
    frame.camera = {torch::eye(3), torch::zeros(3), torch::tensor({20.0F, 20.0F, 8.0F, 6.0F}), 16,
                    12};
    auto truth = torch::zeros({3, 12, 16});
    truth[2].fill_(-1);
    frame.truth = {{"mask", torch::ones({1, 12, 16})}, {"normal", truth}};
    // The plane z = 2 + x: 45 degrees about y from facing the viewer.
    const auto column = (torch::arange(16, torch::kFloat) + 0.5F - 8) / 20;
    const auto depth = (2 / (1 - column)).expand({1, 12, 16}).clone();
    auto alpha = torch::ones({1, 12, 16});
    const auto values = [&] {
        return value_of(evaluate_frame({{"alpha", alpha}, {"depth", depth}}, frame),
                        "depth_normal_deg");
    };
    REQUIRE(values() == Approx(45).epsilon(0.01));
    alpha.slice(2, 8).fill_(0);
    depth.slice(2, 8).fill_(0);  // what is not drawn has no say
    REQUIRE(values() == Approx(45).epsilon(0.01));
}
