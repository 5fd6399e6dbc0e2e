// The pose of a body from its vertices, and SAM 3D Body's files, which are read by it.
#include <fmgs/core/io/files.h>
#include <fmgs/core/random.h>
#include <fmgs/data/fit_pose.h>
#include <fmgs/data/fits/mhr.h>
#include <fmgs/data/fits/read_fit.h>
#include <fmgs/data/synthetic/procedural_body.h>

#include "support/fits.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

// Each joint turned by up to `angle`, the root by anything; a metre or two away.
BodyPose random_pose(int64_t joints, double angle, int64_t seed) {
    auto generator = Random{static_cast<uint64_t>(seed)}.generator("pose");
    auto turns = torch::randn({joints, 3}, generator, torch::kDouble);
    const auto length = torch::rand({joints, 1}, generator, torch::kDouble) * angle;
    turns = turns / turns.norm(2, 1, true) * length;
    turns[0] = turns[0] / turns[0].norm() * 2.9;
    return BodyPose{exp_map(turns), torch::randn({3}, generator, torch::kDouble)}.to(torch::kFloat);
}

// Largest angle between rotations, degrees.
double degrees_apart(const torch::Tensor& a, const torch::Tensor& b) {
    const auto between = torch::matmul(a.transpose(1, 2), b).to(torch::kDouble);
    return log_map(between).norm(2, 1).max().item<double>() * 180 / M_PI;
}

// 6,890 vertices around the bones of the stick body, each held by one joint and its parent.
BodyData smpl_sized_body() {
    const auto joints = FitTruth().joints;
    auto generator = Random{5}.generator("vertices");
    BodyData body;
    const auto joint = torch::arange(6890).remainder(24);
    body.vertices =
        (joints.index_select(0, joint) + 0.05 * torch::randn({6890, 3}, generator, torch::kDouble))
            .to(torch::kFloat);
    body.parents = stick_body(joints)->parents();
    // Every 24th vertex is of the same joint.
    const auto first = torch::arange(6890 - 48);
    body.faces = torch::stack({first, first + 24, first + 48}, 1);
    const auto above = body.parents.clamp_min(0).index_select(0, joint);
    body.weights = torch::zeros({6890, 24});
    body.weights.scatter_add_(1, joint.unsqueeze(1), torch::full({6890, 1}, 0.8));
    body.weights.scatter_add_(1, above.unsqueeze(1), torch::full({6890, 1}, 0.2));
    body.joint_regressor = torch::zeros({24, 6890});
    body.joint_regressor.scatter_add_(0, joint.unsqueeze(0), torch::full({1, 6890}, 1.0));
    body.joint_regressor = body.joint_regressor / body.joint_regressor.sum(1, true);
    body.shape_directions = torch::zeros({6890, 3, 0});
    return body;
}

// A map whose triangle i has SMPL's vertex i (as MHR's vertex 2 i) and two others.
void write_mhr_map(const std::filesystem::path& folder) {
    auto weights = torch::zeros({6890, 3}, torch::kDouble);
    weights.select(1, 1).fill_(1);
    write_npz(folder / "mhr2smpl_mapping.npz", {{"triangle_ids", npy_array(torch::arange(6890))},
                                                {"baryc_coords", npy_array(weights)}});
    std::string mesh =
        "ply\nformat binary_little_endian 1.0\ncomment made here\nelement vertex 18439\n"
        "property float x\nproperty float y\nproperty float z\nproperty uchar red\nelement face "
        "6890\n"
        "property list uchar int vertex_indices\nend_header\n";
    mesh += std::string(18439 * 13, '\0');
    for (int32_t i = 0; i < 6890; ++i) {
        const int32_t corners[3] = {0, 2 * i, 1};
        mesh += '\x03';
        mesh.append(reinterpret_cast<const char*>(corners), 12);
    }
    write_whole(folder / "mhr_lod1_mesh.ply", mesh);
}

// One picture's result for a body in this pose, seen by f = 1500, c = (640, 360).
NpzFile sam_result(const BodyModel& body, const BodyPose& pose) {
    auto generator = Random{6}.generator("mhr");
    const auto place = torch::tensor({0.1, 0.2, 6.0}, torch::kDouble);
    auto vertices = torch::randn({18439, 3}, generator, torch::kDouble);
    const auto posed = body->posed(pose).to(torch::kDouble) - place;
    vertices.slice(0, 0, 2 * 6890, 2).copy_(posed);
    const auto points = torch::randn({70, 3}, generator, torch::kDouble) * 0.4;
    const auto seen = points + place;
    const auto pixels = 1500 * seen.slice(1, 0, 2) / seen.slice(1, 2, 3) +
                        torch::tensor({640.0, 360.0}, torch::kDouble);
    return {{"pred_vertices", npy_array(vertices.to(torch::kFloat))},
            {"pred_cam_t", npy_array(place.to(torch::kFloat))},
            {"pred_keypoints_3d", npy_array(points.to(torch::kFloat))},
            {"pred_keypoints_2d", npy_array(pixels.to(torch::kFloat))}};
}

}  // namespace

