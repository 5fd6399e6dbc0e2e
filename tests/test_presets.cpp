// Presets and LPIPS against what the packages behind published tables say
// (tests/data/make_metric_reference.py), and LPIPS as a loss.
#include <fmgs/core/io/safetensors.h>
#include <fmgs/eval/presets.h>
#include <fmgs/eval/protocols.h>
#include <fmgs/losses/paper_objective.h>
#include <torch/autograd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "support/metric_inputs.h"
#include "support/stage.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

nlohmann::json reference() {
    std::ifstream in(fs::path(FMGS_SOURCE_DIR) / "tests/data/metrics/reference.json");
    return nlohmann::json::parse(in);
}

const LpipsNetworks& networks() {
    static const LpipsNetworks both{reference_network(LpipsNetwork::vgg),
                                    reference_network(LpipsNetwork::alex)};
    return both;
}

}  // namespace

TEST_CASE("every preset gives the numbers of its evaluator's packages", "[metrics]") {
    const auto stored = reference().at("presets");
    REQUIRE(stored.size() + 1 == presets().size());
    for (auto how : presets()) {
        if (std::string_view(how.name) == "relit") continue;  // our own: test_relight
        if (how.person_crop > 0) how.person_crop = 64;        // as the reference: 512 takes seconds
        const auto values = measure(how, reference_pictures(), networks());
        const auto& wanted = stored.at(how.name);
        REQUIRE(values.size() == wanted.size());
        for (const auto& [metric, value] : values) {
            INFO(how.name << " " << metric);
            const double expected = wanted.at(metric).get<double>();
            // Measured: PSNR 3e-7 dB, SSIM 6e-7, LPIPS 3e-6 of its value.
            const double tolerance = metric.starts_with("lpips") ? 1e-4 * expected : 5e-6;
            REQUIRE(std::abs(value - expected) <= tolerance);
        }
    }
}

TEST_CASE("SSIM within the picture and the mean absolute error have a second witness",
          "[metrics]") {
    const auto stored = reference().at("others");
    const auto in = reference_pictures();
    SsimOptions inside;
    inside.border = SsimOptions::Border::inside;
    REQUIRE(std::abs(mean_ssim(in.color, in.true_color, inside) -
                     stored.at("piq_ssim_inside").get<double>()) < 5e-6);
    REQUIRE(std::abs(mean_absolute_error(in.color, in.true_color) -
                     stored.at("mae").get<double>()) < 1e-6);
    REQUIRE(throws_error(
        [&] {
            mean_ssim(torch::zeros({3, 10, 40}), torch::zeros({3, 10, 40}), inside);
        },
        "at least 11x11 pixels, got 40x10"));
}

TEST_CASE("what a preset has no network for is left out", "[metrics]") {
    const auto in = reference_pictures();
    const auto values = measure(preset("clean"), in);
    REQUIRE(values.size() == 2);
    const auto half = measure(preset("clean"), in, {nullptr, networks().alex});
    REQUIRE(half.size() == 3);
    REQUIRE(half.back().first == "lpips_alex");
    REQUIRE(throws_error([] { preset("gauhumen"); },
                         "there is no preset 'gauhumen'; the nearest is 'gauhuman'"));
    REQUIRE(describe(preset("instantavatar-ps")) ==
            "instantavatar-ps: PSNR of all channels; SSIM with a Gaussian 11 × 11 window, windows "
            "inside the picture, range 1; LPIPS with AlexNet on [0,1]; white background; values "
            "rounded to 8 bits");
}

