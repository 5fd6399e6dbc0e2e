// Whole arrays of rows: InstantAvatar and Anim-NeRF, our own poses.npz, AMASS, AIST++, and a bare
// array of SMPL's 72 numbers.
#include <fmgs/core/check.h>
#include <fmgs/data/fits/arrays.h>
#include <fmt/format.h>

namespace fmgs::detail {

namespace {

bool has_root_and_body(const Value& value) {
    return first_key(value, {"global_orient", "root_orient"}) != nullptr;
}

bool is_rows(const Value& value) {
    return has_root_and_body(value) ||
           first_key(value, {"thetas", "poses", "pose", "smpl_poses"}) != nullptr;
}

// Columns 66.. of SMPL-H and SMPL-X are a jaw or fingers; taken as SMPL's hand joints they would
// twist the wrists.
torch::Tensor without_fingers(const torch::Tensor& rotations, std::vector<std::string>& notes) {
    const int64_t columns = rotations.size(1);
    if (columns != 156 && columns != 165) return rotations;
    notes.push_back(fmt::format("{} joints: fingers{} left out, hands at rest", columns / 3,
                                columns == 165 ? ", jaw and eyes" : ""));
    return rotations.narrow(1, 0, kSharedColumns);
}

torch::Tensor read_rotations(const Arrays& in, Fit& fit) {
    const char* orient = first_key(in.value(), {"global_orient", "root_orient"});
    if (!orient) {
        const char* whole = first_key(in.value(), {"thetas", "poses", "pose", "smpl_poses"});
        auto rows = in.rotations(whole);
        if (rows.size(1) < 6)
            throw Error(fmt::format("{}: {}: expected at least 6 columns, got {}", in.what(), whole,
                                    rows.size(1)));
        fit.layout = fmt::format("{} [{},{}]", whole, rows.size(0), rows.size(1));
        return without_fingers(rows, fit.notes);
    }
    const char* body = first_key(in.value(), {"body_pose", "pose_body"});
    if (!body)
        throw Error(
            fmt::format("{}: there is {}, expected body_pose [frames,69] beside it; keys: {}",
                        in.what(), orient, in.value().keys()));
    fit.layout = fmt::format("{} + {}", orient, body);
    auto rows = joined_rotations(in.rotations(orient), in.rotations(body), in.what());
    if (rows.size(1) == kSharedColumns && in.has("pose_hand")) {
        const auto hands = in.rotations("pose_hand");
        if (hands.size(1) == 6) {  // SMPL's own two hand joints
            if (hands.size(0) != rows.size(0))
                throw Error(fmt::format("{}: rows that do not match: {} body poses, {} of hands",
                                        in.what(), rows.size(0), hands.size(0)));
            rows = torch::cat({rows, hands}, 1);
        } else {
            fit.notes.push_back("fingers left out, hands at rest");
        }
    }
    return rows;
}

// AMASS says so by the name of its rate, or by the columns of SMPL-H and SMPL-X.
bool is_amass(const Arrays& in) {
    if (first_key(in.value(), {"mocap_framerate", "mocap_frame_rate"})) return true;
    const Value* poses = in.value().find("poses");
    if (!poses) return false;
    const auto shape = sizes_of(*poses);
    return shape.size() == 2 && (shape[1] == 156 || shape[1] == 165);
}

bool is_smplx(const Arrays& in) {
    for (const char* key : {"surface_model_type", "model_type"}) {
        if (in.has(key) && in.value()[key].is_text()) return in.value()[key].text() == "smplx";
    }
    const Value* poses = in.value().find("poses");
    if (!poses) return false;
    const auto shape = sizes_of(*poses);
    return shape.size() == 2 && shape[1] == 165;
}

void read_aist(const Arrays& in, Track& track, Fit& fit) {
    fit.layout = "AIST++";
    if (fit.up_axis.empty()) fit.up_axis = "y";
    if (fit.fps == 0) fit.fps = 60;  // of the whole data set
    if (!in.has("smpl_scaling")) return;
    const double scale = in.number("smpl_scaling");
    if (!(scale > 0))
        throw Error(
            fmt::format("{}: smpl_scaling: expected a positive number, got {}", in.what(), scale));
    if (track.transl.defined()) track.transl = track.transl / scale;
    fit.notes.push_back(fmt::format("translations divided by smpl_scaling = {:g}", scale));
}

// SMPL-X's and FLAME's; one row stands for all frames.
void read_expression(const Arrays& in, Track& track) {
    const char* key = first_key(in.value(), {"expression", "expr"});
    if (!key) return;
    track.expression = in.numbers(key, {-1, -1});
    if (track.expression.size(0) == 1)
        track.expression = track.expression.expand({track.rotations.size(0), -1});
}

void read_place(const Arrays& in, Track& track, const Fit& fit) {
    if (in.has("Rh") && in.has("Th")) {
        auto rows = track.rotations.clone();
        if (rows.slice(1, 0, 3).abs().max().item<double>() > 1e-6)
            throw Error(
                fmt::format("{}: expected the first three numbers of the pose to be zero "
                            "beside Rh, got others",
                            in.what()));
        const auto root = in.numbers("Rh", {-1, 3});
        track.rotations = joined_rotations(root, rows.slice(1, 3), in.what());
        track.transl = in.numbers("Th", {-1, 3});
        track.place = Place::kOrigin;
        return;
    }
    const char* key = first_key(in.value(), {"transl", "trans", "smpl_trans"});
    if (key) track.transl = in.numbers(key, {-1, 3});
    if (fit.layout == "AMASS of SMPL-X" && track.transl.defined()) {
        track.transl = track.transl + smplx_rest_root();
        track.place = Place::kRoot;
    }
}

Fit read_rows(const FitInput& input) {
    const Arrays in(input.value, input.what);
    Fit fit;
    Track track;
    track.rotations = read_rotations(in, fit);
    if (track.rotations.size(0) == 0)
        throw Error(fmt::format("{}: expected at least one frame, got none", in.what()));
    read_extras(in, track, fit);
    const bool smplx = is_smplx(in);
    if (is_amass(in)) {
        fit.layout = smplx ? "AMASS of SMPL-X" : "AMASS";
        if (fit.up_axis.empty()) fit.up_axis = "z";
    }
    read_place(in, track, fit);
    if (in.has("smpl_poses")) read_aist(in, track, fit);
    if (smplx) {
        fit.notes.push_back("betas left out: SMPL-X's are not SMPL's");
    } else if (const char* key = first_key(in.value(), {"betas", "shapes"})) {
        track.betas = in.betas(key);
    }
    read_expression(in, track);
    fit.people.push_back(std::move(track));
    return fit;
}

bool is_bare_array(const Value& value) {
    if (!value.is_array()) return false;
    const auto shape = sizes_of(value);
    return shape.size() >= 2 && shape.size() <= 4;
}

Fit read_bare_array(const FitInput& input) {
    const Value whole(Value::Dict{{Value(std::string("poses")), input.value}});
    const Arrays in(whole, input.what);
    Fit fit;
    Track track;
    track.rotations = without_fingers(in.rotations("poses"), fit.notes);
    check_smpl_columns(track.rotations, input.what);
    fit.layout = fmt::format("a bare array {}", shape_text(input.value.shape()));
    fit.notes.push_back("no translations: it moves in place");
    fit.people.push_back(std::move(track));
    return fit;
}

// `smpl` or `smplx` of mmhuman3d hold a dictionary of rows.
bool is_nested(const Value& value) {
    for (const char* key : {"smpl", "smpl_params"}) {
        const Value* inner = value.find(key);
        if (inner && inner->is_dict() && is_rows(*inner)) return true;
    }
    return false;
}

Fit read_nested(const FitInput& input) {
    const char* key = first_key(input.value, {"smpl", "smpl_params"});
    Fit fit = read_rows({input.what, input.path, input.value[key], false, input.options});
    fit.layout = fmt::format("{}: {}", key, fit.layout);
    return fit;
}

bool is_folder_of_rows(const Value& value) {
    if (!value.is_dict() || value.dict().empty() || is_rows(value)) return false;
    for (const auto& [name, entry] : value.dict()) {
        if (!name.is_text() || !is_rows(entry)) return false;
    }
    return true;
}

// 3DGS-Avatar's models/, Anim-NeRF's smpls/: a file per frame.
Fit read_folder_of_rows(const FitInput& input) {
    Fit out;
    std::vector<Row> rows;
    for (const auto& [key, entry] : input.value.dict()) {
        const auto& name = key.text();
        const auto what = fmt::format("{}/{}", input.what, name);
        Fit fit = read_rows({what, input.path, entry, false, input.options});
        const Track& track = fit.people.front();
        if (track.rotations.size(0) != 1)
            throw Error(fmt::format("{}: expected one frame in each file of the folder, got {}",
                                    what, track.rotations.size(0)));
        if (track.place != Place::kSmpl)
            throw Error(fmt::format("{}: expected SMPL's transl in the files of a folder, got {}",
                                    what, fit.layout));
        out.layout = "one file per frame: " + fit.layout;
        rows.push_back(
            {.person = "0",
             .frame = number_in(name, static_cast<int64_t>(rows.size())),
             .name = name,
             .rotations = track.rotations[0],
             .transl = track.transl.defined() ? track.transl[0] : track.transl,
             .betas = track.betas.defined() ? track.betas.reshape({-1}) : track.betas,
             .expression = track.expression.defined() ? track.expression[0] : track.expression});
    }
    out.people = tracks_of(std::move(rows), input.what, out.notes);
    return out;
}

}  // namespace

const FitLayout kRows{"rows of poses (InstantAvatar, AMASS, AIST++, poses.npz)", is_rows,
                      read_rows};
const FitLayout kNested{"a dictionary of rows below `smpl`", is_nested, read_nested};
const FitLayout kRowsPerFrame{"a folder of one pose per file", is_folder_of_rows,
                              read_folder_of_rows};
const FitLayout kBareArray{"a bare array of poses", is_bare_array, read_bare_array};

}  // namespace fmgs::detail
