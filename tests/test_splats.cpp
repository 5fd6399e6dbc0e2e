// Splat files: what is read, written and refused, and that both give the same picture.
#include <fmgs/core/io/splat_file.h>
#include <fmgs/core/random.h>
#include <fmgs/core/rotation.h>
#include <fmgs/fields/splat_colors.h>
#include <fmgs/raster/render.h>

#include <bit>
#include <cstring>
#include <fstream>

#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

void put(const fs::path& file, const std::string& content) {
    std::ofstream(file, std::ios::binary) << content;
}

/// A PLY of the rows, all float.
struct Ply {
    std::vector<std::string> names;
    std::vector<std::vector<float>> rows;
    std::string comment;

    std::string header(const std::string& format) const {
        auto out = "ply\nformat " + format + " 1.0\n" + comment + "element vertex " +
                   std::to_string(rows.size()) + "\n";
        for (const auto& name : names) out += "property float " + name + "\n";
        return out + "end_header\n";
    }
    std::string binary(bool big = false) const {
        auto out = header(big ? "binary_big_endian" : "binary_little_endian");
        for (const auto& row : rows) {
            for (const float x : row) {
                std::string bytes(reinterpret_cast<const char*>(&x), sizeof(x));
                out += big ? std::string(bytes.rbegin(), bytes.rend()) : bytes;
            }
        }
        return out;
    }
    std::string ascii() const {
        std::ostringstream out;
        out.precision(9);
        for (const auto& row : rows)
            for (const float x : row) out << x << (&x == &row.back() ? '\n' : ' ');
        return header("ascii") + out.str();
    }
    float& at(size_t row, const std::string& name) {
        return rows[row][static_cast<size_t>(std::find(names.begin(), names.end(), name) -
                                             names.begin())];
    }
};

constexpr double kC0 = 0.28209479177387814;

