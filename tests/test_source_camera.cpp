// Cameras of captures: what is refused, and lens distortion taken out.
#include <fmgs/data/hdf5_file.h>
#include <fmgs/data/source_camera.h>

#include "support/lens.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

SourceCamera wide_camera(const std::vector<double>& distortion) {
    return make_camera({intrinsic_of(50, 52, 30.5, 26), {}, {}, torch::tensor(distortion)}, "lens");
}

}  // namespace

TEST_CASE("trap 24: distortion is undone to what a pinhole sees", "[source_camera]") {
    for (const std::vector<double>& d : {std::vector<double>{-0.2, 0.05, 0.01, -0.02},
                                         {0.15, 0, 0, 0, 0.02},
                                         {-0.1, 0.02, 0.003, 0.001, 0, 0.05, 0.01, 0}}) {
        const Undistortion lens(wide_camera(d), kLensHeight, kLensWidth);
        const auto even = lens.linear(photograph(d, scene)), truth = pixels(scene);
        // Away from the border, where the photograph ends.
        const auto middle = [](const torch::Tensor& x) {
            return x.slice(1, 8, 40).slice(2, 8, 56);
        };
        REQUIRE((middle(even) - middle(truth)).abs().max().item<double>() < 2e-3);
        const auto raw = middle(photograph(d, scene) - truth).abs().max().item<double>();
        REQUIRE(raw > 5e-3);  // there was something to undo
    }
}

TEST_CASE("a mask does not grow when distortion is undone", "[source_camera]") {
    const std::vector<double> d = {-0.2, 0.05, 0.01, -0.02};
    const Undistortion lens(wide_camera(d), kLensHeight, kLensWidth);
    const auto mask = lens.mask(photograph(d, disc)), truth = pixels(disc);
    REQUIRE(((mask == 0) | (mask == 1)).all().item<bool>());
    const double area = truth.sum().item<double>();
    REQUIRE(std::abs(mask.sum().item<double>() - area) < 0.03 * area);  // measured 1.6 %
    const auto labels = lens.nearest((photograph(d, disc)[0] * 7).to(torch::kLong));
    REQUIRE(labels.scalar_type() == torch::kLong);
    REQUIRE(((labels == 0) | (labels == 7)).all().item<bool>());
    // A prior counts where half of a pixel has one, with the value that is there.
    const auto depth = photograph(d, disc) * 3;
    const auto even = lens.valid(depth, depth > 0);
    REQUIRE(((even == 0) | ((even - 3).abs() < 1e-5)).all().item<bool>());
}

TEST_CASE("a camera without distortion has nothing undone", "[source_camera]") {
    Undistortions lenses;
    REQUIRE_FALSE(lenses.of(wide_camera({0, 0, 0, 0}), kLensHeight, kLensWidth));
    const auto camera = wide_camera({0.1, 0, 0, 0});
    REQUIRE(lenses.of(camera, kLensHeight, kLensWidth) ==
            lenses.of(camera, kLensHeight, kLensWidth));
}

TEST_CASE("matrices that are transposed, scaled or mirrored are refused", "[source_camera]") {
    const auto K = intrinsic_of(50, 52, 30, 26);
    const auto turn = torch::tensor({0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0}, torch::kDouble);
    const auto t = torch::zeros({3}, torch::kDouble);
    const auto refused = [&](const CameraNumbers& numbers, const std::string& words) {
        return throws_error([&] { make_camera(numbers, "cam 1"); }, words);
    };
    REQUIRE(
        refused({K.t().contiguous(), turn, t}, "cam 1: intrinsic matrix: expected the last row"));
    REQUIRE(refused({-K, turn, t}, "cam 1: intrinsic"));
    REQUIRE(refused({K, 2 * turn, t}, "cam 1: rotation: expected a rotation"));
    REQUIRE(refused({K, -turn, t}, "mirror"));
    REQUIRE(refused({K, turn, t + NAN}, "cam 1: translation: holds NaN"));
    REQUIRE(refused({K, turn, t, torch::zeros({3}) + 0.1}, "cam 1: distortion: expected 4, 5, 8"));
    const auto half = make_camera({K, turn, t}, "cam");
    const auto integer = make_camera({K, turn, t, {}, PixelCenter::integer}, "cam");
    REQUIRE_CLOSE(integer.camera().intrinsics - half.camera().intrinsics,
                  torch::tensor({0.f, 0.f, 0.5f, 0.5f}), 0);
}

TEST_CASE("LZF: literals, near and far copies, and nothing beyond its buffer", "[source_camera]") {
    const std::vector<uint8_t> packed = {
        2,
        'a',
        'b',
        'c',  // three as they are
        (1 << 5) | 0,
        2,  // 3 bytes from 3 back
        (7 << 5) | 0,
        3,
        0  // 12 bytes from 1 back: they overlap
    };
    std::vector<uint8_t> out(18);
    const auto unpack = [&](size_t in, size_t size) {
        return fmgs::detail::unpack_lzf(packed.data(), in, out.data(), size);
    };
    REQUIRE(unpack(packed.size(), 18) == 18);
    REQUIRE(std::string(out.begin(), out.end()) == "abcabccccccccccccc");
    REQUIRE(unpack(packed.size(), 17) == 0);
    for (const size_t cut : {2u, 5u, 7u, 8u}) REQUIRE(unpack(cut, 18) == 0);
    const std::vector<uint8_t> beyond = {0, 'a', (1 << 5) | 0, 1};
    REQUIRE(fmgs::detail::unpack_lzf(beyond.data(), beyond.size(), out.data(), 18) == 0);
}
