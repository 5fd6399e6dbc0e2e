#include <fmgs/data/prior_network.h>

#include <fmgs/core/io/files.h>
#include <fmgs/core/io/npz.h>

#include "support/stand_in_network.h"
#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;
using torch::Tensor;

namespace {

/// Levels of 0 to 255 as they are, at this size.
PriorNetworkOptions unscaled(int64_t height, int64_t width) {
    PriorNetworkOptions options;
    options.height = height;
    options.width = width;
    options.mean = {0, 0, 0};
    options.deviation = {1, 1, 1};
    return options;
}

/// Levels [H,W] → a picture of this red, of green 9 and blue 200.
NamedPicture picture(const Tensor& red) {
    const auto levels = red.to(torch::kFloat);
    return {
        "a.png",
        torch::stack({levels, torch::full_like(levels, 9), torch::full_like(levels, 200)}) / 255};
}

Tensor row(std::vector<float> values) {
    return torch::tensor(values).reshape({1, static_cast<int64_t>(values.size())});
}

struct Networks {
    TemporaryFolder folder;

    Tensor map(const std::string& body, PriorTask task, const PriorNetworkOptions& options,
               const NamedPicture& of) const {
        PriorNetwork network(save_network(folder.path / "n.pt2", body), task, options);
        return network.run({of}).at(0);
    }
};

}  // namespace

TEST_CASE("Sapiens' normalisation: the colour on 0 to 255, less the mean, over the deviation",
          "[prior_network]") {
    const Networks networks;
    PriorNetworkOptions options;
    REQUIRE((options.width == 768 && options.height == 1024));
    options.height = 1;
    options.width = 3;
    const auto of = picture(row({0, 100, 255}));
    for (const auto& [channel, expected] : std::vector<std::pair<std::string, Tensor>>{
             {"0:1", (row({0, 100, 255}) - 123.5) / 58.5},
             {"1:2", (row({9, 9, 9}) - 116.5) / 57.0},
             {"2:3", (row({200, 200, 200}) - 103.5) / 57.5}}) {
        const auto map =
            networks.map("return x[:, " + channel + "]", PriorTask::depth, options, of);
        REQUIRE_CLOSE(map, expected, 1e-5);
    }
}

TEST_CASE("resizing is bilinear between pixel centres without antialiasing, to whole levels",
          "[prior_network]") {
    const Networks networks;
    // The centre of output pixel j is at 4 j + 1.5: half of pixels 1 and 2 of each four. What lies
    // in pixels 0 and 3 is not seen.
    const auto of = picture(row({255, 10, 30, 255, 255, 50, 101, 255}));
    const auto map = networks.map(kRed, PriorTask::depth, unscaled(1, 2), of);
    // On the way back output pixel j is at (j + 0.5) / 4 - 0.5. 75.5 became 76.
    const float a = 20, b = 76;
    const auto mix = [&](float t) { return a + (b - a) * t; };
    REQUIRE_CLOSE(map, row({a, a, mix(0.125), mix(0.375), mix(0.625), mix(0.875), b, b}), 1e-6);
}

TEST_CASE("a picture that keeps its aspect has black on both sides, which does not come back",
          "[prior_network]") {
    const Networks networks;
    auto options = unscaled(8, 8);
    options.keep_aspect = true;
    const auto of = picture(torch::full({8, 4}, 100));
    const auto column = "return x[:, 0:1] * 0 + torch.arange(8.0).reshape([1, 1, 1, 8])";
    REQUIRE_CLOSE(networks.map(column, PriorTask::depth, options, of),
                  row({2, 3, 4, 5}).expand({8, 4}), 1e-6);
    const auto mean = "return x[:, 0:1] * 0 + x[:, 0:1].mean()";
    REQUIRE_CLOSE(networks.map(mean, PriorTask::depth, options, of), torch::full({8, 4}, 50.0),
                  1e-6);
    // A coarser answer is brought to the input's size first.
    const auto coarse = "return torch.avg_pool2d(x[:, 0:1], [2, 2])";
    REQUIRE_CLOSE(networks.map(coarse, PriorTask::depth, options, of).narrow(1, 1, 2),
                  torch::full({8, 2}, 100.0), 1e-6);
    options.keep_aspect = false;
    REQUIRE_CLOSE(networks.map(mean, PriorTask::depth, options, of), torch::full({8, 4}, 100.0),
                  1e-6);
}

