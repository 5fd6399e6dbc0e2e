#include <fmgs/run/map_values.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/npz.h>
#include <fmgs/data/image_io.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/types.h>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

/// The map on the CPU, 0 where nothing is drawn.
torch::Tensor drawn(const Maps& maps, const char* name) {
    const auto map = maps.at(name).to(torch::kCPU, torch::kFloat);
    return torch::where(maps.at("alpha").to(torch::kCPU) > 0.5, map, 0);
}

void write_millimetres(const fs::path& file, const torch::Tensor& depth) {
    constexpr int64_t kMost = 65535;
    const auto steps = depth[0].to(torch::kDouble).mul(1000).round().to(torch::kLong);
    const auto most = steps.max().item<int64_t>();
    if (most > kMost)
        throw Error(
            fmt::format("{}: expected a depth of at most {:g} m, which 16 bits of millimetres "
                        "hold, got {:g} m; "
                        "take depth_m",
                        file.string(), kMost / 1000.0, static_cast<double>(most) / 1000));
    write_gray(file, steps, /*bits16=*/true);
}

}  // namespace

const std::vector<std::string>& map_value_names() {
    static const std::vector<std::string> names = {"depth_mm", "depth_m", "normal_xyz"};
    return names;
}

void write_map_values(const fs::path& folder, const std::string& name, int64_t k,
                      const Maps& maps) {
    const auto file = folder / name / fmt::format("{:06d}", k);
    if (name == "depth_mm") {
        write_millimetres(file.string() + ".png", drawn(maps, "depth"));
    } else if (name == "depth_m") {
        write_npy(file.string() + ".npy", npy_array(drawn(maps, "depth")[0].contiguous()));
    } else if (name == "normal_xyz") {
        const auto flip = torch::tensor({1.F, -1.F, -1.F}).view({3, 1, 1});
        // + 0: no negative zeros
        const auto normal = (drawn(maps, "normal") * flip + 0).permute({1, 2, 0});
        write_npy(file.string() + ".npy", npy_array(normal.contiguous()));
    } else {
        throw Error(
            fmt::format("values: expected {}, got '{}'", fmt::join(map_value_names(), ", "), name));
    }
}

}  // namespace fmgs
