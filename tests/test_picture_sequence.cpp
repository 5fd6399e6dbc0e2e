// Folders of pictures of maps: alpha, values, the sheet.
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/npz.h>
#include <fmgs/core/random.h>
#include <fmgs/data/image_io.h>
#include <fmgs/data/priors.h>
#include <fmgs/data/stored_map.h>
#include <fmgs/eval/colors.h>
#include <fmgs/run/draw.h>
#include <fmgs/run/grid.h>
#include <fmgs/run/map_values.h>
#include <fmgs/run/picture_sequence.h>

#include <cmath>
#include <fstream>

#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

constexpr int64_t kHeight = 24, kWidth = 32;

/// Colours on black by their alpha, a depth, normals and labels, drawn from a seed; nothing in the
/// four columns on the left, half-transparent ones beside them.
Maps some_maps(int64_t k, int64_t height = kHeight) {
    auto generator = Random{4, k}.generator("pictures");
    const auto draw = [&](int64_t channels) {
        return torch::rand({channels, height, kWidth}, generator, torch::kFloat);
    };
    auto alpha = draw(1);
    alpha.slice(2, 0, 4).zero_();
    alpha.slice(2, 16).mul_(0.5).add_(0.5);
    const auto normal = draw(3) - 0.5;
    return {{"color", draw(3) * alpha},
            {"alpha", alpha},
            {"depth", 2 + draw(1)},
            {"normal", normal / normal.norm(2, 0, true)},
            {"semantic", draw(5)}};
}

void write(const fs::path& folder, const PictureOptions& options, int64_t count = 1) {
    const auto note = write_pictures(
        folder, count, [](int64_t k) { return some_maps(k); }, [](int64_t) {}, options);
    INFO(note);
    CHECK((note.empty() || note.find("OpenCV") != note.npos));
}

torch::Tensor values(const fs::path& file) { return read_npy(file).tensor(); }

}  // namespace

TEST_CASE("millimetres are the depth in metres, both 0 where nothing is drawn", "[pictures]") {
    const TemporaryFolder folder;
    const auto root = folder.path / "a";
    write(root, {.values = {"depth_mm", "depth_m"}}, 2);
    for (int64_t k = 0; k < 2; ++k) {
        const auto name = "00000" + std::to_string(k);
        const auto metres = values(root / "depth_m" / (name + ".npy"));
        const auto steps = read_gray(root / "depth_mm" / (name + ".png"));
        const auto maps = some_maps(k);
        const auto drawn = maps.at("alpha")[0] > 0.5;
        CHECK(metres.scalar_type() == torch::kFloat);
        CHECK(torch::equal(metres, maps.at("depth")[0] * drawn));
        CHECK((steps - metres.to(torch::kDouble) * 1000).abs().max().item<double>() <= 0.5);
        CHECK(torch::equal(steps > 0, drawn));
    }
    CHECK_FALSE(fs::exists(root / "normal_xyz"));
}

TEST_CASE("normals are those that a capture's priors are: x right, y up, z to the viewer",
          "[pictures]") {
    const TemporaryFolder folder;
    const auto root = folder.path / "a";
    write(root, {.values = {"normal_xyz"}});
    const auto normal = values(root / "normal_xyz/000000.npy");
    REQUIRE(normal.sizes() == torch::IntArrayRef({kHeight, kWidth, 3}));
    const auto maps = some_maps(0);
    const auto given = maps.at("normal") * (maps.at("alpha") > 0.5);
    REQUIRE_CLOSE(normal.select(2, 0), given[0], 0);
    REQUIRE_CLOSE(normal.select(2, 1), -given[1], 0);
    REQUIRE_CLOSE(normal.select(2, 2), -given[2], 0);
    // The reader of priors has them as they were.
    const auto read = read_normal(root / "normal_xyz/000000.npy", PriorFormat{});
    REQUIRE_CLOSE(read, given, 1e-6);
}

