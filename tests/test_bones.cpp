// Poses of any rig as bone matrices per frame: where linear blend skinning with these puts the
// vertices, the body posed with what was read puts them, too.
#include <fmgs/core/rotation.h>
#include <fmgs/data/capture.h>
#include <fmgs/data/motion.h>
#include <fmgs/data/pose_file.h>

#include "support/captures.h"
#include "support/pickles.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

constexpr int64_t kFrames = 5;

torch::Tensor some_turns(int64_t count, int64_t seed) {
    auto generator = at::make_generator<at::CPUGeneratorImpl>(static_cast<uint64_t>(seed));
    return exp_map(torch::randn({count, 3}, generator, torch::kDouble) * 1.5);
}

/// Four joints in a row; at rest its bones are turned, or not.
BodyData some_rig(bool turned) {
    auto rig = read_body(pickles() / "rig.npz");
    if (turned) rig.rest_rotations = some_turns(4, 3).to(torch::kFloat);
    return rig;
}

/// [F,J,4,4] from each bone to the world, by walking down the tree: what an animation program has.
torch::Tensor bones_of(const Body& body, int64_t seed) {
    const auto rest = body.rest_bones().to(torch::kDouble);
    const int64_t J = body.joint_count();
    auto out = torch::zeros({kFrames, J, 4, 4}, torch::kDouble);
    for (int64_t f = 0; f < kFrames; ++f) {
        const auto turns = some_turns(J, seed + f);
        for (int64_t j = 0; j < J; ++j) {
            auto turn = torch::eye(4, torch::kDouble);
            turn.slice(0, 0, 3).slice(1, 0, 3).copy_(turns[j]);
            const int64_t above = body.parents()[j].item<int64_t>();
            const auto step =
                above < 0 ? rest[j] : torch::matmul(torch::linalg_inv(rest[above]), rest[j]);
            out[f][j] = torch::matmul(
                torch::matmul(above < 0 ? torch::eye(4, torch::kDouble) : out[f][above], step),
                turn);
        }
        out[f].slice(1, 0, 3).select(2, 3).add_(torch::tensor({0.5, 1.0 * f, -2.0}));
    }
    return out;
}

torch::Tensor from_rest(const torch::Tensor& bones, const Body& body) {
    return torch::matmul(bones, torch::linalg_inv(body.rest_bones().to(torch::kDouble)));
}

/// Σ_j w_j T_j x, written out.
torch::Tensor skinned(const Body& body, const torch::Tensor& T) {
    const auto x = torch::cat({body.shaped(), torch::ones({body.shaped().size(0), 1})}, 1);
    const auto each = torch::einsum("jab,vb->vja", {T, x.to(torch::kDouble)});
    return (body.weights().to(torch::kDouble).unsqueeze(2) * each).sum(1).slice(1, 0, 3);
}

void require_posed(const Body& body, const PoseFile& file, const torch::Tensor& transforms) {
    const auto poses = file.with_smpl_transl(body.joints());
    REQUIRE(poses.count() == kFrames);
    for (int64_t f = 0; f < kFrames; ++f) {
        const auto got = body.posed(poses.pose(f, body.joint_count()));
        REQUIRE_CLOSE(got, skinned(body, transforms[f]), 1e-5);
    }
}

bool has_note(const PoseFile& file, const std::string& words) {
    for (const auto& note : file.notes)
        if (note.find(words) != note.npos) return true;
    return false;
}

struct BoneFile {
    TemporaryFolder folder;
    std::filesystem::path file = folder.path / "bones.npz";

    std::filesystem::path write(const char* key, const torch::Tensor& matrices,
                                const NpzFile& more = {}) const {
        auto arrays = more;
        arrays[key] = npy_array(matrices.contiguous());
        write_npz(file, arrays);
        return file;
    }
};

}  // namespace

TEST_CASE("bone matrices of a rig give the vertices of skinning with them", "[bones]") {
    const BoneFile written;
    for (const bool turned : {false, true}) {
        INFO(turned);
        const BodyModel body(some_rig(turned), torch::Tensor());
        const auto bones = bones_of(*body, 10), transforms = from_rest(bones, *body);
        for (const char* key : {"bone_transforms", "bone_matrices", "joint_matrices", "bones"}) {
            const auto file = read_pose_file(written.write(key, transforms), {.body = body.get()});
            REQUIRE(has_note(file, "from rest to the world"));
            require_posed(*body, file, transforms);
        }
        const auto file =
            read_pose_file(written.write("bones", bones.to(torch::kFloat)), {.body = body.get()});
        REQUIRE(has_note(file, "from each bone to the world"));
        require_posed(*body, file, transforms);
    }
}

TEST_CASE("a rig's turned bones stay in its files and copies", "[bones]") {
    const BoneFile written;
    const auto rig = some_rig(true);
    write_body(written.file, rig);
    const auto again = read_body(written.file);
    REQUIRE_CLOSE(again.rest_rotations, rig.rest_rotations, 0);
    const BodyModel body(again, torch::Tensor());
    TensorDict buffers;
    for (const auto& item : body->named_buffers()) buffers.set(item.key(), item.value());
    REQUIRE(torch::equal(BodyModel(buffers)->rest_bones(), body->rest_bones()));
    auto mirrored = rig;
    mirrored.rest_rotations = -rig.rest_rotations;
    REQUIRE(throws_error([&] { check_body(mirrored); }, "rest_bones: expected a rotation"));
}

