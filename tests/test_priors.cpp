#include <fmgs/core/io/files.h>
#include <fmgs/core/io/npz.h>
#include <fmgs/data/file_names.h>
#include <fmgs/data/image_io.h>
#include <fmgs/data/priors.h>

#include "support/picture_bytes.h"
#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

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

TEST_CASE("normals as pictures of 8 and 16 bit, arrays of bytes, (n+1)/2 and float, with alpha",
          "[priors]") {
    TemporaryFolder folder;
    const auto file = [&](const char* name) { return folder.path / name; };
    // x right, y up, z to the viewer: (0.6, 0, 0.8), and none.
    const auto expected = torch::tensor({0.6f, 0.f, 0.f, 0.f, -0.8f, 0.f}).reshape({3, 1, 2});
    const auto same = [&](const fs::path& path, const PriorFormat& format, double slack) {
        return torch::allclose(read_normal(path, format), expected, 0, slack);
    };
    write_whole(file("a.png"), png(2, 3, 8, {204, 127, 230, 0, 0, 0}));
    CHECK(same(file("a.png"), {}, 1e-2));
    write_whole(file("wide.png"), png(2, 3, 16, {52428, 32767, 58982, 0, 0, 0}));
    CHECK(same(file("wide.png"), {}, 1e-4));
    // Outside of an alpha channel there is none, and none is middle grey, too.
    write_whole(file("cut.png"), png(2, 4, 8, {204, 127, 230, 255, 230, 127, 204, 0}));
    CHECK(same(file("cut.png"), {}, 1e-2));
    write_whole(file("grey.png"), png(2, 3, 8, {204, 127, 230, 128, 128, 127}));
    CHECK(same(file("grey.png"), {}, 1e-2));
    const auto bytes = torch::tensor({204, 127, 230, 0, 0, 0}, torch::kByte).reshape({1, 2, 3});
    write_npy(file("bytes.npy"), npy_array(bytes));
    CHECK(same(file("bytes.npy"), {}, 1e-2));
    const auto half = bytes.to(torch::kFloat) / 255;
    write_npy(file("half.npy"), npy_array(half));
    PriorFormat unorm;
    unorm.normal_encoding = "unorm";
    CHECK(same(file("half.npy"), unorm, 1e-2));
    CHECK(same(file("bytes.npy"), unorm, 1e-2));
    write_npz(file("alone.npz"), {{"n", npy_array(bytes)}});
    CHECK(same(file("alone.npz"), {}, 1e-2));
    write_npz(file("two.npz"), {{"n", npy_array(bytes)}, {"depth", npy_array(half)}});
    PriorFormat named;
    named.normal_array = "n";
    CHECK(same(file("two.npz"), named, 1e-2));
}

TEST_CASE("normals that are not what they are called are refused with the cure", "[priors]") {
    TemporaryFolder folder;
    const auto file = folder.path / "n.npy";
    PriorFormat unorm, as_float;
    unorm.normal_encoding = "unorm";
    as_float.normal_encoding = "float";
    const auto says = [&](const PriorFormat& format, const char* words) {
        return throws_error([&] { read_normal(file, format); }, words);
    };
    const auto n = torch::tensor({0.6f, 0.f, 0.8f, 0.f, -0.6f, 0.8f}).reshape({1, 2, 3});
    write_npy(file, npy_array((n + 1) / 2));
    CHECK(says({}, "n.npy: the lengths of the normals show that these are (n+1)/2; set"));
    write_npy(file, npy_array(n));
    CHECK(says(unorm, "values outside of [0,1]; set \"encoding\": \"float\""));
    write_npy(file, npy_array(((n + 1) * 127.5).to(torch::kByte)));
    CHECK(says(as_float, "take normal.encoding: float out of priors.json"));
    write_npy(file, npy_array((n + 1) * 127.5));
    CHECK(says({}, "normals of 0 to 255 as fractions"));
    write_npy(file, npy_array(((n + 1) * 127.5).to(torch::kLong)));
    CHECK(says({}, "neither bytes nor of 16 bit"));
    write_npy(file, npy_array(n[0]));
    CHECK(says({}, "expected three channels (x, y and z of normals), got one"));
    write_gray(folder.path / "g.png", torch::ones({2, 2}, torch::kLong));
    CHECK(throws_error([&] { read_normal(folder.path / "g.png", {}); }, "expected three channels"));
    write_npz(folder.path / "n.npz", {{"a", npy_array(n)}, {"b", npy_array(n)}});
    CHECK(throws_error([&] { read_normal(folder.path / "n.npz", {}); },
                       "n.npz: expected one array, got a, b; name one as \"array\""));
    write_whole(folder.path / "n.exr", "\x76\x2F\x31\x01 and more");
    CHECK(find_picture(folder.path, "n") == folder.path / "n.npy");
    fs::remove(file);
    fs::remove(folder.path / "n.npz");
    CHECK(throws_error([&] { read_normal(find_picture(folder.path, "n"), {}); },
                       "n.exr: OpenEXR, which is not read; save its values as .npy"));
}

