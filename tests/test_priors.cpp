#include <fmgs/core/io/npz.h>
#include <fmgs/data/image_io.h>
#include <fmgs/data/priors.h>

#include <fstream>

#include "support/test.h"

using namespace fmgs;
using fmgs::test::TemporaryFolder;
using fmgs::test::throws_error;

TEST_CASE("trap 18: a wall that faces the camera is (0,0,-1) in every convention", "[priors]") {
    const auto wall = [](float x, float y, float z) {
        return torch::tensor({x, y, z}).reshape({3, 1, 1});
    };
    const auto facing = wall(0, 0, -1);
    REQUIRE(torch::equal(normals_to_opencv(wall(0, 0, 1), "RUB"), facing));   // Sapiens
    REQUIRE(torch::equal(normals_to_opencv(wall(0, 0, -1), "RDF"), facing));  // OpenCV
    REQUIRE(torch::equal(normals_to_opencv(wall(0, 0, 1), "LUB"), facing));   // DSINE
    REQUIRE(torch::equal(normals_to_opencv(wall(0, 0, 1), "RDB"), facing));   // Omnidata
    // Looking up and to the right: OpenCV (+x, -y).
    REQUIRE(torch::equal(normals_to_opencv(wall(0.6f, 0.8f, 0), "RUB"), wall(0.6f, -0.8f, 0)));
    REQUIRE(torch::equal(normals_to_opencv(wall(-0.6f, 0.8f, 0), "LUB"), wall(0.6f, -0.8f, 0)));
    REQUIRE(torch::equal(normals_to_opencv(wall(0.8f, 0, -0.6f), "URF"),
                         wall(0, -0.8f, -0.6f)));  // order counts too
    REQUIRE(throws_error([&] { normals_to_opencv(facing, "RUX"); }, "RUX"));
    REQUIRE(throws_error([&] { normals_to_opencv(facing, "RLB"); }, "RLB"));
}

TEST_CASE("normals come alike from a picture and from an array, unit, none where there is none",
          "[priors]") {
    TemporaryFolder folder;
    auto n = torch::tensor({0.6f, 0.f, 0.8f, 0.f, 0.f, 1.f}).reshape({1, 2, 3});  // (H,W,3)
    write_npy(folder.path / "n.npy", npy_array(n * 1.7));
    const auto expected = torch::tensor({0.6f, 0.f, 0.f, 0.f, -0.8f, -1.f}).reshape({3, 1, 2});
    REQUIRE_CLOSE(read_normal(folder.path / "n.npy", {}), expected, 1e-6);
    write_color(folder.path / "n.png", (n.permute({2, 0, 1}) + 1) / 2);
    REQUIRE_CLOSE(read_normal(folder.path / "n.png", {}), expected, 1.0 / 255);
    write_color(folder.path / "none.png", torch::zeros({3, 1, 2}));
    REQUIRE_CLOSE(read_normal(folder.path / "none.png", {}), torch::zeros({3, 1, 2}), 0);
    n[0][0][1] = NAN;
    write_npy(folder.path / "n.npy", npy_array(n));
    REQUIRE(read_normal(folder.path / "n.npy", {}).select(2, 0).abs().max().item<double>() == 0);
}

TEST_CASE(
    "trap 19: depth grows away from the viewer, whatever the network calls large, and is zero "
    "outside the "
    "mask",
    "[priors]") {
    TemporaryFolder folder;
    const auto stored = torch::tensor({{-0.2f, 0.5f, 0.9f, 7.f}});
    const auto mask = torch::tensor({{{1.f, 1.f, 1.f, 0.f}}});
    write_npy(folder.path / "d.npy", npy_array(stored));
    const auto far = read_relative_depth(folder.path / "d.npy", {}, mask).flatten();
    PriorFormat inverse;
    inverse.depth_kind = "inverse";
    const auto near = read_relative_depth(folder.path / "d.npy", inverse, mask).flatten();
    REQUIRE((far.slice(0, 0, 3) > 0).all().item<bool>());
    REQUIRE((far.slice(0, 1, 3) > far.slice(0, 0, 2)).all().item<bool>());
    REQUIRE((near.slice(0, 0, 3) > 0).all().item<bool>());
    REQUIRE((near.slice(0, 1, 3) < near.slice(0, 0, 2)).all().item<bool>());
    REQUIRE((far[3].item<double>() == 0 && near[3].item<double>() == 0));
    write_gray(folder.path / "d.png", torch::tensor({{0, 300, 65535, 9}}, torch::kLong), true);
    const auto picture = torch::tensor({{{0.f, 300.f / 65535, 1.f, 0.f}}});
    REQUIRE_CLOSE(read_relative_depth(folder.path / "d.png", {}, mask), picture, 1e-7);
}

