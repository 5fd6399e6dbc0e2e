// SAM 3D Body: vertices of MHR, from which SMPL's pose is fitted.
#include <fmgs/core/body.h>
#include <fmgs/core/check.h>
#include <fmgs/core/joints.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/fit_pose.h>
#include <fmgs/data/fits/arrays.h>
#include <fmgs/data/fits/mhr.h>
#include <fmt/format.h>
#include <torch/utils.h>

#include <cmath>
#include <map>

namespace fmgs::detail {

namespace {

bool is_sam_frame(const Value& value) {
    return value.contains("pred_vertices") && value.contains("pred_cam_t");
}

bool is_sam_body(const Value& value) {
    if (is_sam_frame(value)) return true;
    if (!value.is_dict() || value.dict().empty()) return false;
    for (const auto& [key, entry] : value.dict()) {
        if (!key.is_text() || !is_sam_frame(entry)) return false;
    }
    return true;
}

struct SolvedCamera {
    torch::Tensor K;      // [3,3]
    double residual = 0;  // root mean square, pixels
};

// The pinhole f, cx, cy that takes the key points where the file has them: u = f X/Z + cx, v = f
// Y/Z
// + cy. Least squares of a linear system: for any f the best c is the mean of what is left, and so
// f is the slope of the centred pixels over the centred rays.
SolvedCamera solve_camera(const Arrays& in) {
    const auto points = in.numbers("pred_keypoints_3d", {-1, 3}) + in.numbers("pred_cam_t", {3});
    const auto pixels = in.numbers("pred_keypoints_2d", {-1, 2});
    if (points.size(0) != pixels.size(0) || points.size(0) < 3)
        throw Error(
            fmt::format("{}: expected as many key points in the picture as in space, at "
                        "least three, got {} and {}",
                        in.what(), pixels.size(0), points.size(0)));
    const auto z = points.slice(1, 2, 3);
    if (!(z.min().item<double>() > 1e-3))
        throw Error(
            fmt::format("{}: expected key points in front of the camera, got one at "
                        "{:.3g} m",
                        in.what(), z.min().item<double>()));
    const auto ray = points.slice(1, 0, 2) / z;
    const auto ray_mean = ray.mean(0), pixel_mean = pixels.mean(0);
    const double spread = (ray - ray_mean).square().sum().item<double>();
    double focal = 0;
    if (in.has("focal_length")) {
        focal = in.numbers("focal_length", {-1})[0].item<double>();
    } else if (spread > 1e-12) {
        focal = ((ray - ray_mean) * (pixels - pixel_mean)).sum().item<double>() / spread;
    }
    if (!(focal > 1))
        throw Error(
            fmt::format("{}: expected key points that a camera can see, their focal length "
                        "would be {:.3g}",
                        in.what(), focal));
    const auto center = pixel_mean - focal * ray_mean;
    SolvedCamera out;
    out.K = torch::diag(torch::tensor({focal, focal, 1.0}, torch::kDouble));
    out.K.slice(0, 0, 2).select(1, 2).copy_(center);
    out.residual = std::sqrt((focal * ray + center - pixels).square().sum(1).mean().item<double>());
    if (out.residual > 3)
        throw Error(
            fmt::format("{}: no camera takes its key points to where they are in the "
                        "picture (off by {:.3g} pixels)",
                        in.what(), out.residual));
    return out;
}

// "photo_subj01" → person "1" in frame "photo".
void split_name(const std::string& stem, Row& row) {
    row.name = stem;
    row.person = "0";
    const auto at = stem.rfind("_subj");
    if (at == stem.npos || at + 5 >= stem.size() ||
        stem.find_first_not_of("0123456789", at + 5) != stem.npos)
        return;
    row.person = std::to_string(number_in(stem, 0));
    row.name = stem.substr(0, at);
}

const Body& body_of(const FitInput& input) {
    const Body* body = input.options.body;
    if (!body)
        throw Error(
            fmt::format("{}: SAM 3D Body has MHR's vertices; expected a body to fit to "
                        "them; name one",
                        input.what));
    if (body->shaped().size(0) != kSmplVertices || body->joint_count() != smpl::kJoints)
        throw Error(fmt::format(
            "{}: SAM 3D Body's vertices are carried to SMPL's mesh of {} vertices and 24 joints; "
            "the body has {} and {}, for which there is no map",
            input.what, kSmplVertices, body->shaped().size(0), body->joint_count()));
    return *body;
}

// Median length of the edges of a body's faces between these vertices [V,3].
double edge_length(const torch::Tensor& faces, const torch::Tensor& vertices) {
    const auto from = vertices.index_select(0, faces.select(1, 0));
    const auto to = vertices.index_select(0, faces.select(1, 1));
    return (to - from).norm(2, 1).median().item<double>();
}

// As many vertices as SMPL's say little: in another order the faces would be torn.
void check_order(const Body& body, const torch::Tensor& target, const std::string& what) {
    const auto faces = body.canonical().faces.to(torch::kCPU);
    const double ours = edge_length(faces, body.shaped().to(torch::kCPU, torch::kDouble));
    const double theirs = edge_length(faces, target);
    if (theirs < 3 * ours) return;
    throw Error(fmt::format(
        "{}: SAM 3D Body's vertices are carried to SMPL's mesh; the body has as many vertices, but "
        "they are others, and there is no map for it: its edges of {:.0f} mm would be {:.0f} mm "
        "long",
        what, 1000 * ours, 1000 * theirs));
}

Fit read_sam_body(const FitInput& input) {
    const Body& body = body_of(input);
    auto folder = input.options.mhr_folder;
    if (folder.empty()) folder = input.is_folder ? input.path : input.path.parent_path();
    const auto map = read_mhr_map(folder);
    std::vector<Row> rows;
    std::map<std::string, BodyPose> last;  // of each person
    double residual = 0, camera_residual = 0;
    const auto rest_root = body.joints()[0].to(torch::kCPU, torch::kDouble);
    const auto add = [&](const Value& value, const std::string& stem, int64_t number) {
        const Arrays in(value,
                        input.is_folder ? fmt::format("{}/{}", input.what, stem) : input.what);
        const auto vertices = in.numbers("pred_vertices", {kMhrVertices, 3});
        const auto target = map.apply(vertices) + in.numbers("pred_cam_t", {3});
        check_order(body, target, in.what());
        Row row{.frame = number};
        split_name(stem, row);
        const auto before = last.find(row.person);
        const auto fit = fit_pose(
            body, target, before == last.end() ? std::nullopt : std::optional(before->second));
        last[row.person] = fit.pose;
        row.rotations = log_map(fit.pose.rotations.to(torch::kDouble)).reshape({-1});
        row.transl = fit.pose.translation.to(torch::kDouble) + rest_root;
        const auto camera = solve_camera(in);
        row.intrinsics = camera.K;
        residual = std::max(residual, fit.residual);
        camera_residual = std::max(camera_residual, camera.residual);
        rows.push_back(std::move(row));
    };
    if (is_sam_frame(input.value)) {
        add(input.value, input.path.stem().string(), 0);
    } else {
        int64_t number = 0;
        for (const auto& [key, entry] : input.value.dict()) {
            Row name;
            split_name(key.text(), name);
            add(entry, key.text(), number_in(name.name, number++));
        }
    }
    Fit fit;
    fit.layout = "SAM 3D Body";
    fit.up_axis = "-y";
    fit.notes = {
        fmt::format("SMPL's pose fitted to MHR's vertices, {:.1f} mm off", 1000 * residual),
        fmt::format("camera solved from its key points, {:.1g} px off", camera_residual)};
    fit.people = tracks_of(std::move(rows), input.what, fit.notes);
    for (auto& track : fit.people) track.place = Place::kRoot;
    return fit;
}

}  // namespace

const FitLayout kSamBody{"SAM 3D Body", is_sam_body, read_sam_body};

}  // namespace fmgs::detail
