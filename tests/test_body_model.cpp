#include <fmgs/core/body_model.h>
#include <fmgs/core/random.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/synthetic/procedural_body.h>

#include <numbers>
#include <set>

#include "support/gradcheck.h"

using namespace fmgs;

namespace {

torch::Tensor random(torch::IntArrayRef shape, uint64_t seed) {
    return torch::randn(shape, Random{seed}.generator("body"), torch::kDouble);
}

// `joints` joints on a crooked chain with one branch, four vertices round each joint, regressed as
// their mean.
BodyData small_body(int64_t joints = 5) {
    const auto centers = 0.3 * random({joints, 3}, 1);
    const auto corners =
        0.1 * torch::tensor({1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, 1.0, -1.0, -1.0, -1.0, 1.0})
                  .view({4, 3});
    BodyData body;
    body.vertices = (centers.unsqueeze(1) + corners).view({-1, 3}).to(torch::kFloat);
    body.faces =
        torch::tensor(std::vector<int64_t>{0, 1, 2, 0, 2, 3, 4 * joints - 1, 1, 0}).view({3, 3});
    body.weights = torch::softmax(3 * random({4 * joints, joints}, 2), 1).to(torch::kFloat);
    body.joint_regressor = torch::eye(joints).repeat_interleave(4, 1) / 4;
    std::vector<int64_t> parents{-1};
    for (int64_t j = 1; j < joints; ++j) parents.push_back(j == joints - 1 && j > 1 ? 0 : j - 1);
    if (joints == 24)
        parents = {-1, 0, 0, 0,  1,  2,  3,  4,  5,  6,  7,  8,
                   9,  9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21};
    body.parents = torch::tensor(parents, torch::kLong);
    body.shape_directions = 0.02 * random({4 * joints, 3, 3}, 3).to(torch::kFloat);
    return body;
}

BodyPose random_pose(int64_t joints, uint64_t seed) {
    return {exp_map(0.7 * random({joints, 3}, seed)), random({3}, seed + 1)};
}

// SMPL's forward pass joint by joint, as its definition reads (A_j = G_j · [I | -J_j], transl
// last).
torch::Tensor reference_posed(const BodyModelImpl& body, const BodyPose& pose) {
    const auto joints = body.joints().to(torch::kDouble),
               vertices = body.shaped().to(torch::kDouble);
    std::vector<torch::Tensor> rotation, origin;
    auto out = torch::zeros_like(vertices);
    for (int64_t j = 0; j < body.joint_count(); ++j) {
        const auto parent = body.parents()[j].item<int64_t>();
        if (parent < 0) {
            rotation.push_back(pose.rotations[j]);
            origin.push_back(joints[j]);
        } else {
            rotation.push_back(torch::matmul(rotation[parent], pose.rotations[j]));
            origin.push_back(torch::mv(rotation[parent], joints[j] - joints[parent]) +
                             origin[parent]);
        }
        const auto moved = torch::matmul(vertices - joints[j], rotation[j].t()) + origin[j];
        out = out + body.weights().to(torch::kDouble).select(1, j).unsqueeze(1) * moved;
    }
    return out + pose.translation;
}

torch::Tensor skinned(const BodyModelImpl& body, const torch::Tensor& bones,
                      const torch::Tensor& vertices) {
    const auto points =
        torch::cat({vertices, torch::ones({vertices.size(0), 1}, vertices.options())}, 1);
    const auto each = torch::einsum("jab,vb->vja", {bones, points});
    return (each * body.weights().to(bones.scalar_type()).unsqueeze(2)).sum(1).slice(1, 0, 3);
}

}  // namespace

TEST_CASE("posing equals the definition joint by joint", "[body_model]") {
    for (const int64_t joints : {1, 2, 5, 9, 24}) {
        BodyModel body(small_body(joints), torch::tensor({0.5, -1.0}));
        const auto pose = random_pose(joints, 7);
        REQUIRE_CLOSE(body->posed(pose), reference_posed(*body, pose),
                      1e-6);  // measured 2e-8: weights in float
    }
}

TEST_CASE("the identity pose leaves the shaped template", "[body_model]") {
    BodyModel body(small_body(24), torch::tensor({1.0}));
    const BodyPose rest{torch::eye(3).expand({24, 3, 3}), torch::zeros({3})};
    REQUIRE_CLOSE(body->posed(rest), body->shaped(), 1e-6);
    REQUIRE(body->bones(rest).scalar_type() == torch::kFloat);
}