/// Three Gaussians with scales ln(0.3), ln(0.1) and `third`, turned by w, x, y, z = (2, 0, 0, 2).
Ply gaussians(std::optional<float> third, int64_t rest = 0) {
    Ply out{{"opacity", "x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "scale_0", "scale_1"}, {}, ""};
    if (third) out.names.push_back("scale_2");
    for (const char* name : {"rot_0", "rot_1", "rot_2", "rot_3"}) out.names.emplace_back(name);
    for (int64_t i = 0; i < rest; ++i) out.names.push_back("f_rest_" + std::to_string(i));
    for (int i = 0; i < 3; ++i) {
        std::vector<float> row{0.4F * float(i), 0.1F * float(i), 0.2F, 3, 0.3F, -0.4F, 0.5F,
                               std::log(0.3F),  std::log(0.1F)};
        if (third) row.push_back(*third);
        row.insert(row.end(), {2, 0, 0, 2});
        for (int64_t k = 0; k < rest; ++k) row.push_back(0.01F * float(k + 1));
        out.rows.push_back(row);
    }
    return out;
}

Splats read(const std::string& bytes) {
    const TemporaryFolder folder;
    put(folder.path / "a.ply", bytes);
    return read_splats(folder.path / "a.ply");
}

/// Sheared, turned and overlapping surfels in front of a camera.
PosedSurfels random_surfels(int64_t n) {
    auto generator = Random{5}.generator("splats");
    const auto draw = [&](torch::IntArrayRef shape) {
        return torch::rand(shape, generator, torch::kFloat);
    };
    PosedSurfels s;
    s.center = draw({n, 3}) * torch::tensor({2.F, 2.F, 1.F}) + torch::tensor({-1.F, -1.F, 2.F});
    s.tangents = (draw({n, 3, 2}) - 0.5) * 0.3;
    const auto cross = torch::linalg_cross(s.tangents.select(2, 0), s.tangents.select(2, 1));
    s.normal = cross / cross.norm(2, 1, true);
    s.opacity = draw({n, 1}) * 0.98 + 0.01;
    s.features.set("color", draw({n, 3}));
    return s;
}

Camera front() {
    return Camera::look_at(torch::zeros({3}), torch::tensor({0.F, 0.F, 1.F}),
                           torch::tensor({0.F, -1.F, 0.F}), 60, 64, 48);
}

}  // namespace

TEST_CASE("a file of 2DGS is read by its definition, in every format", "[splats]") {
    const auto file = gaussians({});
    for (const auto& bytes : {file.binary(), file.binary(true), file.ascii()}) {
        const auto s = read(bytes);
        CHECK(s.description == "2D Gaussians, 3 surfels, spherical harmonics of degree 0");
        CHECK(s.notes.empty());
        REQUIRE_CLOSE(s.surfels.center[2], torch::tensor({0.2F, 0.2F, 3.F}), 1e-7);
        // A quarter turn about z: x becomes y, and y becomes -x.
        REQUIRE_CLOSE(s.surfels.tangents[1], torch::tensor({{0.F, -0.1F}, {0.3F, 0.F}, {0.F, 0.F}}),
                      1e-6);
        REQUIRE_CLOSE(s.surfels.normal[1], torch::tensor({0.F, 0.F, 1.F}), 1e-6);
        REQUIRE_CLOSE(s.surfels.opacity[1], torch::sigmoid(torch::tensor({0.4F})), 1e-6);
        REQUIRE_CLOSE(splat_colors(s, front())[0],
                      torch::tensor({0.5 + 0.3 * kC0, 0.5 - 0.4 * kC0, 0.5 + 0.5 * kC0}), 1e-6);
    }
}

TEST_CASE("scale_2 of a surfel changes nothing, with the comment whatever it is", "[splats]") {
    const auto plain = read(gaussians({}).binary());
    auto tagged = gaussians(5.F);
    tagged.comment = "comment of a program\ncomment SplatRenderMode: 2dgs\n";
    for (const auto& bytes : {gaussians(std::log(1e-6F)).binary(), tagged.binary()}) {
        const auto s = read(bytes);
        CHECK(torch::equal(s.surfels.tangents, plain.surfels.tangents));
        CHECK(torch::equal(s.surfels.normal, plain.surfels.normal));
    }
    CHECK(read(tagged.binary()).description.starts_with("2D Gaussians"));
}

TEST_CASE("a 3D Gaussian becomes the surfel across its thinnest axis, and says so", "[splats]") {
    auto file = gaussians(std::log(0.2F));
    for (size_t row = 0; row < 3; ++row) file.at(row, "scale_1") = std::log(0.01F);
    file.at(2, "scale_1") = std::log(0.15F);
    const auto s = read(file.binary());
    CHECK(s.description ==
          "3D Gaussians, 3 of them, each drawn as the surfel across its thinnest axis, spherical "
          "harmonics of degree 0");
    REQUIRE(s.notes.size() == 1);
    CHECK(s.notes[0].starts_with("1 of 3 Gaussians are thicker than a quarter"));
    // Axes x, y, z become y, -x, z; the thin one is the second: normal -x, tangents z and y.
    REQUIRE_CLOSE(s.surfels.normal[0], torch::tensor({-1.F, 0.F, 0.F}), 1e-6);
    REQUIRE_CLOSE(s.surfels.tangents[0], torch::tensor({{0.F, 0.F}, {0.F, 0.3F}, {0.2F, 0.F}}),
                  1e-6);
}

TEST_CASE("harmonics of every degree are those of 3DGS, one colour after the other", "[splats]") {
    const auto camera = front();
    for (int64_t degree = 1; degree <= 3; ++degree) {
        const int64_t rest = (degree + 1) * (degree + 1) - 1;
        const auto file = gaussians({}, 3 * rest);
        const auto color = splat_colors(read(file.binary()), camera)[1].to(torch::kDouble);
        const double length = std::sqrt(0.01 + 0.04 + 9);
        const double x = 0.1 / length, y = 0.2 / length, z = 3 / length;
        const std::vector<double> basis{-0.4886025119 * y,
                                        0.4886025119 * z,
                                        -0.4886025119 * x,
                                        1.0925484306 * x * y,
                                        -1.0925484306 * y * z,
                                        0.3153915653 * (3 * z * z - 1),
                                        -1.0925484306 * x * z,
                                        0.5462742153 * (x * x - y * y),
                                        -0.5900435899 * y * (3 * x * x - y * y),
                                        2.8906114426 * x * y * z,
                                        -0.4570457995 * y * (5 * z * z - 1),
                                        0.3731763326 * z * (5 * z * z - 3),
                                        -0.4570457995 * x * (5 * z * z - 1),
                                        1.4453057213 * z * (x * x - y * y),
                                        -0.5900435899 * x * (x * x - 3 * y * y)};
        for (int64_t c = 0; c < 3; ++c) {
            double expected = 0.5 + kC0 * std::array{0.3, -0.4, 0.5}[static_cast<size_t>(c)];
            for (int64_t k = 0; k < rest; ++k)
                expected += basis[static_cast<size_t>(k)] * 0.01 * double(c * rest + k + 1);
            CHECK(color[c].item<double>() == Approx(expected).margin(1e-6));
        }
    }
}

TEST_CASE("perpendicular axes of an ellipse are those of sheared tangents", "[splats]") {
    const auto tangents = random_surfels(200).tangents.to(torch::kDouble);
    const auto frames = ellipse_frames(tangents);
    const auto axes = frames.rotation.slice(2, 0, 2) * frames.scale.unsqueeze(1);
    // The covariance of the disc says what it looks like.
    REQUIRE_CLOSE(axes.matmul(axes.transpose(1, 2)), tangents.matmul(tangents.transpose(1, 2)),
                  1e-12);
    const auto eye = torch::eye(3, torch::kDouble).expand({200, 3, 3});
    REQUIRE_CLOSE(frames.rotation.matmul(frames.rotation.transpose(1, 2)), eye, 1e-12);
    const auto cross = torch::linalg_cross(tangents.select(2, 0), tangents.select(2, 1));
    CHECK(((cross * frames.rotation.select(2, 2)).sum(1) > 0).all().item<bool>());
    CHECK((frames.scale.select(1, 0) >= frames.scale.select(1, 1)).all().item<bool>());
    REQUIRE_CLOSE(frames.quaternion.norm(2, 1), torch::ones({200}), 1e-12);
    // Without an area: still a frame.
    for (const auto& flat : {torch::zeros({1, 3, 2}), torch::ones({1, 3, 2})}) {
        const auto f = ellipse_frames(flat);
        REQUIRE_CLOSE(f.rotation.matmul(f.rotation.transpose(1, 2)), eye.slice(0, 0, 1), 1e-9);
    }
}

TEST_CASE("surfels written and read again give the same picture", "[splats]") {
    const TemporaryFolder folder;
    const auto file = folder.path / "a.ply";
    const auto surfels = random_surfels(300);
    const auto camera = front();
    const std::vector<std::string> names{"alpha", "color", "depth", "normal"};
    const auto expected = render(surfels, camera, names);
    for (const auto& options : {SplatFileOptions{}, SplatFileOptions{.third_scale = false},
                                SplatFileOptions{.comment = false}}) {
        write_splats(file, surfels, options);
        auto splats = read_splats(file);
        CHECK(splats.notes.empty());
        splats.surfels.features.set("color", splat_colors(splats, camera));
        const auto maps = render(splats.surfels, camera, names);
        for (const auto& name : names) {
            INFO(name);
            REQUIRE_CLOSE(maps.at(name), expected.at(name), 1e-5);
        }
    }
    std::ifstream in(file, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    CHECK(text.find("comment") == std::string::npos);
    CHECK(text.find("property float opacity\nproperty float scale_0\nproperty float scale_1\n"
                    "property float scale_2\nproperty float rot_0\n") != std::string::npos);
}

TEST_CASE("what is no splat file is refused with what it is", "[splats]") {
    const auto refused = [](const std::string& bytes, const std::string& words) {
        INFO(words);
        CHECK(throws_error([&] { read(bytes); }, words));
    };
    const auto whole = gaussians({}).binary();
    for (size_t size = 0; size < whole.size(); size += 7) refused(whole.substr(0, size), "a.ply: ");
    refused("ply\nformat binary_middle_endian 1.0\nend_header\n", "binary_little_endian");
    refused(
        "ply\nformat ascii 1.0\nelement vertex 9000000000000000000\nproperty float x\n"
        "end_header\n1 2 3\n",
        "cut off: its header claims");
    refused("ply\nformat ascii 1.0\nelement vertex 99999999999999999999\nend_header\n",
            "is no number of elements");
    auto cloud = gaussians({});
    cloud.names = {"x", "y", "z", "red", "green", "blue", "a", "b", "c", "d", "e", "f", "g"};
    refused(cloud.binary(), "a point cloud");
    refused(cloud.header("ascii") + "1", "cut off");
    auto packed = cloud;
    packed.names[3] = "packed_position";
    refused(packed.binary(), "splat-transform");
    refused(gaussians({}, 12).binary(), "got 12");
    auto hole = gaussians({}, 9);
    hole.names.back() = "f_rest_30";
    refused(hole.binary(), "of which f_rest_8 is missing");
    auto broken = gaussians({});
    for (size_t row = 0; row < 3; ++row) broken.at(row, row == 1 ? "rot_3" : "x") = NAN;
    refused(broken.binary(), "no row whose values are finite");
}

TEST_CASE("rows that are not finite are left out and counted", "[splats]") {
    auto file = gaussians({});
    file.at(0, "scale_1") = 200;  // its exponential is no float
    for (const char* name : {"rot_0", "rot_3"}) file.at(2, name) = 0;
    const auto s = read(file.binary());
    REQUIRE(s.surfels.center.size(0) == 1);
    CHECK(s.surfels.center[0][0].item<float>() == 0.1F);
    REQUIRE(s.notes.size() == 1);
    CHECK(s.notes[0] == "2 of 3 Gaussians are not finite and were left out");
}

TEST_CASE("a file without logarithms is drawn as it says, with a note", "[splats]") {
    auto file = gaussians({});
    for (size_t row = 0; row < 3; ++row)
        for (const char* name : {"scale_0", "scale_1"}) file.at(row, name) = 0.1F;
    const auto s = read(file.binary());
    REQUIRE(s.notes.size() == 1);
    CHECK(s.notes[0].find("where logarithms and logits belong") != std::string::npos);
}

TEST_CASE("what cannot be written leaves the earlier file", "[splats]") {
    const TemporaryFolder folder;
    const auto file = folder.path / "a.ply";
    put(file, "mine");
    auto surfels = random_surfels(3);
    surfels.center[1][0] = NAN;
    CHECK(throws_error([&] { write_splats(file, surfels); }, "a.ply: not written"));
    surfels.features = {};
    CHECK(throws_error([&] { write_splats(file, surfels); }, "no feature 'color'"));
    std::ifstream in(file);
    CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == "mine");
}
