#include <fmgs/data/layouts/nerfstudio_camera.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace fmgs {

namespace {

// What stands for all frames may stand in each.
struct Shot {
    const Fields& all;
    Fields frame;

    const Fields* of(const char* key) const {
        return frame.has(key) ? &frame : all.has(key) ? &all : nullptr;
    }
    double number(const char* key, double otherwise) const {
        const auto* in = of(key);
        return in ? in->number(key) : otherwise;
    }
};

/// A camera from `given`, its rows camera → world with OpenGL's axes: y up, z backwards.
SourceCamera opengl_camera(const torch::Tensor& K, const std::vector<double>& distortion,
                           const Fields& given, const SourceCamera& size) {
    const auto matrix = given.numbers({12, 16}).reshape({-1, 4});
    if (matrix.size(0) == 4) {
        const auto last = matrix[3] - torch::tensor({0.0, 0.0, 0.0, 1.0}, torch::kDouble);
        if (last.abs().max().item<double>() > 1e-6)
            throw Error(fmt::format("{}: expected the last row to be 0,0,0,1; is it transposed?",
                                    given.what));
    }
    const auto R = nearest_rotation(matrix.slice(0, 0, 3).slice(1, 0, 3), given.what) *
                   torch::tensor({1.0, -1.0, -1.0}, torch::kDouble);
    const auto t = -torch::mv(R.t(), matrix.slice(0, 0, 3).select(1, 3));
    auto camera = make_camera({K, R.t(), t, torch::tensor(distortion, torch::kDouble)}, given.what);
    camera.width = size.width;
    camera.height = size.height;
    return camera;
}

}  // namespace

SourceCamera nerfstudio_camera(const Fields& all, const Fields& frame) {
    const Shot shot{all, frame};
    if (const auto* in = shot.of("camera_model")) {
        const auto model = in->at("camera_model").text();
        if (model.find("FISHEYE") != std::string::npos || model == "EQUIRECTANGULAR")
            throw Error(
                fmt::format("{}: camera_model {} is not a pinhole with OpenCV's "
                            "distortion; undistort the pictures first",
                            in->what, model));
    }
    SourceCamera size;
    if (const auto* in = shot.of("w")) size.width = in->pixels("w");
    if (const auto* in = shot.of("h")) size.height = in->pixels("h");
    double fx = shot.number("fl_x", 0);
    if (fx == 0) {
        const auto* in = shot.of("camera_angle_x");
        if (!in || size.width == 0)
            throw Error(fmt::format("{}: expected fl_x, or camera_angle_x and w", shot.frame.what));
        fx = 0.5 * static_cast<double>(size.width) / std::tan(0.5 * in->number("camera_angle_x"));
    }
    if ((!shot.of("cx") || !shot.of("cy")) && (size.width == 0 || size.height == 0))
        throw Error(fmt::format("{}: expected cx and cy, or w and h", shot.frame.what));
    const auto K = intrinsic_of(fx, shot.number("fl_y", fx),
                                shot.number("cx", 0.5 * static_cast<double>(size.width)),
                                shot.number("cy", 0.5 * static_cast<double>(size.height)));
    std::vector<double> dist;
    for (const char* key : {"k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6"})
        dist.push_back(shot.number(key, 0));
    return opengl_camera(K, dist, shot.frame.at("transform_matrix"), size);
}

SourceCamera nerfstudio_path_camera(const Fields& all, const Fields& entry) {
    for (const auto* in : {&entry, &all}) {
        if (!in->has("camera_type")) continue;
        const auto type = in->at("camera_type").text();
        if (type != "perspective")
            throw Error(
                fmt::format("{}: camera_type: expected perspective, got {}; other lenses "
                            "cannot be drawn",
                            in->what, type));
    }
    SourceCamera size;
    size.height = all.pixels("render_height");
    const auto height = static_cast<double>(size.height);
    if (all.has("render_width")) {
        size.width = all.pixels("render_width");
    } else {
        constexpr double kWidest = 1 << 20;
        const double width = entry.number("aspect") * height;
        if (!(width >= 0.5 && width <= kWidest))
            throw Error(fmt::format("{}: aspect: expected width over height, got {}", entry.what,
                                    entry.number("aspect")));
        size.width = std::llround(width);
    }
    const double fov = entry.number("fov");
    if (!(fov > 0 && fov < 180))
        throw Error(
            fmt::format("{}: fov: expected degrees between 0 and 180, got {}", entry.what, fov));
    const double focal = 0.5 * height / std::tan(0.5 * fov * std::numbers::pi / 180);
    const auto K = intrinsic_of(focal, focal, 0.5 * static_cast<double>(size.width), 0.5 * height);
    return opengl_camera(K, {}, entry.at("camera_to_world"), size);
}

}  // namespace fmgs
