// Results of WHAM, VIBE, PARE, GVHMR, GLAMR, TRAM and Meshcapade: arrays over time, per person.
#include <fmgs/core/check.h>
#include <fmgs/data/fits/arrays.h>
#include <fmt/format.h>

namespace fmgs::detail {

namespace {

std::string name_of(const Value& key) {
    return key.is_text() ? key.text() : key.is_number() ? std::to_string(key.integer()) : "";
}

using Test = bool (*)(const Value&);

// A dictionary of persons, all of which pass the test.
bool all_entries(const Value& value, Test test) {
    if (!value.is_dict() || value.dict().empty()) return false;
    for (const auto& [key, entry] : value.dict()) {
        if (name_of(key).empty() || !test(entry)) return false;
    }
    return true;
}

// Neither GVHMR nor GLAMR keeps the size of the pictures; both put the principal point in their
// middle.
void set_size_from_center(Track& track, Fit& fit) {
    if (!track.intrinsics.defined()) return;
    const auto K = track.intrinsics.reshape({-1, 3, 3})[0];
    track.width = std::llround(2 * K[0][2].item<double>());
    track.height = std::llround(2 * K[1][2].item<double>());
    fit.notes.push_back(fmt::format("pictures taken to be {}x{}, twice its principal point",
                                    track.width, track.height));
}

// ---- WHAM ----

bool is_wham_person(const Value& value) {
    return value.contains("pose") && (value.contains("trans") || value.contains("trans_world"));
}
bool is_wham(const Value& value) { return all_entries(value, is_wham_person); }

Fit read_wham(const FitInput& input) {
    Fit fit;
    fit.layout = "WHAM";
    // Without calibration WHAM takes the diagonal of the picture for its focal length.
    fit.camera = FitCamera{.focal_per_diagonal = 1, .origin = "WHAM's, the picture's diagonal"};
    bool any_world = false;
    for (const auto& [key, entry] : input.value.dict()) {
        const Arrays in(entry, fmt::format("{}: person {}", input.what, name_of(key)));
        const bool world = input.options.world && in.has("pose_world") && in.has("trans_world");
        any_world |= world;
        Track track;
        track.person = name_of(key);
        track.rotations = in.rotations(world ? "pose_world" : "pose");
        check_smpl_columns(track.rotations, in.what());
        track.transl = in.numbers_or_none(world ? "trans_world" : "trans", {-1, 3});
        if (world) track.place = Place::kHips;
        track.betas = in.betas("betas");
        if (in.has("frame_ids")) track.frames = in.integers("frame_ids");
        fit.people.push_back(std::move(track));
    }
    fit.up_axis = any_world ? "y" : "-y";
    fit.notes.push_back(any_world ? "in its world" : "in the camera's frame");
    return fit;
}

// ---- VIBE and PARE ----

bool is_vibe_person(const Value& value) {
    return value.contains("pose") && first_key(value, {"orig_cam", "pred_cam"}) &&
           !value.contains("trans");
}
bool is_vibe(const Value& value) { return all_entries(value, is_vibe_person); }

// orig_cam: x = sx (X + tx), y = sy (Y + ty) in the picture's own [-1,1]². The pinhole with the
// picture's diagonal as focal length that agrees at the root: z = 2 √(1 + (h/w)²) / sx, h/w =
// sx/sy.
torch::Tensor place_of_weak_camera(const torch::Tensor& camera, const std::string& what) {
    const auto sx = camera.select(1, 0), sy = camera.select(1, 1);
    if (!(torch::minimum(sx, sy).min().item<double>() > 1e-3))
        throw Error(fmt::format("{}: orig_cam: expected positive scales, got {:g}", what,
                                torch::minimum(sx, sy).min().item<double>()));
    const auto depth = 2 * (1 + (sx / sy).pow(2)).sqrt() / sx;
    return torch::stack({camera.select(1, 2), camera.select(1, 3), depth}, 1);
}

Fit read_vibe(const FitInput& input) {
    Fit fit;
    fit.layout = "VIBE or PARE";
    fit.up_axis = "-y";
    for (const auto& [key, entry] : input.value.dict()) {
        const Arrays in(entry, fmt::format("{}: person {}", input.what, name_of(key)));
        Track track;
        track.person = name_of(key);
        track.rotations = in.rotations("pose");
        check_smpl_columns(track.rotations, in.what());
        track.betas = in.betas("betas");
        if (in.has("orig_cam")) {
            track.transl = place_of_weak_camera(in.numbers("orig_cam", {-1, 4}), in.what());
            fit.camera = FitCamera{.focal_per_diagonal = 1,
                                   .origin = "made for its weak perspective, the diagonal"};
        }
        if (in.has("frame_ids")) track.frames = in.integers("frame_ids");
        fit.people.push_back(std::move(track));
    }
    return fit;
}

// ---- GVHMR ----

bool is_gvhmr(const Value& value) {
    return first_key(value, {"smpl_params_global", "smpl_params_incam"}) != nullptr;
}

Fit read_gvhmr(const FitInput& input) {
    const bool world = input.value.contains("smpl_params_global") &&
                       (input.options.world || !input.value.contains("smpl_params_incam"));
    const char* key = world ? "smpl_params_global" : "smpl_params_incam";
    if (!input.value.contains(key))
        throw Error(fmt::format("{}: expected {}; keys: {}", input.what, key, input.value.keys()));
    const Arrays in(input.value[key], fmt::format("{}: {}", input.what, key));
    Fit fit;
    fit.layout = "GVHMR";
    fit.up_axis = world ? "y" : "-y";
    fit.fps = 30;  // to which it re-encodes every video
    fit.notes = {world ? "in its world" : "in the camera's frame",
                 "SMPL-X: 22 joints, betas left out"};
    Track track;
    track.rotations =
        joined_rotations(in.rotations("global_orient"), in.rotations("body_pose"), in.what());
    check_smpl_columns(track.rotations, in.what());
    track.transl = in.numbers("transl", {-1, 3}) + smplx_rest_root();
    track.place = Place::kRoot;
    if (!world)
        track.intrinsics = Arrays(input.value, input.what).numbers_or_none("K_fullimg", {-1, 3, 3});
    set_size_from_center(track, fit);
    fit.people.push_back(std::move(track));
    return fit;
}

// ---- GLAMR ----

bool is_glamr_person(const Value& value) {
    return value.contains("smpl_pose") &&
           first_key(value, {"smpl_orient_cam", "smpl_orient_world"}) != nullptr;
}
const Value& glamr_people(const Value& value) {
    return value.contains("person_data") ? value["person_data"] : value;
}
bool is_glamr(const Value& value) { return all_entries(glamr_people(value), is_glamr_person); }

// Rows of frames in which the person was not seen are GLAMR's guess: good for a motion, not for a
// picture.
void keep_seen_rows(Track& track, const Arrays& in, Fit& fit) {
    const auto seen = in.numbers("exist_frames", {-1}) != 0;
    if (seen.size(0) != track.rotations.size(0))
        throw Error(fmt::format("{}: exist_frames: expected {} rows, got {}", in.what(),
                                track.rotations.size(0), seen.size(0)));
    const auto rows = seen.nonzero().reshape({-1});
    if (rows.size(0) == seen.size(0)) return;
    fit.notes.push_back(fmt::format("person {}: {} frames in which they were not seen left out",
                                    track.person, seen.size(0) - rows.size(0)));
    const auto pick = [&](torch::Tensor& x) {
        if (x.defined() && x.size(0) == seen.size(0)) x = x.index_select(0, rows);
    };
    pick(track.rotations);
    pick(track.transl);
    if (track.betas.defined() && track.betas.dim() == 2) pick(track.betas);
    if (track.intrinsics.defined() && track.intrinsics.dim() == 3) pick(track.intrinsics);
    for (int64_t i = 0; i < rows.size(0); ++i) track.frames.push_back(rows[i].item<int64_t>());
}

Fit read_glamr(const FitInput& input) {
    Fit fit;
    fit.layout = "GLAMR";
    const bool world = input.options.world;
    fit.up_axis = world ? "z" : "-y";
    fit.notes.push_back(world ? "in its world" : "in the camera's frame");
    fit.notes.push_back("root_trans taken for the place of joint 0");
    for (const auto& [key, entry] : glamr_people(input.value).dict()) {
        const Arrays in(entry, fmt::format("{}: person {}", input.what, name_of(key)));
        Track track;
        track.person = name_of(key);
        track.rotations =
            joined_rotations(in.rotations(world ? "smpl_orient_world" : "smpl_orient_cam"),
                             in.rotations("smpl_pose"), in.what());
        check_smpl_columns(track.rotations, in.what());
        track.transl = in.numbers(world ? "root_trans_world" : "root_trans_cam", {-1, 3});
        track.place = Place::kRoot;
        track.betas = in.betas("smpl_beta");
        if (!world) track.intrinsics = in.numbers_or_none("cam_K", {-1, 3, 3});
        if (!world && in.has("exist_frames")) keep_seen_rows(track, in, fit);
        set_size_from_center(track, fit);
        fit.people.push_back(std::move(track));
    }
    return fit;
}

// ---- TRAM ----

bool is_tram_person(const Value& value) {
    return value.contains("pred_rotmat") && value.contains("pred_trans");
}
bool is_tram(const Value& value) {
    return is_tram_person(value) || all_entries(value, is_tram_person);
}

Track read_tram_person(const Value& value, const std::string& person, const std::string& what) {
    const Arrays in(value, what);
    Track track;
    track.person = person;
    track.rotations = in.rotations("pred_rotmat");
    check_smpl_columns(track.rotations, what);
    // [F,1,3]
    const auto shape = sizes_of(value["pred_trans"]);
    track.transl = shape.size() == 3 ? in.numbers("pred_trans", {-1, 1, 3}).squeeze(1)
                                     : in.numbers("pred_trans", {-1, 3});
    track.betas = in.betas("pred_shape");
    if (in.has("frame")) track.frames = in.integers("frame");
    return track;
}

Fit read_tram(const FitInput& input) {
    Fit fit;
    fit.layout = "TRAM";
    fit.up_axis = "-y";
    fit.notes = {"in the camera's frame", "pred_trans taken for SMPL's transl",
                 "its camera is in camera.npy, which is not read"};
    if (is_tram_person(input.value)) {
        fit.people.push_back(read_tram_person(input.value, "", input.what));
        return fit;
    }
    for (const auto& [key, entry] : input.value.dict()) {
        const auto name = name_of(key);
        fit.people.push_back(read_tram_person(entry, std::to_string(number_in(name, 0)),
                                              fmt::format("{}/{}", input.what, name)));
    }
    return fit;
}

// ---- Meshcapade ----

bool is_meshcapade(const Value& value) { return value.contains("bodyPose"); }

Fit read_meshcapade(const FitInput& input) {
    const Arrays in(input.value, input.what);
    const auto shape = sizes_of(input.value["bodyPose"]);
    if (!shape.empty() && shape.back() == 46)
        throw Error(
            fmt::format("{}: bodyPose {}: this is a SKEL body with 46 pose numbers, expected "
                        "SMPL-X or SMPL; export it as SMPL",
                        input.what, shape_text(shape)));
    Fit fit;
    fit.layout = "Meshcapade .smpl";
    fit.up_axis = "y";
    Track track;
    track.rotations = in.rotations("bodyPose");
    const bool smplx = track.rotations.size(1) == kSharedColumns;
    check_smpl_columns(track.rotations, in.what());
    track.transl = in.numbers_or_none("bodyTranslation", {-1, 3});
    if (smplx) {
        fit.notes.push_back("SMPL-X: 22 joints, fingers, head and betas left out");
        if (track.transl.defined()) track.transl = track.transl + smplx_rest_root();
        track.place = Place::kRoot;
    } else {
        track.betas = in.betas("shapeParameters");
    }
    if (in.has("frameRate")) {
        fit.fps = in.number("frameRate");
        if (!(fit.fps > 0))
            throw Error(fmt::format("{}: frameRate: expected a positive rate, got {}", input.what,
                                    fit.fps));
    }
    fit.people.push_back(std::move(track));
    return fit;
}

}  // namespace

const FitLayout kWham{"WHAM", is_wham, read_wham};
const FitLayout kVibe{"VIBE, PARE", is_vibe, read_vibe};
const FitLayout kGvhmr{"GVHMR", is_gvhmr, read_gvhmr};
const FitLayout kGlamr{"GLAMR", is_glamr, read_glamr};
const FitLayout kTram{"TRAM", is_tram, read_tram};
const FitLayout kMeshcapade{"Meshcapade .smpl", is_meshcapade, read_meshcapade};

}  // namespace fmgs::detail
