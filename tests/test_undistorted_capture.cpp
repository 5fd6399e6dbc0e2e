// Lens distortion through a whole capture: pictures, masks, priors and exact maps that a lens bent
// come out as those of the same subject before a pinhole, up to the interpolation.
#include <fmgs/core/io/npz.h>
#include <fmgs/data/capture.h>
#include <fmgs/data/image_io.h>
#include <torch/nn/functional/pooling.h>

#include <algorithm>

#include "support/lens.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

double person_disc(double u, double v) { return std::hypot(u - 30, v - 25) < 20 ? 1 : 0; }
double small_disc(double u, double v) { return std::hypot(u - 32, v - 22) < 6 ? 1 : 0; }
double metres(double u, double v) { return 3 + 0.2 * std::sin(u / 11) + 0.1 * std::cos(v / 8); }

/// Every kind of map of one frame, as the camera with this lens has them.
void write_subject(const fs::path& root, const std::vector<double>& lens) {
    const auto photo = [&](auto f) { return photograph(lens, f); };
    const auto both = [](auto f, auto g) {
        return [=](double u, double v) { return f(u, v) * g(u, v); };
    };
    for (const char* folder : {"images", "masks", "priors/normal", "priors/depth", "priors/seg",
                               "priors/dino", "gt/normal", "gt/depth", "gt/label"})
        fs::create_directories(root / folder);
    const auto gray = photo(scene), person = photo(person_disc);
    write_color(root / "images/a.png", torch::cat({gray, 1 - gray, gray.square()}));
    write_gray(root / "masks/a.png", (person[0] * 255).to(torch::kLong));
    const auto x = 0.4 * (gray - 0.5), y = 0.8 * (gray - 0.4);
    const auto normal = torch::cat({x, y, (1 - x.square() - y.square()).sqrt()}) * person;
    write_npy(root / "priors/normal/a.npy", npy_array(normal.contiguous()));
    write_color(root / "gt/normal/a.png", ((normal + 1) / 2));
    const auto depth = photo(both(metres, person_disc));
    write_npy(root / "priors/depth/a.npy", npy_array(depth[0].contiguous()));
    write_gray(root / "gt/depth/a.png", (depth[0] * 1000).round().to(torch::kLong), true);
    const auto labels = (3 * person[0] + 2 * photo(small_disc)[0]).to(torch::kLong);
    write_gray(root / "priors/seg/a.png", labels);
    write_gray(root / "gt/label/a.png", labels);
    write_npy(root / "priors/dino/a.npy", npy_array(torch::cat({gray, -gray}).contiguous()));
    NpzFile cameras{
        {"intrinsic",
         npy_array(torch::tensor({{50.0, 0.0, 30.5}, {0.0, 52.0, 26.0}, {0.0, 0.0, 1.0}}))},
        {"pixel_center", npy_array(torch::tensor(0.5))}};
    const bool bent = std::any_of(lens.begin(), lens.end(), [](double k) { return k != 0; });
    if (bent) cameras["dist"] = npy_array(torch::tensor(lens));
    write_npz(root / "cameras.npz", cameras);
    write_npz(root / "poses.npz", {{"betas", npy_array(torch::zeros({1, 10}))},
                                   {"global_orient", npy_array(torch::zeros({1, 3}))},
                                   {"body_pose", npy_array(torch::zeros({1, 69}))},
                                   {"transl", npy_array(torch::tensor({{0.F, 0.F, 3.F}}))},
                                   {"frame_names", npy_array(std::vector<std::string>{"a"})}});
}

Frame read_frame(const fs::path& root) {
    CaptureOptions options;
    options.root = root.string();
    return read_capture(options, {{"dino", "priors/dino"}}).splits.at("train")[0];
}

/// Pixels that are further than `away` from where the map changes.
torch::Tensor inside(const torch::Tensor& map, int64_t away) {
    namespace F = torch::nn::functional;
    const auto options = F::MaxPool2dFuncOptions(2 * away + 1).stride(1).padding(away);
    const auto x = map.to(torch::kFloat).reshape({1, 1, kLensHeight, kLensWidth});
    return (F::max_pool2d(x, options) == -F::max_pool2d(-x, options))[0];
}

double largest(const torch::Tensor& difference, const torch::Tensor& where) {
    return (difference.abs() * where).max().item<double>();
}

}  // namespace

TEST_CASE("trap 24: every map of a distorted capture is the pinhole's", "[capture]") {
    const TemporaryFolder folder;
    write_subject(folder.path / "pinhole", {0, 0, 0, 0});
    const auto truth = read_frame(folder.path / "pinhole");
    for (const std::vector<double>& lens :
         {std::vector<double>{-0.3, 0.1, 0.01, -0.02}, {0.3, 0, 0, 0, 0.05}}) {
        fs::remove_all(folder.path / "bent");
        write_subject(folder.path / "bent", lens);
        const auto frame = read_frame(folder.path / "bent");
        REQUIRE_CLOSE(frame.camera.intrinsics, truth.camera.intrinsics, 0);
        const auto area = truth.maps.at("mask").sum().item<double>();
        const auto away = [&](const Maps& got, const Maps& expected, const char* name) {
            INFO(name);
            return got.at(name).to(torch::kFloat) - expected.at(name).to(torch::kFloat);
        };
        const auto in = inside(truth.maps.at("mask"), 2) * truth.maps.at("mask");
        const auto same_label = inside(truth.maps.at("semantic"), 1);

        // Linear: what the second derivatives of the maps leave over a pixel, and eight bits.
        CHECK(largest(away(frame.maps, truth.maps, "color"), in) < 0.006);
        CHECK(largest(away(frame.maps, truth.maps, "normal"), in) < 0.004);
        CHECK(largest(away(frame.truth, truth.truth, "normal"), in) < 0.012);
        CHECK(largest(away(frame.maps, truth.maps, "dino"), in) < 0.003);
        CHECK(largest(away(frame.truth, truth.truth, "depth"), in) < 0.002);
        CHECK(largest(away(frame.maps, truth.maps, "depth"), in) < 0.01);
        const auto length = frame.maps.at("normal").norm(2, 0, true);
        CHECK(largest(length - 1, in) < 4.3e-4);  // kept as halves: √3·2^-12
        // Like areas: half a pixel along the border of the disc at most.
        CHECK(away(frame.maps, truth.maps, "mask").abs().sum().item<double>() < 0.06 * area);
        CHECK(std::abs(away(frame.maps, truth.maps, "mask").sum().item<double>()) < 0.03 * area);
        // Nearest: labels stay labels.
        for (const auto& [got, expected] :
             {std::pair{frame.maps, truth.maps}, {frame.truth, truth.truth}}) {
            const auto& labels = got.at("semantic");
            CHECK(((labels == 0) | (labels == 3) | (labels == 5)).all().item<bool>());
            CHECK(largest(away(got, expected, "semantic"), same_label) == 0);
        }
        // There was something to undo.
        const auto bent = photograph(lens, scene) - pixels(scene);
        CHECK(largest(bent, in) > 0.02);
    }
}