TEST_CASE("a transparent picture over any background is the opaque one over it", "[pictures]") {
    const TemporaryFolder folder;
    write(folder.path / "a", {.transparent = true});
    write(folder.path / "b", {});
    const auto levels = [&](const char* file) {
        return read_channels(folder.path / file).to(torch::kDouble);
    };
    const auto rgba = levels("a/color/000000.png"), opaque = levels("b/color/000000.png"),
               alpha = levels("b/alpha/000000.png").slice(0, 0, 1);
    REQUIRE(rgba.size(0) == 4);
    REQUIRE(opaque.size(0) == 3);
    CHECK(torch::equal(rgba.slice(0, 3), alpha));
    CHECK(torch::equal(levels("a/alpha/000000.png"), levels("b/alpha/000000.png")));
    for (const double background : {0.0, 90.0, 255.0}) {
        const auto share = alpha / 255;
        const auto over = rgba.slice(0, 0, 3) * share + background * (1 - share);
        const auto expected = opaque + background * (1 - share);
        CHECK((over - expected).abs().max().item<double>() <= 1.001);
    }
    // The others are as they were, and see-through where they are black.
    for (const auto* map : {"depth", "normal", "semantic"}) {
        INFO(map);
        const auto with = levels((std::string("a/") + map + "/000000.png").c_str()),
                   without = levels((std::string("b/") + map + "/000000.png").c_str());
        CHECK(torch::equal(with.slice(0, 0, 3), without));
        CHECK(torch::equal(with[3], 255 * without.ne(0).any(0).to(torch::kDouble)));
        CHECK((with[3] == 0).any().item<bool>());
    }
}

TEST_CASE("normals of a plane's depth stand behind the normals, and none is black", "[pictures]") {
    const auto camera = Camera::look_at(torch::zeros({3}), torch::tensor({0.F, 0.F, 1.F}),
                                        torch::tensor({0.F, -1.F, 0.F}), 30, kWidth, kHeight);
    // n·p = -2 with the camera's ray (x, y, 1): z = -2 / n·(x, y, 1).
    const auto n = torch::tensor({0.3F, 0.2F, -std::sqrt(0.87F)});
    const auto x = ((torch::arange(kWidth) + 0.5 - kWidth / 2.0) / 30).expand({kHeight, kWidth});
    const auto y = ((torch::arange(kHeight) + 0.5 - kHeight / 2.0) / 30)
                       .unsqueeze(1)
                       .expand({kHeight, kWidth});
    auto maps = some_maps(0);
    maps.set("depth", (-2 / (n[0] * x + n[1] * y + n[2])).unsqueeze(0));
    maps.set("alpha", torch::ones({1, kHeight, kWidth}));
    maps.at("alpha").slice(2, 0, 4).zero_();
    const auto with = with_depth_normal(maps, camera);
    std::vector<std::string> names;
    for (const auto& [name, map] : with) names.push_back(name);
    CHECK(names == std::vector<std::string>{"color", "alpha", "depth", "normal", "depth_normal",
                                            "semantic"});
    const auto& found = with.at("depth_normal");
    const auto inside = found.slice(1, 1, kHeight - 1).slice(2, 5, kWidth - 1);
    REQUIRE_CLOSE(inside, n.view({3, 1, 1}).expand_as(inside), 1e-4);
    CHECK_FALSE(found.slice(2, 0, 5).any().item<bool>());
    const auto picture = colorize("depth_normal", found, maps.at("alpha"));
    CHECK_FALSE(picture.slice(2, 0, 5).any().item<bool>());
    REQUIRE_CLOSE(picture.select(2, 9).select(1, 9),
                  torch::tensor({0.65F, 0.4F, 0.5F + 0.5F * std::sqrt(0.87F)}), 1e-4);
}

