// Bone matrices of each frame, of any rig, as rotations of the body whose bones they are.
#include <fmgs/core/body.h>
#include <fmgs/core/check.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/fits/arrays.h>
#include <fmt/format.h>

#include <cmath>

namespace fmgs::detail {

namespace {

constexpr std::initializer_list<const char*> kNames{"bone_transforms", "bone_matrices",
                                                    "joint_matrices", "bones"};
/// Rounding to three digits stays below these.
constexpr double kRigid = 5e-3;  ///< of the products of a rotation's columns
constexpr double kTaut = 2e-3;   ///< metres

const char* bones_key(const Value& value) {
    const char* key = first_key(value, kNames);
    if (!key) return nullptr;
    const auto shape = sizes_of(value[key]);
    const size_t dims = shape.size();
    const bool matrices = (dims == 3 || dims == 4) && shape[dims - 1] == 4 && shape[dims - 2] == 4;
    return matrices ? key : nullptr;
}

/// What puts a message's frame and bone in words.
std::string where(int64_t at, int64_t joints) {
    return fmt::format("frame {}: bone {}", at / joints, at % joints);
}

/// Error unless each of [F,J,4,4] is a rotation and a translation.
void check_rigid(const torch::Tensor& M, const std::string& what) {
    const int64_t joints = M.size(1);
    const auto bottom = torch::tensor({0.0, 0.0, 0.0, 1.0}, torch::kDouble);
    const auto row = (M.select(2, 3) - bottom).abs().amax(2).reshape({-1});
    if (const int64_t at = row.argmax().item<int64_t>(); row[at].item<double>() > 1e-4)
        throw Error(
            fmt::format("{}: {}: expected 0 0 0 1 in its last row, got other numbers; are the "
                        "matrices transposed?",
                        what, where(at, joints)));
    const auto [at, away] = worst_rotation(M.slice(2, 0, 3).slice(3, 0, 3));
    if (!(away < kRigid))
        throw Error(fmt::format(
            "{}: {}: expected a rotation and a translation, got a matrix that {}; apply scale and "
            "shear to the mesh before it is exported",
            what, where(at, joints),
            std::isinf(away) ? "mirrors"
                             : fmt::format("scales or shears (its columns are not orthonormal by "
                                           "{:.2g})",
                                           away)));
}

/// What the matrices are taken for.
struct Reading {
    const char* words;
    torch::Tensor transforms;  // [F,J,4,4] rest → world
    double gap = 0;            // the largest distance of a joint from where its parent puts it
    int64_t at = 0;            // of frame and bone
};

Reading reading_of(const char* words, const torch::Tensor& transforms, const Body& body) {
    const auto joints = body.joints().to(torch::kCPU, torch::kDouble);
    const auto parents = body.parents().to(torch::kCPU).clamp_min(0);
    const auto place = [&](const torch::Tensor& T) {
        return torch::matmul(T.slice(2, 0, 3).slice(3, 0, 3), joints.unsqueeze(2)).squeeze(3) +
               T.slice(2, 0, 3).select(3, 3);
    };
    const auto gaps =
        (place(transforms) - place(transforms.index_select(1, parents))).norm(2, 2).reshape({-1});
    // Of a bone that is off its place and its child, which then is, too, the first.
    const double gap = gaps.max().item<double>();
    const int64_t at = (gaps >= gap * (1 - 1e-6)).nonzero()[0].item<int64_t>();
    return {words, transforms, gap, at};
}

/// Bones hang together in one of the two readings only, unless the file says which it is.
Reading choose(const Arrays& in, const torch::Tensor& M, const Body& body) {
    const auto inverse = torch::linalg_inv(body.rest_bones().to(torch::kCPU, torch::kDouble));
    const auto rest = reading_of("from rest to the world", M, body);
    const auto bone = reading_of("from each bone to the world", torch::matmul(M, inverse), body);
    if (in.has("bone_space")) {
        const auto said = in.texts("bone_space");
        if (said == std::vector<std::string>{"rest"}) return rest;
        if (said == std::vector<std::string>{"bone"}) return bone;
        throw Error(fmt::format("{}: bone_space: expected rest or bone", in.what()));
    }
    const bool same = (rest.transforms - bone.transforms).abs().max().item<double>() < 1e-6;
    if (rest.gap < kTaut && bone.gap < kTaut && !same)
        throw Error(
            fmt::format("{}: its matrices may lead from rest to the world or from each bone to the "
                        "world; add bone_space = 'rest' or 'bone' to the file",
                        in.what()));
    return rest.gap <= bone.gap ? rest : bone;
}

/// [F,3J] axis-angle of each bone against its parent.
torch::Tensor local_angles(const torch::Tensor& transforms, const Body& body) {
    const auto R = transforms.slice(2, 0, 3).slice(3, 0, 3);
    const auto above = body.parents().to(torch::kCPU).slice(0, 1);
    const auto local = torch::matmul(R.index_select(1, above).transpose(2, 3), R.slice(1, 1));
    const auto all = torch::cat({R.slice(1, 0, 1), local}, 1);
    return log_map(all.reshape({-1, 3, 3})).reshape({R.size(0), -1});
}

Fit read_bones(const FitInput& input) {
    const Arrays in(input.value, input.what);
    const char* key = bones_key(input.value);
    const auto M = in.numbers(key, {-1, -1, 4, 4});
    const auto what = fmt::format("{}: {}", input.what, key);
    const Body* body = input.options.body;
    if (!body)
        throw Error(
            fmt::format("{}: bone matrices are turned into rotations of a body's joints; expected "
                        "the body whose bones they are; name one",
                        what));
    if (M.size(0) == 0 || M.size(1) != body->joint_count())
        throw Error(fmt::format("{}: expected [frames,{},4,4], the bones of the body, got {}", what,
                                body->joint_count(), shape_text(M.sizes())));
    check_rigid(M, what);
    const auto taken = choose(in, M, *body);
    if (taken.gap >= kTaut)
        throw Error(
            fmt::format("{}: {}: expected bones that keep their lengths, but it is {:.3g} m from "
                        "where its parent ends (read as matrices {}); are they of this body?",
                        what, where(taken.at, M.size(1)), taken.gap, taken.words));
    Fit fit;
    fit.layout = fmt::format("{} {}", key, shape_text(M.sizes()));
    fit.notes.push_back(fmt::format("bone matrices lead {}", taken.words));
    Track track;
    track.rotations = local_angles(taken.transforms, *body);
    const auto root = body->joints().to(torch::kCPU, torch::kDouble)[0];
    const auto T = taken.transforms.select(1, 0);
    track.transl =
        torch::matmul(T.slice(1, 0, 3).slice(2, 0, 3), root) + T.slice(1, 0, 3).select(2, 3);
    // ARAH's bone_transforms leave the translation out, and have it beside them.
    if (const char* beside = first_key(input.value, {"transl", "trans"})) {
        track.transl = track.transl + in.numbers(beside, {-1, 3});
        fit.notes.push_back(fmt::format("{} added to them", beside));
    }
    track.place = Place::kRoot;
    read_extras(in, track, fit);
    fit.people.push_back(std::move(track));
    return fit;
}

}  // namespace

bool is_bones(const Value& value) {
    return bones_key(value) && !first_key(value, {"global_orient", "root_orient", "thetas", "poses",
                                                  "pose", "smpl_poses"});
}

const FitLayout kBones{"bone matrices of a rig", is_bones, read_bones};

}  // namespace fmgs::detail
