#include <fmgs/data/gltf/splat_glb.h>

#include <fmgs/core/check.h>
#include <fmgs/core/color_space.h>
#include <fmgs/core/io/splat_file.h>
#include <fmgs/data/gltf/glb.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace fmgs {

void write_splat_glb(const std::filesystem::path& file, const PosedSurfels& surfels) {
    constexpr double kThickness = 1e-6;  // metres
    const int64_t n = surfels.center.size(0);
    const auto* color = surfels.features.find("color");
    if (!color) throw Error(fmt::format("{}: the surfels have no feature 'color'", file.string()));
    check_shape(*color, {n, 3}, "color");
    check_shape(surfels.opacity, {n, 1}, "opacity");
    const auto frames = ellipse_frames(surfels.tangents);
    const auto q = frames.quaternion;
    const auto thickness = torch::full({n, 1}, kThickness, q.options());
    const auto f = [&](const torch::Tensor& x) {
        const auto y = x.to(torch::kCPU, torch::kFloat);
        if (!y.isfinite().all().item<bool>())
            throw Error(fmt::format("{}: not written: surfels are not finite", file.string()));
        return y;
    };
    GlbBuffer buffer;
    const std::string prefix = "KHR_gaussian_splatting:";
    nlohmann::json attributes;
    attributes["POSITION"] = buffer.add(f(surfels.center), GlbUse::kPositions);
    attributes[prefix + "ROTATION"] =
        buffer.add(f(torch::cat({q.slice(1, 1, 4), q.slice(1, 0, 1)}, 1)), GlbUse::kVertices);
    attributes[prefix + "SCALE"] =
        buffer.add(f(torch::cat({frames.scale, thickness}, 1)), GlbUse::kVertices);
    attributes[prefix + "OPACITY"] = buffer.add(f(surfels.opacity).squeeze(1), GlbUse::kVertices);
    attributes[prefix + "SH_DEGREE_0_COEF_0"] =
        buffer.add(f((*color - 0.5) / kHarmonicsConstant), GlbUse::kVertices);
    attributes["COLOR_0"] =
        buffer.add(torch::cat({f(linear_color(*color)), f(surfels.opacity)}, 1), GlbUse::kVertices);
    const nlohmann::json extension{{"kernel", "ellipse"},
                                   {"colorSpace", "srgb_rec709_display"},
                                   {"projection", "perspective"},
                                   {"sortingMethod", "cameraDistance"}};
    nlohmann::json primitive{{"mode", 0}, {"attributes", attributes}};
    primitive["extensions"]["KHR_gaussian_splatting"] = extension;
    nlohmann::json root;
    root["extensionsUsed"] = nlohmann::json::array({"KHR_gaussian_splatting"});
    root["scene"] = 0;
    root["scenes"][0]["nodes"] = nlohmann::json::array({0});
    root["nodes"][0] = {{"name", "avatar"}, {"mesh", 0}};
    root["meshes"][0]["primitives"][0] = primitive;
    buffer.write(file, root.dump());
}

}  // namespace fmgs
