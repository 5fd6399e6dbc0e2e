// What `export` writes, read back by the definitions of its formats and by readers of others.
#include <fmgs/baked_file.h>
#include <fmgs/core/io/npz.h>
#include <fmgs/core/quaternion.h>
#include <fmgs/core/rotation.h>
#include <fmgs/data/amass_file.h>
#include <fmgs/data/gltf/splat_glb.h>
#include <fmgs/data/image_io.h>
#include <fmgs/data/pose_file.h>
#include <fmgs/data/synthetic/procedural_body.h>
#include <fmgs/fields/splat_colors.h>
#include <fmgs/run/draw.h>
#include <fmgs/run/export.h>
#include <fmgs/run/splat_views.h>
#include <torch/nn/functional.h>

#include "support/glb.h"
#include "support/programs.h"
#include "support/tiny_baked.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

/// Joint → world [J,4,4] of a glTF file's joints: those of its nodes, or of key `frame` of its
/// animation.
torch::Tensor joint_matrices(const GlbFile& file, int64_t frame = -1) {
    const auto& nodes = file.json["nodes"].list();
    const size_t J = file.json["skins"].list().at(0)["joints"].list().size();
    std::vector<torch::Tensor> turn(J), place(J), world(J);
    const auto numbers = [](const Value& list) { return list.tensor().to(torch::kDouble); };
    for (size_t j = 0; j < J; ++j) {
        turn[j] = numbers(nodes[j]["rotation"]);
        place[j] = numbers(nodes[j]["translation"]);
    }
    if (frame >= 0) {
        const auto& animation = file.json["animations"].list().at(0);
        for (const auto& channel : animation["channels"].list()) {
            const auto& sampler =
                animation["samplers"].list().at(static_cast<size_t>(channel["sampler"].integer()));
            const auto value = file.accessor(sampler["output"].integer())[frame];
            const auto joint = static_cast<size_t>(channel["target"]["node"].integer());
            (channel["target"]["path"].text() == "rotation" ? turn : place)[joint] = value;
        }
    }
    for (size_t j = 0; j < J; ++j) {
        const auto local =
            rigid(rotation_of(turn[j].roll(1).unsqueeze(0)), place[j].unsqueeze(0))[0];
        world[j] = world[j].defined() ? world[j].matmul(local) : local;
        if (!nodes[j].contains("children")) continue;
        for (const auto& child : nodes[j]["children"].list())
            world[static_cast<size_t>(child.integer())] = world[j];
    }
    return torch::stack(world);
}

/// Where the vertices of the file are, by glTF's definition of skinning.
torch::Tensor skinned_vertices(const GlbFile& file, int64_t frame = -1) {
    const auto inverse =
        file.accessor(file.json["skins"].list().at(0)["inverseBindMatrices"].integer());
    const auto matrices = joint_matrices(file, frame).matmul(inverse);
    const auto joints = file.attribute("JOINTS_0").to(torch::kLong);
    const auto weights = file.attribute("WEIGHTS_0");
    const auto blended = (weights.unsqueeze(2).unsqueeze(3) *
                          matrices.index_select(0, joints.flatten()).view({-1, 4, 4, 4}))
                             .sum(1);
    const auto position = file.attribute("POSITION");
    return blended.slice(1, 0, 3).slice(2, 0, 3).matmul(position.unsqueeze(2)).squeeze(2) +
           blended.slice(1, 0, 3).select(2, 3);
}

ExportPoses two_poses(const SavedBaked& saved) {
    return export_poses(saved, nullptr, 1, ExportAxes::of("y"));
}

}  // namespace

