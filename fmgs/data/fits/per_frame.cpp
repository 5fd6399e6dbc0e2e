// Results that are lists of persons per frame: ROMP, PHALP and 4D-Humans, EasyMocap and ZJU-MoCap,
// HumanNeRF.
#include <fmgs/core/check.h>
#include <fmgs/data/fits/arrays.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace fmgs::detail {

namespace {

struct NamedFrame {
    std::string name;  ///< empty: the only one
    int64_t number;
    const Value* value;
};

// "clip.mp4" and 12 of a key that is a path, a number, or a tuple of the two.
std::string key_name(const Value& key) {
    if (key.is_text()) return stem_of(key.text());
    if (key.is_number()) return std::to_string(key.integer());
    std::string name;
    if (key.is_list()) {
        for (const auto& part : key.list()) name += (name.empty() ? "" : "_") + key_name(part);
    }
    return name;
}

// The frames of a dictionary, numbered by their names where these have ascending numbers.
std::vector<NamedFrame> frames_of(const Value& value) {
    std::vector<NamedFrame> frames;
    bool ascending = true;
    for (const auto& [key, entry] : value.dict()) {
        const auto name = key_name(key);
        const int64_t number = number_in(name, -1);
        ascending &= number >= 0 && (frames.empty() || number > frames.back().number);
        frames.push_back({name, number, &entry});
    }
    for (size_t k = 0; k < frames.size() && !ascending; ++k)
        frames[k].number = static_cast<int64_t>(k);
    return frames;
}

using Test = bool (*)(const Value&);

bool all_frames(const Value& value, Test test) {
    if (!value.is_dict() || value.dict().empty()) return false;
    bool any = false;
    for (const auto& [key, entry] : value.dict()) {
        const bool empty = entry.is_dict() && entry.dict().empty();  // nobody was seen
        if (!empty && !test(entry)) return false;
        any |= !empty;
    }
    return any;
}

// ---- ROMP ----

bool has_thetas(const Value& value) { return value.contains("smpl_thetas"); }
bool is_romp_results(const Value& value) {
    return has_thetas(value) || all_frames(value, has_thetas);
}
// What numpy stores as an array of one object may come as a list of it.
const Value& only_item(const Value& value) {
    return value.is_list() && value.list().size() == 1 ? value.list().front() : value;
}
const Value& romp_results(const Value& value) {
    return value.contains("results") ? only_item(value["results"]) : value;
}
bool is_romp_file(const Value& value) { return is_romp_results(romp_results(value)); }
bool is_romp(const Value& value) { return is_romp_file(value) || all_frames(value, is_romp_file); }

// Of the programs with a mesh renderer, cam_trans belongs to a pinhole of 60 degrees; without, it
// is 2 (tx, ty, 1) / s, which fits none, and is made from the weak perspective: s = 2 f / (side z),
// here f / side = 1 / (2 tan 30°), and so z = √3 / s.
torch::Tensor romp_place(const Arrays& in, int64_t people, bool& replaced) {
    const auto given = in.numbers("cam_trans", {-1, 3});
    if (given.size(0) != people)
        throw Error(fmt::format("{}: cam_trans: expected {} rows, got {}", in.what(), people,
                                given.size(0)));
    if (!in.has("cam")) return given;
    const auto cam = in.numbers("cam", {people, 3});
    const auto scale = cam.slice(1, 0, 1);
    for (const bool swapped : {false, true}) {
        const auto shift = swapped ? cam.slice(1, 1, 3).flip(1) : cam.slice(1, 1, 3);
        const auto naive = 2 * torch::cat({shift, torch::ones_like(scale)}, 1) / scale;
        if ((naive - given).abs().max().item<double>() > 1e-4) continue;
        replaced = true;
        return torch::cat({shift, torch::full_like(scale, std::numbers::sqrt3)}, 1) / scale;
    }
    return given;
}

void add_romp_frame(const Value& value, const NamedFrame& frame, const std::string& what,
                    std::vector<Row>& rows, bool& replaced) {
    const Arrays in(value, frame.name.empty() ? what : fmt::format("{}: {}", what, frame.name));
    const auto thetas = in.rotations("smpl_thetas");
    check_smpl_columns(thetas, in.what());
    const int64_t people = thetas.size(0);
    if (people == 0) return;
    const auto place = romp_place(in, people, replaced);
    const auto betas = in.numbers_or_none("smpl_betas", {-1, -1});
    const bool named = in.has("track_ids") && !value["track_ids"].is_none();
    const auto ids = named ? in.integers("track_ids") : std::vector<int64_t>{};
    if ((named && static_cast<int64_t>(ids.size()) != people) ||
        (betas.defined() && betas.size(0) != people))
        throw Error(fmt::format("{}: expected betas and track_ids of {} persons, got other counts",
                                in.what(), people));
    for (int64_t k = 0; k < people; ++k) {
        Row row{
            .frame = frame.number, .name = frame.name, .rotations = thetas[k], .transl = place[k]};
        if (named) row.person = std::to_string(ids[static_cast<size_t>(k)]);
        // An eleventh number says how much of a child the person is.
        if (betas.defined()) row.betas = betas[k].slice(0, 0, 10);
        rows.push_back(std::move(row));
    }
}

Fit read_romp(const FitInput& input) {
    Fit fit;
    fit.layout = "ROMP";
    fit.up_axis = "-y";
    fit.camera = FitCamera{.focal_per_longer = 0.5 * std::numbers::sqrt3,
                           .origin = "ROMP's, 60 degrees over the longer side"};
    std::vector<Row> rows;
    bool replaced = false;
    const auto add = [&](const Value& results, const NamedFrame& frame) {
        if (has_thetas(results)) return add_romp_frame(results, frame, input.what, rows, replaced);
        for (const auto& one : frames_of(results)) {
            if (has_thetas(*one.value)) add_romp_frame(*one.value, one, input.what, rows, replaced);
        }
    };
    if (is_romp_file(input.value)) {
        add(romp_results(input.value), {"", 0, nullptr});
    } else {
        for (const auto& one : frames_of(input.value)) add(romp_results(*one.value), one);
    }
    if (replaced)
        fit.notes.push_back(
            "its cam_trans fits no pinhole (an older ROMP, or one without meshes): "
            "places made from its weak perspective");
    fit.people = tracks_of(std::move(rows), input.what, fit.notes);
    return fit;
}

// ---- PHALP, 4D-Humans ----

bool is_phalp_frame(const Value& value) {
    return value.contains("smpl") && value["smpl"].is_list() && value.contains("camera");
}
bool is_phalp(const Value& value) { return all_frames(value, is_phalp_frame); }

const Value* item(const Value& frame, const char* key, size_t k) {
    const Value* all = frame.find(key);
    return all && all->is_list() && k < all->list().size() ? &all->list()[k] : nullptr;
}

void add_phalp_frame(const NamedFrame& frame, const std::string& what, std::vector<Row>& rows,
                     int64_t& stale) {
    const Value& value = *frame.value;
    const auto label = fmt::format("{}: {}", what, frame.name);
    const auto& people = value["smpl"].list();
    for (size_t k = 0; k < people.size(); ++k) {
        // Persons that are out of sight stay in the list for a while as they were last seen.
        const Value* age = item(value, "tracked_time", k);
        if (age && age->is_number() && age->number() > 0) {
            ++stale;
            continue;
        }
        const Value* camera = item(value, "camera", k);
        const Value* id = item(value, "tracked_ids", k);
        if (!id) id = item(value, "tid", k);
        if (!camera || !people[k].is_dict())
            throw Error(fmt::format("{}: expected a smpl and a camera for each of {} persons",
                                    label, people.size()));
        const Arrays in(people[k], label);
        const Value place(Value::Dict{{Value(std::string("camera")), *camera}});
        Row row{.frame = frame.number,
                .name = frame.name,
                .rotations = joined_rotations(in.rotations("global_orient").reshape({1, -1}),
                                              in.rotations("body_pose", true), label)[0],
                .transl = Arrays(place, label).numbers("camera", {3}),
                .betas = in.numbers_or_none("betas", {-1})};
        check_smpl_columns(row.rotations.unsqueeze(0), label);
        if (id && id->is_number()) row.person = std::to_string(id->integer());
        if (const Value* size = item(value, "size", k)) {
            const Value both(Value::Dict{{Value(std::string("size")), *size}});
            const auto pixels = Arrays(both, label).integers("size");
            if (pixels.size() != 2 || pixels[0] < 1 || pixels[1] < 1)
                throw Error(fmt::format("{}: size: expected [height, width]", label));
            row.height = pixels[0];
            row.width = pixels[1];
        }
        rows.push_back(std::move(row));
    }
}

Fit read_phalp(const FitInput& input) {
    Fit fit;
    fit.layout = "PHALP (4D-Humans)";
    fit.up_axis = "-y";
    fit.camera = FitCamera{.focal_per_longer = 5000.0 / 256,
                           .origin = "PHALP's, 5000/256 of the longer side"};
    std::vector<Row> rows;
    int64_t stale = 0;
    for (const auto& frame : frames_of(input.value)) {
        if (is_phalp_frame(*frame.value)) add_phalp_frame(frame, input.what, rows, stale);
    }
    if (stale > 0)
        fit.notes.push_back(
            fmt::format("{} entries of persons who were out of sight left out", stale));
    fit.people = tracks_of(std::move(rows), input.what, fit.notes);
    return fit;
}

// ---- Rh, Th: EasyMocap, ZJU-MoCap, HumanNeRF's prepared captures ----

// One frame of one person: many rows beside Rh and Th are no record.
bool is_record(const Value& value) {
    const Value* root = value.find("Rh");
    if (!root || !value.contains("Th") || !value.contains("poses")) return false;
    const auto sizes = sizes_of(*root);
    return sizes.size() < 2 || sizes[0] == 1;
}
bool is_record_frame(const Value& value) {
    const Value& people = value.contains("annots") ? value["annots"] : value;
    if (!people.is_list()) return is_record(people);
    for (const auto& person : people.list()) {
        if (!is_record(person)) return false;
    }
    return true;
}
bool is_records(const Value& value) {
    if (value.is_list()) return !value.list().empty() && is_record_frame(value);
    if (is_record(value) || value.contains("annots")) return is_record_frame(value);
    return all_frames(value, is_record_frame);
}

// x = R v + Th about the origin of the resting body, or, where the file has the resting joints
// (HumanNeRF's), about these.
Row read_record(const Value& value, const NamedFrame& frame, const std::string& what,
                bool& has_joints) {
    const Arrays in(value, what);
    Row row{.frame = frame.number, .name = frame.name};
    auto pose = in.rotations("poses").reshape({1, -1});
    if (pose.size(1) == 69 || pose.size(1) == 63)
        pose = torch::cat({torch::zeros({1, 3}, pose.options()), pose}, 1);
    check_smpl_columns(pose, what);
    if (pose.slice(1, 0, 3).abs().max().item<double>() > 1e-6)
        throw Error(
            fmt::format("{}: poses: expected the first three numbers to be zero beside Rh, "
                        "got others",
                        what));
    const auto root = in.numbers("Rh", {3});
    row.rotations = torch::cat({root, pose[0].slice(0, 3)});
    row.transl = in.numbers("Th", {3});
    if (const auto joints = in.numbers_or_none("tpose_joints", {-1, 3}); joints.defined()) {
        has_joints = true;
        row.transl = root_of_rh_th(root.unsqueeze(0), row.transl.unsqueeze(0), joints[0])[0];
    }
    row.betas = in.betas("shapes");
    if (row.betas.defined()) row.betas = row.betas.reshape({-1});
    if (const Value* id = value.find("id"); id && id->is_number())
        row.person = std::to_string(id->integer());
    return row;
}

Fit read_records(const FitInput& input) {
    Fit fit;
    fit.layout = "Rh and Th (EasyMocap, ZJU-MoCap)";
    std::vector<Row> rows;
    bool has_joints = false;
    const auto add = [&](const Value& value, const NamedFrame& frame) {
        const auto what =
            frame.name.empty() ? input.what : fmt::format("{}/{}", input.what, frame.name);
        const Value& people = value.contains("annots") ? value["annots"] : value;
        if (!people.is_list()) return rows.push_back(read_record(people, frame, what, has_joints));
        for (const auto& person : people.list())
            rows.push_back(read_record(person, frame, what, has_joints));
    };
    const bool one =
        input.value.is_list() || is_record(input.value) || input.value.contains("annots");
    if (one) {
        add(input.value, {"", 0, nullptr});
    } else {
        for (const auto& frame : frames_of(input.value)) add(*frame.value, frame);
    }
    fit.people = tracks_of(std::move(rows), input.what, fit.notes);
    for (auto& track : fit.people) track.place = has_joints ? Place::kRoot : Place::kOrigin;
    if (has_joints) fit.layout = "HumanNeRF's mesh_infos (Rh, Th and resting joints)";
    return fit;
}

// ---- HumanNeRF's metadata.json ----

bool is_wild_frame(const Value& value) {
    return value.contains("poses") && value.contains("cam_extrinsics");
}
bool is_wild(const Value& value) { return all_frames(value, is_wild_frame); }

Fit read_wild(const FitInput& input) {
    Fit fit;
    fit.layout = "HumanNeRF's metadata.json";
    fit.up_axis = "-y";
    std::vector<Row> rows;
    for (const auto& frame : frames_of(input.value)) {
        if (!is_wild_frame(*frame.value)) continue;
        const Arrays in(*frame.value, fmt::format("{}: {}", input.what, frame.name));
        const auto pose = in.rotations("poses").reshape({1, -1});
        check_smpl_columns(pose, in.what());
        rows.push_back({.person = "0",
                        .frame = frame.number,
                        .name = frame.name,
                        .rotations = pose[0],
                        .transl = torch::zeros({3}, torch::kDouble),
                        .betas = in.numbers_or_none("betas", {-1}),
                        .intrinsics = in.numbers_or_none("cam_intrinsics", {3, 3}),
                        .extrinsic = in.numbers("cam_extrinsics", {4, 4})});
    }
    fit.people = tracks_of(std::move(rows), input.what, fit.notes);
    return fit;
}

}  // namespace

const FitLayout kRomp{"ROMP", is_romp, read_romp};
const FitLayout kPhalp{"PHALP (4D-Humans)", is_phalp, read_phalp};
const FitLayout kRecords{"EasyMocap, ZJU-MoCap (Rh and Th)", is_records, read_records};
const FitLayout kWildMetadata{"HumanNeRF's metadata.json", is_wild, read_wild};

}  // namespace fmgs::detail