TEST_CASE("the root turns about joint 0 and the translation comes last", "[body_model]") {
    BodyModel body(small_body(5), torch::Tensor());
    BodyPose pose{torch::eye(3, torch::kDouble).repeat({5, 1, 1}),
                  torch::tensor({0.1, 0.2, 0.3}, torch::kDouble)};
    pose.rotations[0] = exp_map(torch::tensor({{0.0, 1.0, 0.0}}, torch::kDouble))[0];
    const auto x = body->shaped().to(torch::kDouble), root = body->joints()[0].to(torch::kDouble);
    const auto expected = torch::matmul(x - root, pose.rotations[0].t()) + root + pose.translation;
    REQUIRE_CLOSE(body->posed(pose), expected, 1e-6);
}

TEST_CASE("betas move vertices and joints; missing ones are zero", "[body_model]") {
    const auto data = small_body(5);
    BodyModel body(data, torch::tensor({0.5, -1.0}));
    const auto shaped = data.vertices + 0.5 * data.shape_directions.select(2, 0) -
                        data.shape_directions.select(2, 1);
    REQUIRE_CLOSE(body->shaped(), shaped, 1e-6);
    REQUIRE_CLOSE(body->joints(), torch::matmul(data.joint_regressor, shaped), 1e-6);
    REQUIRE_CLOSE(body->betas(), torch::tensor({0.5f, -1.0f}), 0.0);
    REQUIRE(test::throws_error([&] { BodyModel(data, torch::zeros({4})); },
                               "betas: expected at most 3"));
    REQUIRE(test::throws_error([&] { BodyModel(data, torch::tensor({NAN})); },
                               "betas: expected finite"));
}

TEST_CASE("the canonical pose spreads each leg as one piece about its hip", "[body_model]") {
    auto data = small_body(24);
    data.weights = torch::eye(24).repeat_interleave(4, 0);  // rigid: vertex v follows joint v / 4
    BodyModel body(data, torch::Tensor(), 30);
    const auto canonical = body->canonical().vertices.view({24, 4, 3}),
               rest = body->shaped().view({24, 4, 3});
    const auto turn = exp_map(torch::tensor({{0.0, 0.0, std::numbers::pi / 6}}))[0];
    const std::set<int64_t> left{1, 4, 7, 10}, right{2, 5, 8, 11};
    for (int64_t j = 0; j < 24; ++j) {
        auto expected = rest[j];
        if (left.contains(j))
            expected = torch::matmul(rest[j] - body->joints()[1], turn.t()) + body->joints()[1];
        if (right.contains(j))
            expected = torch::matmul(rest[j] - body->joints()[2], turn) + body->joints()[2];
        REQUIRE_CLOSE(canonical[j], expected, 1e-6);
    }
    REQUIRE_CLOSE(BodyModel(small_body(5), torch::Tensor())->canonical().vertices,
                  small_body(5).vertices, 1e-6);
}

TEST_CASE("bones carry the canonical body to the posed one", "[body_model]") {
    auto data = small_body(24);
    data.weights = torch::eye(24).repeat_interleave(
        4, 0);  // for rigid vertices canonical LBS can be undone exactly
    BodyModel body(data, torch::tensor({0.3}));
    const auto pose = random_pose(24, 11);
    const auto moved =
        skinned(*body, body->bones(pose), body->canonical().vertices.to(torch::kDouble));
    REQUIRE_CLOSE(moved, body->posed(pose), 1e-6);  // measured 3e-8, float32 buffers
}

TEST_CASE("gradients reach every rotation and the translation through the bones", "[body_model]") {
    BodyModel body(small_body(5), torch::Tensor());
    const auto weight = random({5, 4, 4}, 21);
    const auto f = [&](const std::vector<torch::Tensor>& x) {
        return (body->bones({exp_map(x[0]), x[1]}) * weight).sum();
    };
    REQUIRE(test::gradient_error(f, {0.7 * random({5, 3}, 22), random({3}, 23)}) <
            1e-8);  // measured 6e-10
}