TEST_CASE("a canonical .ply, viewed, is the render of the canonical avatar", "[export]") {
    const TemporaryFolder folder;
    const auto saved = tiny_baked();
    const auto surfels = saved.avatar->canonical().posed();
    write_splats(folder.path / "a.ply", canonical_surfels(saved.avatar, ExportAxes::of("y")));
    const auto viewed = draw(read_splats(folder.path / "a.ply"), saved.scene.camera);
    const auto rendered = draw(surfels, saved.scene.camera);
    REQUIRE(rendered.at("alpha").max().item<float>() > 0.5);
    for (const char* name : {"color", "alpha"})
        REQUIRE_CLOSE(viewed.at(name), rendered.at(name), 1e-5);
    // A file knows of no inside, so that the far side of the body is in its depth.
    auto both_sides = surfels;
    both_sides.far_side = 1;
    REQUIRE_CLOSE(viewed.at("depth"), draw(both_sides, saved.scene.camera).at("depth"), 1e-5);
}

TEST_CASE("a posed .ply in the capture's world is what the capture's camera sees", "[export]") {
    const TemporaryFolder folder;
    const auto saved = tiny_baked();
    const auto pose = capture_poses(saved, nullptr, 1).poses.at(1);
    write_splats(folder.path / "a.ply", saved.avatar->forward(pose));
    const auto viewed = draw(read_splats(folder.path / "a.ply"), saved.scene.camera);
    const auto rendered = draw(saved.avatar->forward(saved.scene.pose(1)), saved.scene.camera);
    for (const char* name : {"color", "alpha"})
        REQUIRE_CLOSE(viewed.at(name), rendered.at(name), 1e-5);
}

TEST_CASE("every axis is a turn of the others, with the person upright before them", "[export]") {
    const auto saved = tiny_baked();
    const auto y = canonical_surfels(saved.avatar, ExportAxes::of("y")).center;
    // The front of glTF, of a person before an OpenCV camera, and of Blender.
    const std::map<std::string, std::array<float, 3>> fronts{
        {"y", {0, 0, 1}}, {"-y", {0, 0, -1}}, {"z", {0, -1, 0}}};
    for (const auto& [name, front] : fronts) {
        INFO(name);
        const auto axes = ExportAxes::of(name);
        REQUIRE_CLOSE(axes.front, torch::tensor(std::vector<float>(front.begin(), front.end())), 0);
        const auto turn = axes.turn();
        REQUIRE_CLOSE(torch::det(turn), torch::tensor(1.F), 1e-6);
        const auto center = canonical_surfels(saved.avatar, axes).center;
        REQUIRE_CLOSE(center.matmul(axes.up), y.select(1, 1), 1e-6);
        REQUIRE_CLOSE(center.matmul(axes.front), y.select(1, 2), 1e-6);
        // Poses: the first frame stands over the origin and looks to the front.
        const auto pose = export_poses(saved, nullptr, 1, axes).poses.at(0);
        const auto root = saved.avatar->body()->joints()[0];
        const auto place = pose.translation + root;
        CHECK(place.dot(axes.front).abs().item<double>() < 1e-5);
        CHECK(place.dot(axes.up).item<double>() ==
              Approx((root[1] - saved.avatar->body()->shaped().select(1, 1).min()).item<double>()));
        const auto facing = pose.rotations[0].select(1, 2);
        const auto level = facing - axes.up * facing.dot(axes.up);
        REQUIRE_CLOSE(level / level.norm(), axes.front, 1e-5);
    }
    CHECK(throws_error([] { ExportAxes::of("x"); }, "expected y, -y or z"));
}

TEST_CASE("a texture has the colour of each face wherever it is read in it", "[export]") {
    auto generator = Random{4}.generator("atlas");
    for (const int64_t faces : {1, 7, 32}) {
        const auto color = torch::rand({faces, 3}, generator, torch::kFloat);
        const auto atlas = face_atlas(color);
        auto bary = torch::rand({faces, 50, 3}, generator, torch::kFloat);
        bary = bary / bary.sum(2, true);
        const auto at = torch::cat({bary, torch::eye(3).expand({faces, 3, 3})}, 1).matmul(atlas.uv);
        const auto read = torch::nn::functional::grid_sample(
            atlas.image.unsqueeze(0), (2 * at - 1).unsqueeze(0),
            torch::nn::functional::GridSampleFuncOptions().align_corners(false));
        REQUIRE_CLOSE(read[0].permute({1, 2, 0}), color.unsqueeze(1).expand({faces, 53, 3}), 1e-5);
    }
}

