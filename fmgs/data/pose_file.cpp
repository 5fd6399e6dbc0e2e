#include <fmgs/data/pose_file.h>

#include <fmgs/core/body_model.h>
#include <fmgs/core/check.h>
#include <fmgs/core/io/npz_reader.h>
#include <fmt/format.h>

namespace fmgs {

namespace {

// 22 body joints: what SMPL-H and SMPL-X share with SMPL before the fingers begin
constexpr int64_t kBodyColumns = 66;

struct Reader {
    const NpzReader& file;
    std::string what;

    // The first of these keys that the file has, or an empty name.
    std::string find(std::initializer_list<const char*> keys) const {
        for (const char* key : keys) {
            if (file.contains(key)) return key;
        }
        return {};
    }

    // [F,columns] float, checked; columns < 0: any multiple of three.
    torch::Tensor rows(const std::string& key, int64_t columns) const {
        auto shape = file.header(key).shape;  // before anything is unpacked
        if (shape.size() == 3 && shape[2] == 3) shape = {shape[0], 3 * shape[1]};  // [F,J,3]
        if (shape.size() == 1) shape.insert(shape.begin(), 1);                     // one frame
        if (shape.size() != 2 || (columns >= 0 ? shape[1] != columns : shape[1] % 3 != 0)) {
            throw Error(fmt::format("{}: {}: expected [frames,{}], got {}", what, key,
                                    columns >= 0 ? std::to_string(columns) : "3 per joint",
                                    shape_text(file.header(key).shape)));
        }
        const auto x = file.tensor(key).to(torch::kFloat).reshape(shape);
        const auto bad = (~x.isfinite().all(1)).nonzero();
        if (bad.size(0) > 0) {
            throw Error(fmt::format(
                "{}: {}: row {} holds NaN or infinity, expected finite numbers; fit this frame "
                "again or leave it out",
                what, key, bad[0].item<int64_t>()));
        }
        return x;
    }