TEST_CASE("a sheet has a row for each map and at most eight columns, cut to what is drawn",
          "[pictures]") {
    const auto red = torch::tensor({1.F, 0.F, 0.F}).view({3, 1, 1});
    Grid grid(20);
    for (int64_t k = 0; k < 20; ++k) {
        auto alpha = torch::zeros({1, 60, 80});
        alpha.slice(1, 20, 50).slice(2, 10 + k, 40 + k).fill_(1);
        const auto shade = static_cast<double>(k + 1) / 20;
        grid.add(k, {{"color", shade * red * alpha}, {"alpha", alpha.expand({3, -1, -1})}}, alpha);
    }
    const auto sheet = grid.picture();
    // Pictures 0, 2, 5, …, 17: rows 20 to 50, columns 10 to 57, and a margin of 4.
    constexpr int64_t kRows = 38, kColumns = 55, kGap = 2;
    REQUIRE(sheet.size(1) >= 2 * (kRows + kGap));
    const int64_t top = sheet.size(1) - 2 * kRows - kGap;
    const int64_t left = sheet.size(2) - 8 * kColumns - 7 * kGap;
    CHECK(left > 30);
    // Letters are brighter than the gaps.
    CHECK(sheet.slice(1, 0, top - kGap).slice(2, left).max().item<float>() > 0.6F);
    CHECK(sheet.slice(2, 0, left - kGap).slice(1, top).max().item<float>() > 0.6F);
    for (int64_t i = 0; i < 8; ++i) {
        const int64_t k = i * 20 / 8;
        const auto cell = sheet.slice(1, top).slice(2, left + i * (kColumns + kGap));
        CHECK(cell[0][19][4 + k + 15].item<double>() ==
              Approx(static_cast<double>(k + 1) / 20).margin(1e-6));
        CHECK(cell[0][19][4 + k - 1].item<double>() == 0);
        CHECK(cell[1][kRows + kGap + 19][4 + k + 15].item<double>() == 1);
    }
    CHECK(throws_error([] { Grid(3).picture(); }, "expected at least one picture"));
}

TEST_CASE("a sequence is replaced whole, with its values and its sheet, or stays", "[pictures]") {
    const TemporaryFolder folder;
    const auto root = folder.path / "a";
    write(root, {.values = {"depth_m", "depth_mm"}}, 3);
    CHECK(fs::exists(root / "grid.png"));
    const auto before = read_whole(root / "depth_m/000002.npy");
    // A depth that 16 bits do not hold.
    const auto far = [](int64_t k) {
        auto maps = some_maps(k);
        maps.set("depth", maps.at("depth") + 64);
        return maps;
    };
    const PictureOptions both{.values = {"depth_m", "depth_mm"}};
    CHECK(throws_error(
        [&] {
            write_pictures(
                root, 3, far, [](int64_t) {}, both);
        },
        "expected a depth of at most 65.535 m"));
    CHECK(read_whole(root / "depth_m/000002.npy") == before);
    CHECK(std::distance(fs::directory_iterator(folder.path), {}) <= 2);  // with the video
    write_pictures(root, 1, far, [](int64_t) {}, {.values = {"depth_m"}});
    CHECK_FALSE(fs::exists(root / "depth_mm"));
    CHECK_FALSE(fs::exists(root / "depth_m/000002.npy"));
    CHECK(values(root / "depth_m/000000.npy").max().item<float>() > 65.9F);
    CHECK(throws_error([&] { write(root, {.values = {"depth"}}); },
                       "expected depth_mm, depth_m, normal_xyz, got 'depth'"));
    std::ofstream(root / "grid.txt") << "mine";
    CHECK(throws_error([&] { write(root, {}); }, "it holds grid.txt"));
}

TEST_CASE("pictures of several sizes are drawn without a video, which is said", "[pictures]") {
    const TemporaryFolder folder;
    const auto note = write_pictures(
        folder.path / "a", 2, [](int64_t k) { return some_maps(k, 24 + 8 * k); }, [](int64_t) {});
    CHECK(note.find("its pictures are of different sizes") != note.npos);
    CHECK(read_color(folder.path / "a/color/000001.png").size(1) == 32);
    CHECK(fs::exists(folder.path / "a/grid.png"));
    CHECK(std::distance(fs::directory_iterator(folder.path), {}) == 1);
}