TEST_CASE("a skinned mesh moves in glTF as it does here", "[export]") {
    const TemporaryFolder folder;
    const auto saved = tiny_baked();
    const auto poses = two_poses(saved);
    const auto mesh = skinned_mesh(saved.avatar, poses);
    write_skinned_glb(folder.path / "a.glb", mesh);
    const GlbFile file(folder.path / "a.glb");
    const auto corners = mesh.mesh.faces.flatten();
    const auto at_corners = [&](const torch::Tensor& x) { return x.index_select(0, corners); };
    CHECK(file.json["animations"].list().at(0)["name"].text() == "motion");
    REQUIRE_CLOSE(file.attribute("POSITION"), at_corners(mesh.mesh.vertices), 1e-6);
    REQUIRE_CLOSE(skinned_vertices(file), at_corners(mesh.mesh.vertices), 1e-5);
    for (int64_t k = 0; k < 2; ++k) {
        const auto expected = skin(
            mesh.weights, saved.avatar->body()->bones(poses.poses[size_t(k)]), mesh.mesh.vertices);
        REQUIRE_CLOSE(skinned_vertices(file, k), at_corners(expected), 1e-5);
    }
    REQUIRE_CLOSE(file.attribute("WEIGHTS_0").sum(1), torch::ones({24}), 1e-6);
    // The offset of a vertex lies among those of its faces.
    const auto moved = (mesh.mesh.vertices - saved.avatar->shape().mesh.vertices).norm(2, 1);
    CHECK(moved.min().item<double>() > 0);
    CHECK(moved.max().item<double>() <=
          saved.avatar->parts().mean.select(1, 0).abs().max().item<double>() + 1e-6);
    // The texture, through its own reader.
    const auto image = folder.path / "texture.png";
    write_whole(image, file.view_bytes(static_cast<size_t>(
                           file.json["images"].list().at(0)["bufferView"].integer())));
    REQUIRE_CLOSE(read_color(image), face_atlas(mesh.face_color).image, 0.6 / 255);
}

TEST_CASE("a skinned mesh is bound in the star pose that its legs are spread in", "[export]") {
    const TemporaryFolder folder;
    const BodyModel body(procedural_body({.cell = 0.03}), torch::zeros({0}));
    const auto avatar = drawn_baked(body);
    auto generator = Random{6}.generator("pose");
    const ExportPoses poses{
        {{exp_map(0.3 * torch::randn({body->joint_count(), 3}, generator, torch::kFloat)),
          torch::randn({3}, generator, torch::kFloat)}},
        30};
    auto mesh = skinned_mesh(avatar, poses);
    // The weights that a vertex keeps are four.
    const auto least = std::get<0>(mesh.weights.topk(4, 1)).slice(1, 3, 4);
    mesh.weights = torch::where(mesh.weights >= least, mesh.weights, 0);
    mesh.weights = mesh.weights / mesh.weights.sum(1, true);
    write_skinned_glb(folder.path / "a.glb", mesh);
    const GlbFile file(folder.path / "a.glb");
    const auto corners = mesh.mesh.faces.flatten();
    REQUIRE_CLOSE(skinned_vertices(file), mesh.mesh.vertices.index_select(0, corners), 1e-5);
    const auto expected = skin(mesh.weights, body->bones(poses.poses[0]), mesh.mesh.vertices);
    REQUIRE_CLOSE(skinned_vertices(file, 0), expected.index_select(0, corners), 1e-5);
    CHECK(file.json["nodes"].list().at(1)["name"].text() == "left_hip");
    // Joints lie where the body has them, so that all but the root only turn.
    const auto joint = joint_matrices(file, 0).slice(1, 0, 3).select(2, 3);
    REQUIRE_CLOSE(joint[0], poses.poses[0].translation + body->joints()[0], 1e-5);
    CHECK(file.json["animations"].list().at(0)["channels"].list().size() == 24 + 1);
}