TEST_CASE("the label is the class of the largest value; Sapiens2's 29 become the 28",
          "[prior_network]") {
    const Networks networks;
    const auto levels = torch::arange(28).reshape({4, 7});
    const auto options = unscaled(4, 7);
    const auto map = networks.map(kLabels28, PriorTask::seg, options, picture(levels));
    REQUIRE(map.scalar_type() == torch::kLong);
    REQUIRE(torch::equal(map, levels));
    // 2 of 29 is the glasses, which belong to the face here; what follows moves down by one.
    REQUIRE(torch::equal(
        networks.map(kLabels29, PriorTask::seg, unscaled(1, 6), picture(row({0, 1, 2, 3, 4, 28}))),
        torch::tensor({0, 1, 2, 2, 3, 27}).reshape({1, 6})));
    auto own = unscaled(1, 2);
    own.label_set = "mine";
    REQUIRE(torch::equal(networks.map("return torch.cat([255 - x[:, 0:1], x[:, 0:1]], 1)",
                                      PriorTask::seg, own, picture(row({3, 250}))),
                         torch::tensor({0, 1}).reshape({1, 2})));
    // Values are interpolated, not labels: of 0 to 0.59 class 1 wins from 0.5 on.
    const auto half =
        "y = x[:, 0:1]\n    return torch.cat([0 * y + 0.5, y, y - 1] + [y - 9] * 25, 1)";
    auto two = unscaled(1, 2);
    two.deviation = {255, 255, 255};
    const auto wide = torch::tensor({0.f, 0.f, 0.f, 0.f, 150.f, 150.f, 150.f, 150.f});
    REQUIRE(torch::equal(networks.map(half, PriorTask::seg, two, picture(wide.reshape({1, 8}))),
                         torch::tensor({0, 0, 0, 0, 0, 1, 1, 1}).reshape({1, 8})));
}

TEST_CASE("normals come out as unit vectors in the network's own axes", "[prior_network]") {
    const Networks networks;
    const auto normal = torch::tensor({3.f, 0.f, 4.f}).reshape({3, 1, 1});
    const NamedPicture of{"a.png", (normal * 10 + 100).expand({3, 2, 2}) / 255};
    REQUIRE_CLOSE(networks.map(kColorAsNormal, PriorTask::normal, unscaled(2, 2), of),
                  (normal / 5).expand({3, 2, 2}), 1e-6);
    // n / (|n| + 1e-5): short ones stay short.
    REQUIRE_CLOSE(networks.map("return x * 0 + 1e-5", PriorTask::normal, unscaled(2, 2), of),
                  torch::full({3, 2, 2}, 1 / (std::sqrt(3.0) + 1)), 1e-5);
}

TEST_CASE("the map may be a tensor, or in a tuple, a list or a dictionary", "[prior_network]") {
    const Networks networks;
    auto options = unscaled(1, 2);
    const auto of = picture(row({7, 8}));
    const auto run = [&](const std::string& body) {
        return networks.map(body, PriorTask::depth, options, of);
    };
    const std::string red = "x[:, 0:1]", blue = "x[:, 2:3]";
    const auto dictionary = "return {'depth': " + red + ", 'sky': " + blue + "}";
    for (const auto& body : std::vector<std::string>{"return (" + red + ", " + blue + ")",
                                                     "return [" + red + ", " + blue + "]",
                                                     dictionary, "return x[:, 0]"})
        REQUIRE_CLOSE(run(body), row({7, 8}), 1e-6);
    options.output = "sky";
    REQUIRE_CLOSE(run(dictionary), row({200, 200}), 1e-6);
    REQUIRE(throws_error([&] { run("return {'depth': x}"); }, "called 'sky'"));
    REQUIRE(throws_error([&] { run(kRed); }, "n.pt2: expected a tensor called 'sky'"));
    options.output = "1";
    REQUIRE_CLOSE(run("return (" + red + ", " + blue + ")"), row({200, 200}), 1e-6);
    options.output = "";
    REQUIRE(throws_error([&] { run("return 3"); }, "got Int"));
}

TEST_CASE("a picture's map is the same in any batch, among pictures of any size",
          "[prior_network]") {
    const Networks networks;
    const auto options = unscaled(5, 6);
    const auto file = save_network(networks.folder.path / "n.pt2",
                                   "return torch.avg_pool2d(x[:, 0:1] * 0.37, [2, 2])");
    PriorNetwork network(file, PriorTask::depth, options);
    std::vector<NamedPicture> pictures;
    for (const auto& [h, w] : std::vector<std::pair<int64_t, int64_t>>{{5, 6}, {20, 3}, {7, 11}})
        pictures.push_back(picture((torch::arange(h * w) * 37 % 256).reshape({h, w})));
    const auto together = network.run(pictures);
    REQUIRE(together.size() == 3);
    for (size_t i = 0; i < pictures.size(); ++i) {
        REQUIRE(together[i].sizes() == pictures[i].color[0].sizes());
        REQUIRE(torch::equal(together[i], network.run({pictures[i]})[0]));
    }
    REQUIRE(network.run({}).empty());
}