TEST_CASE("depth from points, arrays of bytes and pictures with alpha", "[priors]") {
    TemporaryFolder folder;
    const auto file = folder.path / "d.npy";
    const auto mask = torch::ones({1, 1, 3});
    const auto depth = [&](const fs::path& path) {
        return read_relative_depth(path, {}, mask).flatten();
    };
    // (H,W,3): x, y, z of a camera's view; (0,0,0) and NaN are none.
    auto points = torch::tensor({9.f, 8.f, 2.5f, 0.f, 0.f, 0.f, 1.f, 1.f, 4.f}).reshape({1, 3, 3});
    write_npy(file, npy_array(points));
    REQUIRE_CLOSE(depth(file), torch::tensor({2.5f, 0.f, 4.f}), 0);
    points[0][2][0] = NAN;
    points[0][2][2] = NAN;
    write_npy(file, npy_array(points));
    REQUIRE_CLOSE(depth(file), torch::tensor({2.5f, 0.f, 0.f}), 0);
    write_npy(file, npy_array(torch::tensor({{0, 51, 255}}, torch::kByte)));
    REQUIRE_CLOSE(depth(file), torch::tensor({0.f, 0.2f, 1.f}), 1e-6);
    write_whole(folder.path / "d.png", png(3, 2, 8, {51, 255, 51, 0, 255, 255}));
    REQUIRE_CLOSE(depth(folder.path / "d.png"), torch::tensor({0.2f, 0.f, 1.f}), 1e-6);
    write_whole(folder.path / "c.png", png(3, 3, 8, {1, 2, 3, 4, 5, 6, 7, 8, 9}));
    CHECK(throws_error([&] { depth(folder.path / "c.png"); }, "c.png: expected one channel"));
}

TEST_CASE("trap 13: masks of every kind are the person", "[priors]") {
    TemporaryFolder folder;
    const auto file = folder.path / "m.png";
    const auto expected = torch::tensor({{{0.f, 1.f, 1.f}}});
    const auto person = [&](const fs::path& path) {
        return torch::equal(read_mask(path), expected);
    };
    for (const auto& values : {torch::tensor({{0, 1, 1}}), torch::tensor({{0, 255, 128}}),
                               torch::tensor({{127, 255, 128}}), torch::tensor({{0, 100, 100}}),
                               torch::tensor({{0, 13, 2}})}) {
        write_gray(file, values);
        CHECK(person(file));
    }
    write_gray(file, torch::tensor({{0, 65535, 40000}}), /*bits16=*/true);
    CHECK(person(file));
    write_gray(file, torch::tensor({{32767, 65535, 32768}}), /*bits16=*/true);
    CHECK(person(file));
    write_whole(file, png(3, 4, 8, {9, 90, 9, 0, 9, 90, 9, 255, 0, 0, 0, 128}));  // a cut-out
    CHECK(person(file));
    write_whole(file, png(3, 2, 16, {9, 32767, 9, 65535, 9, 32768}));
    CHECK(person(file));
    write_whole(file, png(3, 4, 8, {0, 0, 0, 255, 9, 9, 9, 255, 9, 9, 9, 255}));  // opaque
    CHECK(person(file));
    // Classes in colours: dark ones, too, on black or on Sapiens' grey.
    write_whole(file, png(3, 3, 8, {0, 0, 0, 85, 51, 0, 0, 0, 85}));
    CHECK(person(file));
    write_whole(file, png(3, 3, 8, {50, 51, 50, 82, 21, 114, 255, 0, 0}));
    CHECK(person(file));
    const auto array = folder.path / "m.npy";
    for (const auto& values : {expected[0].to(torch::kBool), expected[0].to(torch::kByte) * 255,
                               expected[0] * 0.5, expected[0] * 255}) {
        write_npy(array, npy_array(values));
        CHECK(person(array));
    }
    write_npz(folder.path / "m.npz", {{"mask", npy_array(expected[0].to(torch::kBool))}});
    CHECK(person(folder.path / "m.npz"));
    write_color(file, torch::rand({3, 20, 30}));
    CHECK(throws_error([&] { read_mask(file); }, "m.png: a photograph, or a lossy picture"));
    CHECK(throws_error([&] { read_alpha(file); }, "m.png: expected an alpha channel"));
}

TEST_CASE("labels as numbers, in colours, and what is neither", "[priors]") {
    TemporaryFolder folder;
    const auto file = folder.path / "l.npy", picture = folder.path / "l.png";
    write_npy(file, npy_array(torch::tensor({{0.5f}})));
    CHECK(throws_error([&] { read_labels(file); }, "expected integer labels, got fractions"));
    write_npy(file, npy_array(torch::zeros({2, 3}, torch::kBool)));
    CHECK(throws_error([&] { read_classes(file, {}); },
                       "got a mask of bool; Sapiens' are in l_seg.npy"));
    write_npy(file, npy_array(torch::zeros({2, 5, 4}, torch::kLong)));
    CHECK(throws_error([&] { read_labels(file); }, "l.npy: expected (H,W)"));
    PriorFormat newer;
    newer.label_set = "sapiens29";
    newer.ignored = {"Hair"};
    const auto wanted = torch::tensor({{0, 2, 255}});  // background, glasses, hair
    write_gray(picture, torch::tensor({{0, 2, 4}}));
    CHECK(torch::equal(read_classes(picture, newer), wanted));
    write_whole(picture, png(3, 3, 8, {0, 0, 0, 2, 2, 2, 4, 4, 4}));  // grey of three channels
    CHECK(torch::equal(read_classes(picture, newer), wanted));
    write_whole(picture, png(3, 3, 8, {50, 50, 50, 14, 204, 182, 255, 0, 109}));
    CHECK(torch::equal(read_classes(picture, newer), wanted));
    write_whole(picture, png(3, 3, 8, {50, 50, 50, 50, 50, 50, 50, 50, 50}));  // nobody
    CHECK(torch::equal(read_classes(picture, newer), torch::zeros({1, 3}, torch::kLong)));
    write_gray(picture, torch::tensor({{0, 2, 29}}));
    CHECK(throws_error([&] { read_classes(picture, newer); },
                       "l.png: label 29 at column 2, row 0, and label set sapiens29 has 0 to 28"));
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