TEST_CASE("translations beside bone matrices are added, rate and names come along", "[bones]") {
    const BoneFile written;
    const BodyModel body(some_rig(false), torch::Tensor());
    auto transforms = from_rest(bones_of(*body, 20), *body);
    const auto trans = torch::arange(3 * kFrames, torch::kDouble).view({kFrames, 3});
    written.write("bone_transforms", transforms,
                  {{"trans", npy_array(trans)},
                   {"fps", npy_array(torch::tensor(24.0))},
                   {"frame_ids", npy_array(torch::arange(kFrames) + 7)}});
    const auto file = read_pose_file(written.file, {.body = body.get()});
    transforms.slice(2, 0, 3).select(3, 3).add_(trans.unsqueeze(1));
    require_posed(*body, file, transforms);
    REQUIRE(file.fps == 24);
    REQUIRE(file.frame_ids.back() == 11);
    const auto motion = read_motion(written.file, *body);
    REQUIRE(motion.poses.size() == kFrames);
    REQUIRE_CLOSE(body->posed(motion.poses[2]), skinned(*body, transforms[2]), 1e-5);
}

TEST_CASE("matrices that scale, shear, mirror, stretch or fit no bone are refused", "[bones]") {
    const BoneFile written;
    const BodyModel body(some_rig(false), torch::Tensor());
    const auto good = from_rest(bones_of(*body, 30), *body);
    const auto refused = [&](const torch::Tensor& matrices, const std::string& words,
                             const NpzFile& more = {}) {
        written.write("bones", matrices, more);
        return throws_error([&] { read_pose_file(written.file, {.body = body.get()}); }, words);
    };
    auto bad = good.clone();
    bad[2][3].slice(0, 0, 3).slice(1, 0, 3).mul_(1.1);
    REQUIRE(refused(bad,
                    "bones.npz: bones: frame 2: bone 3: expected a rotation and a "
                    "translation, got a matrix that scales or shears"));
    bad = good.clone();
    bad[4][1][0].slice(0, 0, 3).add_(bad[4][1][1].slice(0, 0, 3), 0.3);
    REQUIRE(refused(bad, "frame 4: bone 1: expected a rotation and a translation"));
    bad = good.clone();
    bad[0][2].slice(0, 0, 3).slice(1, 0, 3).neg_();
    REQUIRE(refused(bad,
                    "frame 0: bone 2: expected a rotation and a translation, got a matrix "
                    "that mirrors"));
    bad = good.clone();
    bad[3][2][1][3] += 0.05;
    REQUIRE(refused(bad,
                    "frame 3: bone 2: expected bones that keep their lengths, but it is "
                    "0.05 m from where its parent ends"));
    REQUIRE(refused(good.transpose(2, 3), "are the matrices transposed?"));
    REQUIRE(refused(good.slice(1, 0, 3),
                    "expected [frames,4,4,4], the bones of the body, got "
                    "[5,3,4,4]"));
    bad = good.clone();
    bad[1] += NAN;
    REQUIRE(refused(bad, "bones: row 1 holds NaN"));
    const NpzFile space{{"bone_space", npy_array(std::vector<std::string>{"bone"})}};
    REQUIRE(refused(good, "(read as matrices from each bone to the world)", space));
    written.write("bones", good);
    REQUIRE(throws_error([&] { read_pose_file(written.file); }, "expected the body whose bones"));
}

TEST_CASE("one bone alone does not tell where its matrices lead from", "[bones]") {
    const BoneFile written;
    auto rig = some_rig(false);
    rig.weights = torch::ones({8, 1});
    rig.joint_regressor = rig.joint_regressor.slice(0, 1, 2);
    rig.parents = torch::tensor({-1L});
    const BodyModel body(rig, torch::Tensor());
    const auto bones = bones_of(*body, 40), transforms = from_rest(bones, *body);
    written.write("bones", bones);
    REQUIRE(throws_error([&] { read_pose_file(written.file, {.body = body.get()}); },
                         "add bone_space = 'rest' or 'bone'"));
    const auto said = [](const char* word) {
        return NpzFile{{"bone_space", npy_array(std::vector<std::string>{word})}};
    };
    written.write("bones", bones, said("bone"));
    require_posed(*body, read_pose_file(written.file, {.body = body.get()}), transforms);
    written.write("bones", transforms, said("rest"));
    require_posed(*body, read_pose_file(written.file, {.body = body.get()}), transforms);
    written.write("bones", bones, said("world"));
    REQUIRE(throws_error([&] { read_pose_file(written.file, {.body = body.get()}); },
                         "bone_space: expected rest or bone"));
}

TEST_CASE("a capture of a rig is posed by bone matrices", "[bones]") {
    const Written written;
    auto setup = options(written.root);
    setup.body = small_body(written, 24, 2);
    const auto expected = read_capture(setup).splits.at("train");
    const BodyModel body(read_body(setup.body), torch::Tensor());
    std::vector<torch::Tensor> transforms;
    for (const auto& frame : expected)
        transforms.push_back(torch::matmul(
            body->bones(frame.pose),
            torch::linalg_inv(body->bones({torch::eye(3).repeat({24, 1, 1}), torch::zeros({3})}))));
    const auto file = written.root / "poses/train.npz";
    write_npz(file, {{"bones", npy_array(torch::stack(transforms))}});
    const auto got = read_capture(setup, {}, {{"train"}}).splits.at("train");
    REQUIRE(got.size() == expected.size());
    for (size_t i = 0; i < got.size(); ++i)
        REQUIRE_CLOSE(body->posed(got[i].pose), body->posed(expected[i].pose), 2e-5);
    setup.body.clear();
    REQUIRE(throws_error([&] { read_capture(setup, {}, {{"train"}}); }, "set data.body"));
}