TEST_CASE("half precision gives nearly the same", "[prior_network]") {
    const Networks networks;
    const auto file = save_network(networks.folder.path / "n.pt2",
                                   "assert x.dtype == 5\n    return x[:, 0:1] / 3.0");
    PriorNetwork network(file, PriorTask::depth, unscaled(1, 3), torch::kCPU, /*half=*/true);
    const auto map = network.run({picture(row({1, 100, 255}))})[0];
    REQUIRE(map.scalar_type() == torch::kFloat);
    REQUIRE_CLOSE(map, row({1, 100, 255}) / 3, 1e-3);
    PriorNetwork whole(file, PriorTask::depth, unscaled(1, 3));
    REQUIRE(throws_error([&] { whole.run({picture(row({1}))}); }, "n.pt2: the network fails"));
}

TEST_CASE("a network of another task is an Error that names both", "[prior_network]") {
    const Networks networks;
    const auto refused = [&](const std::string& body, PriorTask task, const std::string& words) {
        return throws_error(
            [&] {
                networks.map(body, task, unscaled(1, 2), picture(row({1, 2})));
            },
            words);
    };
    CHECK(refused(kColorAsNormal, PriorTask::seg,
                  "n.pt2: given as a network of --seg, but its output has 3 channels (that is one "
                  "of --normal); give it as --normal"));
    CHECK(refused(kRed, PriorTask::normal, "that is one of --depth"));
    CHECK(refused(kLabels29, PriorTask::depth, "that is one of --seg"));
    CHECK(refused("return torch.cat([x, x], 1)", PriorTask::seg, "6 channels (expected 28 or 29"));
    CHECK(refused("return x[0, 0]", PriorTask::depth, "expected maps [1,C,H,W]"));
    CHECK(refused("return x[:, 0:1].to(3)", PriorTask::depth, "[1,1,1,2] Int"));
}

TEST_CASE("what is no TorchScript is an Error that says what it is and how to make one",
          "[prior_network]") {
    TemporaryFolder folder;
    const auto file = folder.path / "n.pt2";
    const auto refused = [&](const std::string& words) {
        const auto open = [&] { PriorNetwork(file, PriorTask::seg); };
        return throws_error(open, "n.pt2: expected a TorchScript archive") &&
               throws_error(open, words) && throws_error(open, "torch.jit.trace(");
    };
    const std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
    write_whole(file, std::string(1, static_cast<char>(header.size())) + std::string(7, '\0') +
                          header + std::string(4, '\0'));
    CHECK(refused("a safetensors file"));
    write_whole(file, "\x80\x02}q.");
    CHECK(refused("a Python pickle"));
    write_whole(file, "no network");
    CHECK(refused("something else"));
    write_npz(file, {{"weight", npy_array(torch::zeros({2}))}});
    CHECK(refused("a zip archive that is cut short, or none of torch"));
    const auto whole = read_whole(save_network(file, kRed));
    write_whole(file, std::string_view(whole).substr(0, whole.size() / 2));
    CHECK(refused("cut short"));
    REQUIRE(
        throws_error([&] { PriorNetwork(folder.path / "none.pt2", PriorTask::seg); }, "none.pt2"));
}

TEST_CASE("a network that fails, runs out of memory or gives NaN is an Error with the cure",
          "[prior_network]") {
    const Networks networks;
    const auto file = networks.folder.path / "n.pt2";
    const auto fails = [&](const std::string& body, size_t batch, bool half) {
        save_network(file, body);
        PriorNetwork network(file, PriorTask::depth, unscaled(1, 1), torch::kCPU, half);
        network.run(std::vector<NamedPicture>(batch, picture(row({5}))));
    };
    const auto raise = "assert x.size(0) == 9, 'traced for nine'\n    return x[:, 0:1]";
    REQUIRE(throws_error([&] { fails(raise, 2, false); },
                         "n.pt2: the network fails on 2 pictures of 1x1: traced for nine; try "
                         "--batch 1"));
    REQUIRE(throws_error([&] { fails(raise, 1, true); }, "in half precision"));
    REQUIRE(throws_error([&] { fails(raise, 1, true); }, "try without --half"));
    const auto large = "return x[:, 0:1] + torch.zeros([1 << 50]).sum()";
    REQUIRE(throws_error([&] { fails(large, 8, false); }, "n.pt2: memory does not suffice"));
    REQUIRE(throws_error([&] { fails(large, 8, false); }, "try --batch 4"));
    const auto nan = "return x[:, 0:1] * float('nan')";
    REQUIRE(throws_error([&] { fails(nan, 1, false); }, "n.pt2: NaN or infinity for a.png"));
    REQUIRE(throws_error([&] { fails("return x[0:1, 0:1]", 2, false); },
                         "expected maps [2,C,H,W] from the network, got [1,1,1,1]"));
    auto options = unscaled(1, 1);
    options.deviation.green = 0;
    REQUIRE(throws_error([&] { PriorNetwork(file, PriorTask::depth, options); },
                         "depth.deviation: expected numbers more than 0"));
}