TEST_CASE("Gaussians in glTF have their numbers as such", "[export]") {
    const TemporaryFolder folder;
    const auto saved = tiny_baked();
    const auto surfels = canonical_surfels(saved.avatar, ExportAxes::of("y"));
    write_splat_glb(folder.path / "a.glb", surfels);
    const GlbFile file(folder.path / "a.glb");
    const auto of = [&](const std::string& name) {
        return file.attribute("KHR_gaussian_splatting:" + name);
    };
    REQUIRE_CLOSE(file.attribute("POSITION"), surfels.center, 1e-6);
    REQUIRE_CLOSE(of("OPACITY"), surfels.opacity.squeeze(1), 1e-6);
    const auto axes = rotation_of(of("ROTATION").roll(1, 1)) * of("SCALE").unsqueeze(1);
    const auto tangents = surfels.tangents.to(torch::kDouble);
    REQUIRE_CLOSE(axes.matmul(axes.transpose(1, 2)), tangents.matmul(tangents.transpose(1, 2)),
                  1e-6);
    REQUIRE_CLOSE(0.5 + kHarmonicsConstant * of("SH_DEGREE_0_COEF_0"), surfels.features.at("color"),
                  1e-6);
    const auto color = file.attribute("COLOR_0");
    REQUIRE_CLOSE(color.select(1, 3), surfels.opacity.squeeze(1), 1e-6);
    // sRGB 0.5 is 0.2140 of the light.
    auto grey = surfels;
    grey.features.set("color", torch::full({8, 3}, 0.5));
    write_splat_glb(folder.path / "a.glb", grey);
    REQUIRE_CLOSE(GlbFile(folder.path / "a.glb").attribute("COLOR_0").slice(1, 0, 3),
                  torch::full({8, 3}, 0.21404), 1e-4);
}

TEST_CASE("poses as AMASS has them are read as the same motion", "[export]") {
    const TemporaryFolder folder;
    const auto file = folder.path / "poses.npz";
    auto generator = Random{9}.generator("amass");
    std::vector<BodyPose> poses;
    for (int k = 0; k < 3; ++k)
        poses.push_back({exp_map(0.4 * torch::randn({24, 3}, generator, torch::kFloat)),
                         torch::randn({3}, generator, torch::kFloat)});
    write_amass(file, poses, torch::tensor({0.5F, -1.F}), 25);
    const auto read = read_pose_file(file);
    CHECK(read.fps == 25);
    CHECK(read.up_axis == "z");
    REQUIRE(read.count() == 3);
    for (int k = 0; k < 3; ++k) {
        const auto pose = read.pose(k, 24);
        REQUIRE_CLOSE(pose.rotations.slice(0, 0, 22), poses[size_t(k)].rotations.slice(0, 0, 22),
                      1e-5);
        REQUIRE_CLOSE(pose.translation, poses[size_t(k)].translation, 1e-6);
    }
    const auto arrays = read_npz(file);
    CHECK(arrays.at("poses").shape == std::vector<int64_t>{3, 156});
    CHECK(arrays.at("betas").shape == std::vector<int64_t>{16});
    CHECK(arrays.at("gender").shape.empty());
    poses[1].rotations = torch::eye(3).expand({5, 3, 3});
    CHECK(throws_error([&] { write_amass(file, poses, {}, 25); }, "expected rotations of 24, 52"));
    CHECK(read_pose_file(file).count() == 3);
}

TEST_CASE("labels and bones come out by surfel", "[export]") {
    const TemporaryFolder folder;
    const auto saved = tiny_baked();
    write_surfel_data(folder.path / "a.npz", saved);
    const auto arrays = read_npz(folder.path / "a.npz");
    CHECK(torch::equal(arrays.at("labels").tensor(), torch::arange(8) % 4));
    CHECK(arrays.at("label_names").strings() == saved.scene.labels.at("semantic"));
    CHECK(arrays.at("joint_names").strings().at(2) == "joint_2");
    REQUIRE_CLOSE(arrays.at("bone_weight").tensor(), saved.avatar->parts().bone_weight, 0);
}