    std::string text(const std::string& key) const {
        const auto values = file.strings(key);
        return values.empty() ? std::string() : values[0];
    }
    double number(const std::string& key) const {
        const auto shape = file.header(key).shape;
        if (c10::multiply_integers(shape) != 1)
            throw Error(
                fmt::format("{}: {}: expected one number, got {}", what, key, shape_text(shape)));
        return file.tensor(key).to(torch::kDouble).item<double>();
    }
};

void read_rotations(const Reader& in, PoseFile& out) {
    if (const auto orient = in.find({"global_orient", "root_orient"}); !orient.empty()) {
        const auto body = in.find({"body_pose", "pose_body"});
        if (body.empty()) {
            throw Error(
                fmt::format("{}: there is {}, expected body_pose [frames,69] beside it; keys: {}",
                            in.what, orient, in.file.keys()));
        }
        out.global_orient = in.rows(orient, 3);
        out.body_pose = in.rows(body, -1);
        out.layout = orient + " + " + body;
    } else if (const auto whole = in.find({"thetas", "poses", "pose", "smpl_poses"});
               !whole.empty()) {
        auto rows = in.rows(whole, -1);
        if (rows.size(1) < 6)
            throw Error(fmt::format("{}: {}: expected at least 6 columns, got {}", in.what, whole,
                                    rows.size(1)));
        out.layout = fmt::format("{} [{},{}]", whole, rows.size(0), rows.size(1));
        if (rows.size(1) == 156 || rows.size(1) == 165) {
            // Columns 66.. are a jaw or fingers; taken as SMPL's hand joints they would twist the
            // wrists.
            rows = rows.narrow(1, 0, kBodyColumns);
            out.layout += ", AMASS, its first 22 joints";
            out.up_axis = "z";
        }
        out.global_orient = rows.narrow(1, 0, 3).contiguous();
        out.body_pose = rows.narrow(1, 3, rows.size(1) - 3).contiguous();
    } else {
        throw Error(fmt::format(
            "{}: no poses; expected global_orient and body_pose, or thetas, or poses; keys: {}",
            in.what, in.file.keys()));
    }
}

void read_translation(const Reader& in, PoseFile& out) {
    const auto key = in.find({"transl", "trans", "smpl_trans"});
    out.transl = key.empty() ? torch::zeros({out.global_orient.size(0), 3}) : in.rows(key, 3);
    if (in.file.contains("smpl_scaling")) {
        const double scale = in.number("smpl_scaling");
        if (!(scale > 0))
            throw Error(fmt::format("{}: smpl_scaling: expected a positive number, got {}", in.what,
                                    scale));
        out.transl = out.transl / scale;  // AIST++ counts in units of the fitted body
        out.up_axis = "y";
    }
    const int64_t frames = out.global_orient.size(0);
    if (out.body_pose.size(0) != frames || out.transl.size(0) != frames) {
        throw Error(fmt::format(
            "{}: rows that do not match: {} root orientations, {} body poses, {} translations",
            in.what, frames, out.body_pose.size(0), out.transl.size(0)));
    }
    if (frames == 0) throw Error(fmt::format("{}: expected at least one frame, got none", in.what));
}

void read_betas(const Reader& in, PoseFile& out) {
    if (!in.file.contains("betas")) return;
    auto betas = in.file.tensor("betas").to(torch::kFloat);
    if (betas.dim() == 2 && betas.size(0) >= 1)
        betas = betas.mean(0);  // one body for the whole file
    if (betas.dim() != 1 || !betas.isfinite().all().item<bool>()) {
        throw Error(
            fmt::format("{}: betas: expected finite numbers [B], [1,B] or [frames,B], got {}",
                        in.what, shape_text(in.file.header("betas").shape)));
    }
    out.betas = betas;
}

}  // namespace

BodyPose PoseFile::pose(int64_t i, int64_t joint_count) const {
    return smpl_pose(global_orient[i], body_pose[i], transl[i], joint_count);
}

PoseFile read_pose_file(const std::filesystem::path& path) {
    const NpzReader file(path);
    const Reader in{file, path.string()};
    PoseFile out;
    read_rotations(in, out);
    read_translation(in, out);
    read_betas(in, out);
    if (const auto key = in.find({"fps", "mocap_framerate", "mocap_frame_rate"}); !key.empty()) {
        out.fps = in.number(key);
        if (!(out.fps > 0))
            throw Error(
                fmt::format("{}: {}: expected a positive rate, got {}", in.what, key, out.fps));
        if (key != "fps") out.up_axis = "z";
    }
    if (file.contains("up_axis")) {
        out.up_axis = in.text("up_axis");
        if (out.up_axis != "y" && out.up_axis != "z" && out.up_axis != "-y") {
            throw Error(
                fmt::format("{}: up_axis: expected y, z or -y, got '{}'", in.what, out.up_axis));
        }
    }
    if (file.contains("frame_names")) {
        out.names = file.strings("frame_names");
        if (static_cast<int64_t>(out.names.size()) != out.count()) {
            throw Error(fmt::format("{}: {} frame_names for {} rows of poses", in.what,
                                    out.names.size(), out.count()));
        }
    }
    return out;
}

void write_pose_file(const std::filesystem::path& file, const PoseFile& poses) {
    check_shape(poses.betas, {-1}, "poses to be written: betas");
    check_shape(poses.global_orient, {-1, 3}, "poses to be written: global_orient");
    check_shape(poses.body_pose, {poses.count(), -1}, "poses to be written: body_pose");
    check_shape(poses.transl, {poses.count(), 3}, "poses to be written: transl");
    const auto real = [](const torch::Tensor& x) {
        return npy_array(x.detach().to(torch::kCPU, torch::kFloat).contiguous());
    };
    write_npz(file, {{"betas", real(poses.betas.reshape({1, -1}))},
                     {"global_orient", real(poses.global_orient)},
                     {"body_pose", real(poses.body_pose)},
                     {"transl", real(poses.transl)},
                     {"frame_names", npy_array(poses.names)}});
}

}  // namespace fmgs