TEST_CASE("random poses of a body are found again to half a degree and half a millimetre",
          "[fit_pose]") {
    const BodyModel body(procedural_body({.cell = 0.035}), torch::zeros({0}));
    for (const int64_t seed : {1, 2, 3}) {
        const auto pose = random_pose(body->joint_count(), 1.2, seed);
        const auto fit = fit_pose(*body, body->posed(pose));
        INFO("seed " << seed << ", " << fit.steps << " steps, residual " << fit.residual);
        CHECK(degrees_apart(fit.pose.rotations, pose.rotations) < 0.5);
        CHECK((fit.pose.translation - pose.translation).norm().item<double>() < 5e-4);
        CHECK(fit.residual < 1e-4);
    }
}

TEST_CASE("a body of another rig is fitted, too, and noise of 5 mm costs less than two degrees",
          "[fit_pose]") {
    const BodyModel body(smpl_sized_body(), torch::zeros({0}));
    const auto pose = random_pose(24, 0.8, 4);
    auto generator = Random{7}.generator("noise");
    const auto noise = 0.005 * torch::randn({6890, 3}, generator, torch::kFloat);
    const auto fit = fit_pose(*body, body->posed(pose) + noise);
    CHECK(degrees_apart(fit.pose.rotations, pose.rotations) < 2);  // measured 1.4
    CHECK(fit.residual == Approx(0.005 * std::sqrt(3.0)).epsilon(0.05));
    // From a start nearby it takes no more steps.
    CHECK(fit_pose(*body, body->posed(pose) + noise, pose).steps <= fit.steps);
}

TEST_CASE("vertices of another body, or that are not finite, are refused", "[fit_pose]") {
    const auto body = stick_body(FitTruth().joints);
    REQUIRE(throws_error(
        [&] {
            fit_pose(*body, torch::zeros({25, 3}));
        },
        "vertices to be fitted: expected [24,3], got [25,3]"));
    REQUIRE(throws_error([&] { fit_pose(*body, torch::full({24, 3}, NAN)); }, "finite"));
}

TEST_CASE("SAM 3D Body: the pose is fitted through the map, and the camera solved", "[fit_pose]") {
    const BodyModel body(smpl_sized_body(), torch::zeros({0}));
    const auto pose = random_pose(24, 0.6, 8);
    const TemporaryFolder folder;
    write_mhr_map(folder.path);
    const auto file = folder.path / "photo.npz";
    write_npz(file, sam_result(body, pose));
    PoseFileOptions options{.body = &*body};
    const auto read = read_pose_file(file, options).with_smpl_transl(body->joints());
    REQUIRE(read.layout == "SAM 3D Body");
    CHECK(degrees_apart(read.pose(0, 24).rotations, pose.rotations) < 0.1);
    CHECK((read.transl[0] - pose.translation).norm().item<double>() < 1e-4);
    const auto camera = read.camera->intrinsics_of(0, 1280, 720);
    CHECK(distance(camera, torch::tensor({1500., 1500., 640., 360.})) < 1e-4);

    REQUIRE(throws_error([&] { read_pose_file(file); }, "expected a body to fit to them"));
    const auto stick = stick_body(FitTruth().joints);
    options.body = &*stick;
    REQUIRE(throws_error([&] { read_pose_file(file, options); },
                         "the body has 24 and 24, for which there is no map"));
    // As many vertices in another order.
    auto shuffled = smpl_sized_body();
    auto generator = Random{9}.generator("order");
    const auto order = torch::randperm(6890, generator, torch::kLong);
    shuffled.vertices = shuffled.vertices.index_select(0, order);
    shuffled.weights = shuffled.weights.index_select(0, order);
    shuffled.joint_regressor = shuffled.joint_regressor.index_select(1, order);
    shuffled.faces = order.argsort().index_select(0, shuffled.faces.flatten()).reshape({-1, 3});
    const BodyModel other(shuffled, torch::zeros({0}));
    options.body = &*other;
    REQUIRE(throws_error([&] { read_pose_file(file, options); },
                         "has as many vertices, but they are others"));
    options.body = &*body;
    std::filesystem::remove(folder.path / "mhr_lod1_mesh.ply");
    REQUIRE(throws_error([&] { read_pose_file(file, options); },
                         "mhr_lod1_mesh.ply: expected this file, which carries"));
    write_whole(folder.path / "mhr_lod1_mesh.ply",
                "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\n"
                "property float z\nelement face 1\nproperty list uchar int vertex_indices\n"
                "end_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n");
    REQUIRE(throws_error([&] { read_pose_file(file, options); },
                         "mhr_lod1_mesh.ply: expected the mesh of 18439 vertices, got 3"));
}

TEST_CASE("SAM 3D Body: persons of a folder by the number behind their picture's name",
          "[fit_pose]") {
    const BodyModel body(smpl_sized_body(), torch::zeros({0}));
    const TemporaryFolder folder;
    write_mhr_map(folder.path);
    std::filesystem::create_directory(folder.path / "frames");
    for (const auto& [name, seed] :
         {std::pair{"img_0001_subj00", 1}, {"img_0002_subj00", 2}, {"img_0002_subj01", 3}})
        write_npz(folder.path / "frames" / (std::string(name) + ".npz"),
                  sam_result(body, random_pose(24, 0.5, seed)));
    PoseFileOptions options{.body = &*body, .mhr_folder = folder.path};
    const auto longest = read_pose_file(folder.path / "frames", options);
    REQUIRE(longest.frame_ids == std::vector<int64_t>{1, 2});
    REQUIRE(longest.names[1] == "img_0002");
    options.person = 1;
    REQUIRE(read_pose_file(folder.path / "frames", options).frame_ids == std::vector<int64_t>{2});
}