TEST_CASE("pose blend shapes are applied only when asked for", "[body_model]") {
    auto data = small_body(3);
    data.pose_directions = (0.05 * random({12, 3, 18}, 31)).to(torch::kFloat);
    BodyModel body(data, torch::Tensor());
    BodyPose pose{torch::eye(3, torch::kDouble).repeat({3, 1, 1}),
                  torch::zeros({3}, torch::kDouble)};
    REQUIRE_CLOSE(body->posed(pose, true), body->shaped(), 1e-6);
    pose.rotations[2] = exp_map(torch::tensor({{0.5, 0.2, -0.3}}, torch::kDouble))[0];
    const auto feature = (pose.rotations[2] - torch::eye(3, torch::kDouble))
                             .reshape({-1});  // row-major, joint 2 is second
    auto bent = data;
    bent.vertices =
        data.vertices + torch::matmul(data.pose_directions.to(torch::kDouble).slice(2, 9), feature)
                            .to(torch::kFloat);
    // The joints stay those of the unbent shape, so the regressor must give them.
    bent.joint_regressor = data.joint_regressor;
    const auto offset = body->posed(pose, true) - body->posed(pose, false);
    REQUIRE(offset.abs().max().item<double>() > 1e-3);
    const auto blend =
        torch::einsum("vj,jab->vab", {body->weights().to(torch::kDouble), body->bones(pose)});
    const auto expected =
        torch::matmul(blend.slice(1, 0, 3).slice(2, 0, 3),
                      (bent.vertices - data.vertices).to(torch::kDouble).unsqueeze(2))
            .squeeze(2);
    REQUIRE_CLOSE(offset, expected, 1e-6);
}

TEST_CASE("SMPL's parameters fill the joints in order", "[body_model]") {
    const auto angles = random({2, 3}, 41);
    const auto pose = smpl_pose(angles[0], angles[1], torch::zeros({3}, torch::kDouble), 4);
    REQUIRE_CLOSE(pose.rotations.slice(0, 0, 2), exp_map(angles), 0.0);
    REQUIRE_CLOSE(pose.rotations[3], torch::eye(3, torch::kDouble), 0.0);
    REQUIRE(
        test::throws_error([&] { smpl_pose(angles[0], angles.view({-1}), torch::zeros({3}), 2); },
                           "body_pose: expected"));
}

TEST_CASE("a body file survives a round trip", "[body_model]") {
    const test::TemporaryFolder folder;
    auto data = small_body(5);
    data.pose_directions = random({20, 3, 36}, 51).to(torch::kFloat);
    write_body(folder.path / "b.npz", data);
    const auto back = read_body(folder.path / "b.npz");
    REQUIRE(torch::equal(back.vertices, data.vertices));
    REQUIRE(torch::equal(back.faces, data.faces));
    REQUIRE(torch::equal(back.weights, data.weights));
    REQUIRE(torch::equal(back.joint_regressor, data.joint_regressor));
    REQUIRE(torch::equal(back.parents, data.parents));
    REQUIRE(torch::equal(back.shape_directions, data.shape_directions));
    REQUIRE(torch::equal(back.pose_directions, data.pose_directions));
}

TEST_CASE("SMPL's own ways are read: an unsigned root, zero pose directions, no shape directions",
          "[body_model]") {
    const test::TemporaryFolder folder;
    write_body(folder.path / "b.npz", small_body(5));
    auto arrays = read_npz(folder.path / "b.npz");
    auto tree = arrays.at("kintree_table").tensor();
    tree[0][0] = 4294967295;
    arrays["kintree_table"] = npy_array(tree);
    arrays["posedirs"] = npy_array(torch::zeros({20, 3, 36}));
    arrays.erase("shapedirs");
    write_npz(folder.path / "c.npz", arrays);
    const auto body = read_body(folder.path / "c.npz");
    REQUIRE(body.parents[0].item<int64_t>() == -1);
    REQUIRE_FALSE(body.pose_directions.defined());
    REQUIRE(body.shape_directions.sizes() == torch::IntArrayRef({20, 3, 0}));
}

TEST_CASE("a broken body is named by file and key", "[body_model]") {
    const test::TemporaryFolder folder;
    const auto path = folder.path / "b.npz";
    write_body(path, small_body(5));
    const auto good = read_npz(path);
    const auto refused = [&](const char* key, const torch::Tensor& value,
                             const std::string& words) {
        auto arrays = good;
        value.defined() ? void(arrays[key] = npy_array(value)) : void(arrays.erase(key));
        write_npz(path, arrays);
        return test::throws_error([&] { read_body(path); }, "b.npz: ") &&
               test::throws_error([&] { read_body(path); }, words);
    };
    const auto changed = [&](const char* key, double value) {
        auto x = good.at(key).tensor();
        x.view({-1})[3] = value;
        return x;
    };
    for (const char* key : {"v_template", "f", "weights", "J_regressor", "kintree_table"}) {
        REQUIRE(refused(key, {}, std::string("no '") + key + "'"));
    }
    REQUIRE(refused("f", changed("f", 20), "f: expected indices in [0,20), got 20"));
    REQUIRE(refused("f", changed("f", -1), "f: expected indices in [0,20), got -1"));
    REQUIRE(refused("v_template", changed("v_template", NAN), "v_template: expected finite"));
    REQUIRE(refused("weights", changed("weights", 5), "weights: expected rows that sum to 1"));
    REQUIRE(refused("kintree_table", changed("kintree_table", 4),
                    "kintree_table: expected the parent of joint 3"));
    REQUIRE(refused("weights", torch::ones({19, 5}) / 5, "weights: expected [20,any], got [19,5]"));
    REQUIRE(
        refused("posedirs", torch::ones({20, 3, 9}), "posedirs: expected [20,3,36], got [20,3,9]"));
}

