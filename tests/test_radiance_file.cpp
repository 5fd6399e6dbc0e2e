// Radiance .hdr: what is read back, and what is refused.
#include <fmgs/core/io/files.h>
#include <fmgs/data/radiance_file.h>
#include <fmgs/data/synthetic/light.h>
#include <fmgs/fields/environment_light.h>

#include "support/lights.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

const std::string kHead = "#?RADIANCE\n# made by hand\nFORMAT=32-bit_rle_rgbe\n";

/// The picture of a file with these bytes.
torch::Tensor read(const std::string& bytes) {
    const TemporaryFolder folder;
    const auto file = folder.path / "light.hdr";
    write_whole(file, bytes);
    return read_radiance(file);
}

bool refuses(const std::string& bytes, const std::string& words) {
    return throws_error([&] { read(bytes); }, words);
}

}  // namespace

TEST_CASE("radiance comes back within a 256th of its largest channel", "[radiance]") {
    const TemporaryFolder folder;
    for (const auto& [h, w] : std::vector<std::pair<int64_t, int64_t>>{{3, 5}, {4, 300}, {1, 8}}) {
        auto picture = torch::pow(10, any_numbers(h * w, 3, -6, 5)).view({h, w, 3});
        picture[0][0].zero_();
        picture[0][1].fill_(255.9);
        const auto file = folder.path / "light.hdr";
        write_radiance(file, picture);
        const auto found = read_radiance(file).to(torch::kDouble);
        const auto largest = std::get<0>(picture.max(2, true));
        REQUIRE(((found - picture).abs() <= largest / 255).all().item<bool>());
        REQUIRE(found[0][0].abs().max().item<double>() == 0);
    }
    REQUIRE(throws_error([&] { write_radiance("x.hdr", -torch::ones({2, 2, 3})); }, "from 0"));
    REQUIRE(throws_error([&] { write_radiance("x.hdr", torch::ones({2, 2})); }, "radiance"));
}

TEST_CASE("runs, single pixels and the exposure of a file are read", "[radiance]") {
    const std::string pixels{"\x80\x40\x20\x81\x80\x40\x20\x81", 8};  // mantissas 128, 64, 32; 2
    const auto plain = read(kHead + "\n-Y 1 +X 2\n" + pixels);
    REQUIRE_CLOSE(plain[0][1], torch::tensor({1.0, 0.5, 0.25}), 0);
    const auto half = read(kHead + "EXPOSURE=2\nEXPOSURE=2\n\n-Y 1 +X 2\n" + pixels);
    REQUIRE_CLOSE(4 * half, plain, 0);
    std::string runs = std::string("\x02\x02\x00\x09", 4);
    for (const char byte : {'\x80', '\x40', '\x20', '\x81'})
        runs += std::string{'\x87', byte, '\x02', byte, byte};  // seven alike, and two as they are
    REQUIRE_CLOSE(read(kHead + "\n-Y 1 +X 9\n" + runs), plain.narrow(1, 0, 1).expand({1, 9, 3}), 0);
}

TEST_CASE("what is no Radiance picture is refused by name", "[radiance]") {
    const std::string pixel{"\x80\x40\x20\x81", 4};
    REQUIRE(
        refuses("\x76\x2f\x31\x01 and so on", "is OpenEXR; expected a panorama as Radiance .hdr"));
    REQUIRE(refuses("\x89PNG\r\n", "another format"));
    REQUIRE(refuses("", "another format"));
    REQUIRE(refuses("#?RADIANCE\nFORMAT=32-bit_rle_xyze\n\n-Y 1 +X 1\n" + pixel, "rle_xyze"));
    REQUIRE(refuses(kHead + "\n+Y 1 +X 1\n" + pixel, "upright"));
    REQUIRE(refuses(kHead + "\n-Y 0 +X 1\n" + pixel, "sides"));
    REQUIRE(refuses(kHead + "\n-Y 99999 +X 99999\n" + pixel, "sides"));
    REQUIRE(refuses(kHead + "\n-Y 32767 +X 32767\n" + pixel, "cut short"));
    REQUIRE(refuses(kHead + "EXPOSURE=0\n\n-Y 1 +X 1\n" + pixel, "EXPOSURE"));
    REQUIRE(refuses(kHead + "EXPOSURE=nan\n\n-Y 1 +X 1\n" + pixel, "EXPOSURE"));
    REQUIRE(refuses(kHead, "cut short in its header"));
    REQUIRE(refuses(kHead + "\n-Y 1 +X 2\n" + pixel, "cut short"));
    REQUIRE(refuses(kHead + "\n-Y 1 +X 2\n" + pixel + std::string("\x01\x01\x01\x05", 4), "older"));
    const std::string line{"\x02\x02\x00\x09", 4};
    REQUIRE(
        refuses(kHead + "\n-Y 1 +X 9\n" + line + std::string("\x8a\x01", 2), "leaves its line"));
    REQUIRE(
        refuses(kHead + "\n-Y 1 +X 9\n" + line + std::string("\x00\x01", 2), "leaves its line"));
    REQUIRE(
        refuses(kHead + "\n-Y 1 +X 9\n" + line + std::string("\x89\x01\x09\x01", 4), "cut short"));
    REQUIRE(throws_error([] { read_radiance("/nonexistent/light.hdr"); }, "light.hdr"));
}

TEST_CASE("the picture of a synthetic light shades as the light does", "[radiance][synthetic]") {
    for (const std::string name : {"A", "B"}) {
        const auto light = synthetic_light(name);
        const int64_t rows = 64;
        const auto picture = light.picture(rows).to(torch::kDouble).view({-1, 3});
        // The light's frame → the world of a camera that looks along z, y down.
        const auto flip = torch::tensor({1.0, -1.0, -1.0}, torch::kDouble);
        const auto towards = texel_directions(rows) * flip;
        const auto n = any_directions(300);
        const auto cosine = n.matmul(towards.t()).clamp_min(0) * texel_solid_angles(rows) / M_PI;
        const auto seen = cosine.matmul(picture);
        // Where a lamp sets it does so over the width of its two pixels: by a quarter of that width
        // at most, 0.012, of a strength of 0.78.
        double sum = 0;
        for (int64_t k = 0; k < n.size(0); ++k) {
            std::array<float, 3> normal{};
            for (size_t a = 0; a < 3; ++a) normal[a] = n[k][int64_t(a)].item<float>();
            const auto truth = light.on(normal);
            for (size_t c = 0; c < 3; ++c) {
                const double error = std::abs(seen[k][int64_t(c)].item<double>() - truth[c]);
                REQUIRE(error < 9.6e-3);
                sum += error;
            }
        }
        REQUIRE(sum / 900 < 1e-3);
    }
    REQUIRE(throws_error([] { synthetic_light("C"); }, "expected A or B, got 'C'"));
}