TEST_CASE("a sequence goes into a new or empty folder, whole", "[export]") {
    const TemporaryFolder folder;
    const auto out = folder.path / "out";
    const auto saved = tiny_baked();
    const auto poses = two_poses(saved);
    const auto write = [&] { write_splat_sequence(out, saved.avatar, poses, {}, [](int64_t) {}); };
    fs::create_directories(out);
    write();
    CHECK(fs::exists(out / "frame0001.ply"));
    const auto second = read_splats(out / "frame0002.ply").surfels;
    REQUIRE_CLOSE(second.center, saved.avatar->forward(poses.poses[1]).center, 1e-6);
    CHECK(throws_error(write, "expected a new or empty folder, it holds frame000"));
    fs::remove_all(out);
    CHECK_THROWS(write_splat_sequence(out, saved.avatar, poses, {},
                                      [](int64_t) { throw Error("interrupted"); }));
    CHECK(fs::is_empty(folder.path));
}

// A ctest entry of its own, python_exports, so that it can be reported as skipped.
TEST_CASE("readers of others open what is exported", "[.python]") {
    const TemporaryFolder folder;
    const auto saved = tiny_baked();
    const auto surfels = canonical_surfels(saved.avatar, ExportAxes::of("y"));
    const auto mesh = skinned_mesh(saved.avatar, two_poses(saved));
    write_splats(folder.path / "surfels.ply", surfels);
    write_splat_glb(folder.path / "splats.glb", surfels);
    write_skinned_glb(folder.path / "mesh.glb", mesh);
    write_npz(folder.path / "expected.npz",
              {{"center", npy_array(surfels.center)},
               {"opacity", npy_array(surfels.opacity.squeeze(1).contiguous())},
               {"color", npy_array(surfels.features.at("color"))},
               {"scale", npy_array(ellipse_frames(surfels.tangents).scale)},
               {"face_color", npy_array(mesh.face_color)},
               {"joint_names", npy_array(mesh.names)},
               {"triangles", npy_array(mesh.mesh.vertices.index_select(0, mesh.mesh.faces.flatten())
                                           .view({-1, 3, 3})
                                           .contiguous())}});
    const auto read = shell("python3 " FMGS_SOURCE_DIR "/tests/support/exported_files.py " +
                            folder.path.string());
    std::printf("%s%s", read.code == 77 ? "skipped: " : "", read.text.c_str());
    REQUIRE((read.code == 0 || read.code == 77));
}

// A ctest entry of its own, python_baked, so that it can be reported as skipped.
TEST_CASE("NumPy poses a baked avatar and repaints a class of it", "[.numpy]") {
    const TemporaryFolder folder;
    const auto saved = tiny_baked();
    const auto& parts = saved.avatar->parts();
    const auto file = folder.path / "baked.safetensors", out = folder.path / "painted.safetensors";
    save_baked(file, saved.avatar, saved.scene);
    const int64_t label = parts.labels[0].item<int64_t>();
    const auto done =
        shell("python3 -c 'import numpy, safetensors' || exit 77; python3 " FMGS_SOURCE_DIR
              "/tools/baked_avatar.py " +
              file.string() + " " + out.string() + " --label " + std::to_string(label) +
              " --color 0.25,0.5,1 --frame 1 --points " + (folder.path / "points.npy").string());
    std::printf("%s%s", done.code == 77 ? "skipped: " : "", done.text.c_str());
    REQUIRE((done.code == 0 || done.code == 77));
    if (done.code == 77) return;
    const auto points = read_npy(folder.path / "points.npy").tensor();
    REQUIRE_CLOSE(points, saved.avatar->forward(saved.scene.pose(1)).center.to(torch::kDouble),
                  1e-5);
    const auto painted = load_baked(out).avatar->parts();
    const auto chosen = (parts.labels == label).unsqueeze(1);
    auto expected = parts.mean.clone();
    expected.slice(1, -3).copy_(
        torch::where(chosen, torch::tensor({0.25F, 0.5F, 1.F}), expected.slice(1, -3)));
    REQUIRE(chosen.any().item<bool>());
    REQUIRE_FALSE(chosen.all().item<bool>());
    REQUIRE(torch::equal(painted.mean, expected));
    REQUIRE(torch::equal(painted.components, parts.components));
}