TEST_CASE("bones of any rig are taken as they are, and give back the rotations", "[body_model]") {
    const BodyModel upright(procedural_body(), torch::zeros({0}), /*star_degrees=*/0),
        star(procedural_body(), torch::zeros({0}), /*star_degrees=*/30);
    const int64_t J = upright->joint_count();
    const BodyPose pose{exp_map(0.4 * torch::randn({J, 3}, Random{8}.generator("pose"))),
                        torch::tensor({0.1F, 0.2F, 0.3F})};
    BodyPose rig;
    rig.bones = upright->bones(pose);  // without a star, from rest to observed
    for (const auto* body : {&upright, &star}) {
        REQUIRE_CLOSE((*body)->bones(rig), (*body)->bones(pose), 1e-5);
        REQUIRE_CLOSE((*body)->posed(rig), (*body)->posed(pose), 1e-5);
        REQUIRE_CLOSE((*body)->local_rotations(rig), pose.rotations, 1e-5);
    }
    REQUIRE(torch::equal(upright->local_rotations(pose), pose.rotations));
    rig.bones = rig.bones.slice(0, 1);
    REQUIRE(test::throws_error([&] { upright->bones(rig); }, "pose bones: expected [24,4,4]"));
}

TEST_CASE("a body in double poses in double, and its copy is the same body", "[body_model]") {
    BodyModel body(procedural_body(), torch::zeros({0}));
    const BodyPose pose{exp_map(0.4 * torch::randn({24, 3}, Random{8}.generator("pose"))),
                        torch::tensor({0.1F, 0.2F, 0.3F})};
    const auto single = body->posed(pose);
    body->to(torch::kDouble);
    REQUIRE(body->faces().scalar_type() == torch::kLong);
    REQUIRE(body->canonical().vertices.scalar_type() == torch::kDouble);
    const auto twice = body->posed(pose.to(torch::kDouble));
    REQUIRE(twice.scalar_type() == torch::kDouble);
    REQUIRE_CLOSE(single, twice, 1e-6);
    BodyModel copy(std::dynamic_pointer_cast<BodyModelImpl>(body->clone()));
    REQUIRE(torch::equal(copy->posed(pose.to(torch::kDouble)), twice));
    REQUIRE(torch::equal(copy->parents(), body->parents()));
}

TEST_CASE("a body's buffers that do not fit each other are refused", "[body_model]") {
    const BodyModel body(procedural_body(), torch::zeros({0}));
    const auto with = [&](const char* name, const torch::Tensor& value) {
        TensorDict buffers;
        for (const auto& item : body->named_buffers()) buffers.set(item.key(), item.value());
        buffers.set(name, value);
        return buffers;
    };
    REQUIRE(test::throws_error(
        [&] {
            BodyModelImpl(with("joints", torch::zeros({23, 3})));
        },
        "joints of the body: expected [24,3]"));
    REQUIRE(test::throws_error([&] { BodyModelImpl(with("faces", body->faces() + 100000)); },
                               "expected indices in"));
    REQUIRE(test::throws_error([] { BodyModelImpl(TensorDict{}); }, "there is no tensor"));
}

TEST_CASE("a pose that is empty, of mixed dtypes or no number is an Error", "[body_model]") {
    const BodyModel body(procedural_body(), torch::zeros({0}));
    const auto refused = [&](const BodyPose& pose, const char* words) {
        return test::throws_error([&] { body->bones(pose); }, words) &&
               test::throws_error([&] { body->posed(pose); }, words);
    };
    const auto rotations = torch::eye(3).repeat({body->joint_count(), 1, 1});
    CHECK(refused(BodyPose{}, "pose rotations: expected ["));
    CHECK(
        refused({rotations, torch::Tensor()}, "pose translation: expected [3], got an undefined"));
    CHECK(refused({rotations, torch::zeros({3}, torch::kDouble)},
                  "pose translation: expected Float, got Double"));
    CHECK(refused({rotations.to(torch::kLong), torch::zeros({3})},
                  "pose rotations: expected floating point, got Long"));
    CHECK(refused({{}, {}, torch::zeros({2, 4, 4})}, "pose bones: expected ["));
}