TEST_CASE("trap 13: masks of 0/1, of 0/255 and of labels are all the person", "[priors]") {
    TemporaryFolder folder;
    const auto expected = torch::tensor({{{0.f, 1.f, 1.f}}});
    for (const auto& values : {torch::tensor({{0, 1, 1}}), torch::tensor({{0, 255, 128}}),
                               torch::tensor({{0, 13, 2}})}) {
        write_gray(folder.path / "m.png", values);
        REQUIRE(torch::equal(read_mask(folder.path / "m.png"), expected));
    }
    write_npy(folder.path / "m.npy", npy_array(expected[0].to(torch::kBool)));
    REQUIRE(torch::equal(read_mask(folder.path / "m.npy"), expected));
    write_npy(folder.path / "l.npy", npy_array(torch::tensor({{0.5f}})));
    REQUIRE(throws_error([&] { read_labels(folder.path / "l.npy"); }, "expected integer labels"));
    write_npy(folder.path / "s.npy", npy_array(torch::zeros({2, 3, 4}, torch::kLong)));
    REQUIRE(throws_error([&] { read_labels(folder.path / "s.npy"); }, "s.npy: expected (H,W)"));
}

TEST_CASE("priors.json names the convention; unknown words are refused", "[priors]") {
    TemporaryFolder folder;
    const auto file = folder.path / "priors.json";
    std::ofstream(file)
        << R"({"normal": {"axes": "LUB", "channel_order": "bgr", "folder": "dsine"}, "depth": {"kind": "inverse"}})";
    const auto format = read_prior_format(file);
    REQUIRE((format.normal_axes == "LUB" && format.normal_order == "bgr" &&
             format.normal_folder == "dsine"));
    REQUIRE((format.depth_kind == "inverse" && format.depth_folder == "depth"));
    std::ofstream(file) << R"({"depth": {"kind": "disparity"}})";
    REQUIRE(throws_error([&] { read_prior_format(file); },
                         "depth.kind: expected one of depth, inverse, got 'disparity'"));
    std::ofstream(file) << R"({"normal": {"axes": 3}})";
    REQUIRE(throws_error([&] { read_prior_format(file); }, "normal.axes: expected a word"));
    std::ofstream(file) << "\xEF\xBB\xBF"
                        << R"({"normal": {"axes": "LUB"}})";
    REQUIRE(read_prior_format(file).normal_axes == "LUB");
}

TEST_CASE("a slip in a key of priors.json is refused with the key that was meant", "[priors]") {
    TemporaryFolder folder;
    const auto file = folder.path / "priors.json";
    const auto refused = [&](const char* json, const char* words) {
        std::ofstream(file) << json;
        return throws_error([&] { read_prior_format(file); }, words);
    };
    CHECK(refused(R"({"normal": {"axis": "LUB"}})",
                  "priors.json: normal: there is no key 'axis'; the nearest is 'axes'"));
    CHECK(refused(R"({"normals": {"axes": "LUB"}})",
                  "priors.json: there is no key 'normals'; the nearest is 'normal'"));
    CHECK(refused(R"({"depth": "inverse"})",
                  "priors.json: depth: expected an object with folder, kind, scale, got string"));
    CHECK(refused(R"({"depth": {"scale": "metric"}})",
                  "depth.scale: expected one of relative, got 'metric'"));
    CHECK(refused(R"({"normal": {"encoding": "float"}})",
                  "normal.encoding: expected one of unorm, got 'float'"));
    CHECK(refused(R"({"depth": {"kinds": "inverse"}})",
                  "depth: there is no key 'kinds'; the nearest is 'kind'"));
}

TEST_CASE("other keys of priors.json are remarks, and told apart", "[priors]") {
    TemporaryFolder folder;
    const auto file = folder.path / "priors.json";
    std::ofstream(file) << R"({"normal": {"axes": "LUB", "axes_meaning": "x left", "file": "png"},
                               "depth": {"polarity": "larger = farther"}, "npy": {"content": 1}})";
    const auto format = read_prior_format(file);
    CHECK(format.normal_axes == "LUB");
    CHECK(format.unread ==
          std::vector<std::string>{"depth.polarity", "normal.axes_meaning", "normal.file", "npy"});
}

TEST_CASE("shrinking averages what is valid, and cuts what fills no block", "[priors]") {
    const auto x = torch::arange(15, torch::kFloat).reshape({1, 3, 5});
    REQUIRE_CLOSE(shrink_area(x, 2), torch::tensor({{{3.f, 5.f}}}), 1e-6);
    auto valid = torch::ones({1, 3, 5}, torch::kBool);
    valid[0][0][0] = false;
    REQUIRE_CLOSE(shrink_valid(x, valid, 2, false), torch::tensor({{{4.f, 5.f}}}), 1e-6);
    REQUIRE_CLOSE(shrink_valid(x, valid, 2, true), torch::tensor({{{0.f, 5.f}}}), 1e-6);
    REQUIRE(torch::equal(shrink_nearest(x, 2), torch::tensor({{{6.f, 8.f}}})));
    REQUIRE(torch::equal(shrink_nearest(x, 3), torch::tensor({{{6.f}}})));
    const auto n = torch::tensor({1.f, 0.f, 0.f, 0.f, 0.f, 1.f, 0.f, 0.f, 0.f, 0.f, 0.f, 0.f})
                       .reshape({3, 2, 2});
    REQUIRE_CLOSE(shrink_normals(n, 2, false).flatten(), torch::tensor({M_SQRT1_2, M_SQRT1_2, 0.0}),
                  1e-6);
    REQUIRE_CLOSE(shrink_normals(n, 2, true).flatten(), torch::zeros(3), 0);
}