TEST_CASE("the projected box is where the box around the points is seen", "[metrics]") {
    Camera camera{torch::eye(3), torch::zeros(3), torch::tensor({100.0F, 100.0F, 50.0F, 40.0F}),
                  100, 80};
    // 0.2 to each side with the margin, from 2 to 4 metres away: the near face is seen widest.
    const auto points = torch::tensor({-0.15F, -0.1F, 2.05F, 0.15F, 0.1F, 3.95F}).view({2, 3});
    const auto box = projected_box(camera, points);
    // ±0.15 m at 2 m are 7.5 pixels: the outermost rows are on the border itself.
    auto row = torch::zeros({100}, torch::kBool);
    row.slice(0, 40, 60).fill_(true);
    REQUIRE(torch::equal(box.slice(0, 33, 47), row.expand({14, 100})));
    REQUIRE(!box.slice(0, 0, 32).any().item<bool>());
    REQUIRE(!box.slice(0, 48).any().item<bool>());
    camera.translation = torch::tensor({0.0F, 0.0F, -3.0F});  // inside it
    REQUIRE(projected_box(camera, points).all().item<bool>());
}

TEST_CASE("LPIPS of a picture and itself is 0, and its gradient is the slope", "[losses]") {
    const auto& network = networks().alex;
    const auto in = reference_pictures();
    REQUIRE(network->forward(in.color, in.color).item<double>() == 0);
    const auto exact = std::dynamic_pointer_cast<LpipsImpl>(network->clone());
    exact->to(torch::kFloat64);
    const auto direction = mixed(9, {3, 96, 80}) - 0.5;
    // Nothing flat: where two features are equal, their maximum has no slope.
    const auto start = 0.5 * in.color.to(torch::kFloat64) + 0.5 * mixed(8, {3, 96, 80});
    auto x = start.clone().requires_grad_(true);
    const auto slope =
        (torch::autograd::grad({exact->forward(x, in.true_color)}, {x})[0] * direction)
            .sum()
            .item<double>();
    constexpr double kStep = 1e-6;
    const auto at = [&](double t) {
        return exact->forward(start + t * direction, in.true_color).item<double>();
    };
    REQUIRE(std::abs(slope) > 1e-3);
    REQUIRE(slope == Approx((at(kStep) - at(-kStep)) / (2 * kStep)).epsilon(1e-4));
    // Where both are black no feature has a length of its own.
    auto black = torch::zeros({3, 40, 40}, torch::requires_grad());
    network->forward(black, torch::zeros({3, 40, 40})).backward();
    REQUIRE(black.grad().isfinite().all().item<bool>());
    REQUIRE(throws_error([&] { network->forward(black.slice(1, 0, 30), black.slice(1, 0, 30)); },
                         "LPIPS: expected pictures of at least 31x31 pixels, got 40x30"));
}

TEST_CASE("a file of LPIPS is read back, and anything else is refused by its name", "[losses]") {
    const TemporaryFolder folder;
    const auto file = folder.path / "alex.safetensors";
    const auto weights = reference_weights(LpipsNetwork::alex);
    write_lpips(file, LpipsNetwork::alex, weights);
    const auto in = reference_pictures();
    const auto read = read_lpips(file, "eval.lpips_alex", LpipsNetwork::alex);
    REQUIRE(torch::equal(read->forward(in.color, in.true_color),
                         networks().alex->forward(in.color, in.true_color)));
    const auto refused = [&](const std::string& words) {
        return throws_error([&] { read_lpips(file, "eval.lpips_vgg", LpipsNetwork::vgg); }, words);
    };
    REQUIRE(refused("eval.lpips_vgg: " + file.string() + ": expected the network vgg, got alex"));
    write_lpips(file, LpipsNetwork::vgg, weights);
    REQUIRE(refused("conv.5.weight: missing"));
    write_safetensors(file, weights, {{"format", "fmgs-lpips 1"}, {"network", "squeeze"}});
    REQUIRE(refused("expected the network vgg or alex, got 'squeeze'"));
    write_safetensors(file, weights);
    REQUIRE(refused("format"));
    std::ofstream(file) << "PK a file of torch";
    REQUIRE(refused("tools/export_lpips.py makes such files"));
    fs::remove(file);
    REQUIRE(refused(file.string()));
    auto negative = weights;
    negative.set("linear.2", -weights.at("linear.2"));
    REQUIRE(throws_error([&] { Lpips(LpipsNetwork::alex, negative); },
                         "linear.2: expected weights of at least 0"));
}

