// HumanNeRF's prepared captures, with GoMAvatar's additions, and its "wild" ones.
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/file_names.h>
#include <fmgs/data/layouts/fields.h>
#include <fmgs/data/layouts/frame_set.h>
#include <fmgs/data/layouts/layouts.h>
#include <fmgs/data/mask_folder.h>
#include <fmt/format.h>

#include <algorithm>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

// The keys of a dictionary by frame, naturally sorted.
std::vector<std::string> frame_keys(const Fields& in) {
    std::vector<std::string> keys;
    if (!in.value.is_dict())
        throw Error(fmt::format("{}: expected a dictionary by frame, got {}", in.what,
                                in.value.description()));
    for (const auto& [key, entry] : in.value.dict()) {
        if (!key.is_text())
            throw Error(fmt::format("{}: expected names of frames as keys, got {}", in.what,
                                    key.description()));
        keys.push_back(key.text());
    }
    std::sort(keys.begin(), keys.end(), natural_less);
    return keys;
}

void set_numbers(const std::vector<std::string>& keys, FrameSet& set) {
    for (size_t i = 0; i < keys.size(); ++i) {
        const int64_t number = frame_number(keys[i]);
        set.numbers.push_back(number < 0 ? static_cast<int64_t>(i) : number);
    }
}

FrameSource frame_source(const fs::path& root, const MaskFolder& masks, const std::string& name,
                         const SourceCamera& camera) {
    FrameSource frame;
    frame.name = name;
    frame.picture = find_picture(root / "images", name);
    frame.mask = masks.of(name, frame.picture);
    frame.folder = root;
    frame.camera = camera;
    return frame;
}

SourceCamera read_camera(const Fields& in, const char* K, const char* E, const torch::Tensor& dist,
                         PixelCenter center) {
    const auto extrinsic = in.numbers(E, {16}).reshape({4, 4});
    const auto last = extrinsic[3] - torch::tensor({0.0, 0.0, 0.0, 1.0}, torch::kDouble);
    if (last.abs().max().item<double>() > 1e-6)
        throw Error(fmt::format("{}: {}: expected the last row to be 0,0,0,1; is it transposed?",
                                in.what, E));
    return make_camera({in.numbers(K, {9}), extrinsic.slice(0, 0, 3).slice(1, 0, 3),
                        extrinsic.slice(0, 0, 3).select(1, 3), dist, center},
                       in.what);
}

// metadata.json: SMPL without a translation before a camera that moves.
CaptureSource read_wild(const CaptureRequest& request) {
    const auto root = request.root();
    const Fields metadata(root / "metadata.json");
    const auto keys = frame_keys(metadata);
    CaptureSource out;
    out.description = "HumanNeRF, wild";
    FrameSet set;
    set.cameras = {""};
    set.pose_path = root / "metadata.json";
    set_numbers(keys, set);
    const MaskFolder masks(root, out.notes);
    set.pose = [&](size_t k) {
        const auto in = metadata.at(keys[k]);
        return SourcePose{in.angles("poses", 24), torch::zeros({3}, torch::kDouble),
                          in.optional("betas", {})};
    };
    set.frame = [&](size_t, size_t k) {
        return frame_source(root, masks, keys[k],
                            read_camera(metadata.at(keys[k]), "cam_intrinsics", "cam_extrinsics",
                                        {}, PixelCenter::half));
    };
    add_splits(request, set, out);
    out.notes.push_back(center_note(PixelCenter::half, metadata.what));
    return out;
}

/// mesh_infos.pkl: rotations and rest joints of each frame, no betas.
struct Meshes {
    Fields infos;
    std::vector<std::string> keys;
    torch::Tensor betas;  // [b]
    bool centred;         // about the pelvis: wild; else about the origin: ZJU-MoCap
};

Meshes open_meshes(const CaptureRequest& request, std::vector<std::string>& notes) {
    const auto root = request.root();
    Meshes out{Fields(root / "mesh_infos.pkl"), {}, {}, false};
    out.keys = frame_keys(out.infos);
    if (out.keys.empty()) throw Error(fmt::format("{}: expected frames, got none", out.infos.what));
    const auto first = out.infos.at(out.keys.front());
    const auto joints = first.numbers("tpose_joints", {}).reshape({-1, 3});
    out.centred = joints[0].abs().max().item<double>() < 1e-6;
    if (is_there(root / "avg_betas.npy")) {
        out.betas = Fields(root / "avg_betas.npy").numbers({});
        return out;
    }
    // HumanNeRF drops the betas, but the rest joints follow from them.
    constexpr double kRounding = 0.005;  // metres
    const RestJoints& rest = request.rest;
    const auto [betas, left] = rest.betas_of(joints, 10, out.infos.what);
    notes.push_back(
        fmt::format("{}: no betas in it; found from its rest joints, which the body "
                    "meets to {:.1f} mm{}",
                    out.infos.what, 1000 * left,
                    left > kRounding ? ": is data.body the body it was made with?" : ""));
    out.betas = betas;
    return out;
}

SourcePose mesh_pose(const Meshes& meshes, size_t k) {
    const auto in = meshes.infos.at(meshes.keys[k]);
    return pose_of_rh_th(in.angles("poses", 24), in.numbers("Rh", {3}), in.numbers("Th", {3}),
                         in.numbers("tpose_joints", {}).slice(0, 0, 3), meshes.betas);
}

CaptureSource read_prepared(const CaptureRequest& request) {
    const auto root = request.root();
    const Fields cameras(root / "cameras.pkl");
    CaptureSource out;
    const auto meshes = open_meshes(request, out.notes);
    const auto center = meshes.centred ? PixelCenter::half : PixelCenter::integer;
    out.description = meshes.centred ? "HumanNeRF, wild, prepared" : "HumanNeRF, prepared";
    FrameSet set;
    set.cameras = {""};
    set.pose_path = root / "mesh_infos.pkl";
    set.place = Place::kRoot;
    set_numbers(meshes.keys, set);
    set.pose = [&](size_t k) { return mesh_pose(meshes, k); };
    const MaskFolder masks(root, out.notes);
    set.frame = [&](size_t, size_t k) {
        const auto in = cameras.at(meshes.keys[k]);
        return frame_source(root, masks, meshes.keys[k],
                            read_camera(in, "intrinsics", "extrinsics",
                                        in.optional("distortions", {4, 5, 8}), center));
    };
    add_splits(request, set, out);
    out.notes.push_back(fmt::format("{}: rotations are about the {}", meshes.infos.what,
                                    meshes.centred ? "pelvis" : "origin"));
    out.notes.push_back(center_note(center, cameras.what));
    return out;
}

}  // namespace

Layout humannerf_wild_layout() {
    return {"HumanNeRF's wild captures", "metadata.json",
            [](const fs::path& root) { return is_there(root / "metadata.json"); }, read_wild};
}

Layout humannerf_layout() {
    return {"HumanNeRF's prepared captures", "cameras.pkl with mesh_infos.pkl",
            [](const fs::path& root) {
                return is_there(root / "cameras.pkl") && is_there(root / "mesh_infos.pkl");
            },
            read_prepared};
}

}  // namespace fmgs