TEST_CASE("LPIPS as a loss sees the box of the mask, and reaches what its row opens", "[losses]") {
    const TemporaryFolder folder;
    const auto file = folder.path / "alex.safetensors";
    write_lpips(file, LpipsNetwork::alex, reference_weights(LpipsNetwork::alex));
    auto options = only({"lpips"}, "measured");
    auto& [avatar, frame, random] = stage();
    REQUIRE(throws_error([&] { paper_objective(stage().avatar->parts(), options); },
                         "losses.lpips.weights: not set"));
    options.losses.lpips.weights = file.string();
    auto objective = paper_objective(avatar->parts(), options);
    REQUIRE(objective->buffers().empty());  // a checkpoint keeps none of it
    const auto surfels = avatar->forward(frame.camera, frame.pose);
    const auto report = objective->forward(surfels, frame, random, 0);
    const auto found = torch::autograd::grad(
        {report.total}, {surfels.position, surfels.opacity, surfels.features.at("color")});
    for (const auto& gradient : found) REQUIRE(gradient.abs().max().item<double>() > 1e-9);

    // 40 pixels to the side of a mask of 33 × 35, and one that has to grow.
    LpipsLoss loss({file.string()});
    const auto value = [&](const torch::Tensor& color, int64_t rows, int64_t columns) {
        Frame seen;
        seen.maps.set("color", torch::full({3, 40, 40}, 0.5F));
        seen.maps.set("mask", torch::zeros({1, 40, 40}));
        seen.maps.at("mask").slice(1, 2, 2 + rows).slice(2, 3, 3 + columns).fill_(1);
        const Maps rendered = {{"color", color}, {"alpha", torch::ones({1, 40, 40})}};
        return loss.forward({surfels, {}, rendered, seen, random}).item<double>();
    };
    auto outside = torch::full({3, 40, 40}, 0.5F), inside = outside.clone();
    outside.slice(1, 35).fill_(0.9F);
    outside.slice(2, 38).fill_(0.1F);
    inside.slice(1, 30, 35).fill_(0.9F);
    REQUIRE(value(outside, 33, 35) == 0);
    REQUIRE(value(inside, 33, 35) > 1e-4);
    REQUIRE(value(inside, 4, 4) > 1e-4);  // grown to rows 0 to 30 and columns 0 to 30
}

TEST_CASE("a protocol's table has a row for every preset, and says what it scales", "[metrics]") {
    const auto& table = protocol("zju-mocap");
    const TableRows rows = {{"test_view",
                             {{"psnr", 30.5},
                              {"lpips", 0.03},
                              {"psnr@3dgs-avatar-zju", 31.25},
                              {"lpips@3dgs-avatar-zju", 0.02859}}}};
    const auto lines = protocol_rows(table, rows, {});
    REQUIRE(markdown_table(lines, table.columns) ==
            "| | PSNR ↑ | SSIM ↑ | LPIPS × 1000 ↓ |\n|---|---|---|---|\n"
            "| test_view, 3dgs-avatar-zju | 31.25 | - | 28.59 |\n"
            "| test_view, gauhuman | - | - | - |\n| test_view, clean | 30.50 | - | 30.00 |\n");
    REQUIRE(latex_table(lines, table.columns)
                .find("test\\_view, 3dgs-avatar-zju & 31.25 & - & 28.59 \\\\\n") !=
            std::string::npos);
    REQUIRE(latex_table(lines, table.columns)
                .starts_with("\\begin{tabular}{lrrr}\n\\hline\n & PSNR $\\uparrow$ & "));
    REQUIRE(throws_error([] { protocol("zju"); }, "there is no protocol 'zju'"));
}
