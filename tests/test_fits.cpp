// Every layout of poses against files that Python's own writers made of one motion.
#include <fmgs/data/motion.h>

#include "support/fits.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

constexpr double kExact = 1e-5, kRounded = 1e-4;

PoseFile read(const std::string& name, int64_t person = -1, bool world = false) {
    return read_pose_file(fit_path(name), {.person = person, .world = world});
}

bool has_note(const PoseFile& file, const std::string& words) {
    for (const auto& note : file.notes) {
        if (note.find(words) != note.npos) return true;
    }
    return false;
}

}  // namespace

TEST_CASE("one motion in every layout gives the same poses", "[fits]") {
    const FitTruth truth;
    struct Case {
        const char *file, *layout;
        double tolerance;
    };
    // float32 and six digits leave 3e-7 m and 1e-6 rad; cam_trans made from s leaves 2e-6 m.
    for (const Case& c :
         {Case{"neutral.npz", "global_orient + body_pose", kExact},
          {"instantavatar.npz", "thetas [8,72]", kExact},
          {"animnerf.npz", "global_orient + body_pose", kExact},
          {"amass.npz", "AMASS", kExact},
          {"amass_smplx.npz", "AMASS of SMPL-X", kExact},
          {"aist.pkl", "AIST++", kExact},
          {"arah", "one file per frame: root_orient + pose_body", kExact},
          {"romp", "ROMP", kExact},
          {"romp_video.npz", "ROMP", kExact},
          {"romp_old.npz", "ROMP", kRounded},
          {"vibe.pkl", "VIBE or PARE", kRounded},
          {"phalp.pkl", "PHALP (4D-Humans)", kExact},
          {"gvhmr.pt", "GVHMR", kExact},
          {"meshcapade.smpl", "Meshcapade .smpl", kExact},
          {"easymocap", "Rh and Th (EasyMocap, ZJU-MoCap)", kExact},
          {"easymocap_annots", "Rh and Th (EasyMocap, ZJU-MoCap)", kExact},
          {"zju", "Rh and Th (EasyMocap, ZJU-MoCap)", kExact},
          {"mesh_infos.pkl", "HumanNeRF's mesh_infos (Rh, Th and resting joints)", kExact},
          {"metadata.json", "HumanNeRF's metadata.json", kExact},
          {"t_pose.bvh", "BVH of 22 joints", kRounded}}) {
        INFO(c.file);
        const auto file = read(c.file);
        CHECK(file.layout == c.layout);
        CHECK(difference(file, truth) <= c.tolerance);
    }
}

TEST_CASE("bare arrays of axis-angle or rotation matrices play in place", "[fits]") {
    FitTruth truth;
    truth.transl = torch::zeros({8, 3}, torch::kDouble);
    for (const char* name : {"bare.npy", "bare_joints.npy", "bare_matrices.npy"}) {
        INFO(name);
        const auto file = read(name);
        CHECK(difference(file, truth) <= kExact);
        CHECK(!file.has_fps);
        CHECK(has_note(file, "no translations"));
    }
}

TEST_CASE("trap 10: Rh and Th turn about the origin, and SMPL's transl about joint 0", "[fits]") {
    const FitTruth truth;
    const auto file = read("zju");
    REQUIRE(file.place == Place::kOrigin);
    REQUIRE(throws_error([&] { file.pose(0, 24); }, "not SMPL's transl"));
    const auto body = stick_body(truth.joints);
    const auto pose = file.with_smpl_transl(body->joints()).pose(0, 24);
    // EasyMocap's own formula: x = R (body with a root that is not turned) + Th.
    auto still = pose;
    still.rotations = pose.rotations.clone();
    still.rotations[0].copy_(torch::eye(3));
    still.translation = torch::zeros({3});
    const auto by_formula =
        torch::matmul(body->posed(still), pose.rotations[0].t()) + file.transl[0];
    REQUIRE_CLOSE(body->posed(pose), by_formula, 1e-6);
}

TEST_CASE("trap 12: rows without names or numbers are counted, those with names keep them",
          "[fits]") {
    REQUIRE(read("instantavatar.npz").names.empty());
    REQUIRE(read("instantavatar.npz").frame_ids.empty());
    REQUIRE(read("neutral.npz").names[7] == "image_0007");
    REQUIRE(read("easymocap").frame_ids.back() == 7);
    REQUIRE(read("romp").frame_ids.front() == 1);
    REQUIRE(read("phalp.pkl").names.front() == "000001");
}

TEST_CASE("trap 14: 52 and 55 joints give SMPL's first 22; fingers never reach the hands",
          "[fits]") {
    for (const char* name : {"amass.npz", "amass_smplx.npz"}) {
        const auto file = read(name);
        INFO(name);
        REQUIRE(file.body_pose.size(1) == 63);
        REQUIRE(has_note(file, "left out"));
        const auto motion = read_motion(fit_path(name), *stick_body(FitTruth().joints));
        REQUIRE_CLOSE(motion.poses[0].rotations.slice(0, 22), torch::eye(3).expand({2, 3, 3}), 0);
    }
    REQUIRE(!read("amass_smplx.npz").betas.defined());
}

TEST_CASE("trap 15: both spellings of AMASS's rate", "[fits]") {
    REQUIRE(read("amass.npz").fps == 120);       // mocap_framerate
    REQUIRE(read("amass_smplx.npz").fps == 60);  // mocap_frame_rate
    REQUIRE(read("meshcapade.smpl").fps == 24);  // frameRate
    REQUIRE(read("neutral.npz").fps == 25);      // fps
    REQUIRE(read("t_pose.bvh").fps == Approx(40));
    REQUIRE(!read("instantavatar.npz").has_fps);
}

TEST_CASE("trap 16: AIST++ counts in units of its fit", "[fits]") {
    const auto file = read("aist.pkl");
    REQUIRE_CLOSE(file.transl, FitTruth().transl, 1e-6);
    REQUIRE(file.fps == 60);
    REQUIRE(has_note(file, "smpl_scaling = 94"));
}

TEST_CASE("trap 17: half a turn comes through matrices unharmed", "[fits]") {
    const auto file = read("phalp.pkl");
    // Row 2 is turned by exactly π, row 3 by more.
    REQUIRE(file.global_orient[2].norm().item<double>() == Approx(M_PI).margin(1e-3));
    REQUIRE_CLOSE(rotations_of(file).slice(0, 2, 4), FitTruth().rotations.slice(0, 2, 4), 1e-5);
}

TEST_CASE("trap 25: frames that a fitter lost stay lost, and a motion fills them in", "[fits]") {
    const FitTruth truth;
    const auto file = read("wham.pkl");
    REQUIRE(file.frame_ids == std::vector<int64_t>{0, 1, 2, 4, 5, 6, 7});
    REQUIRE(difference(file, truth, file.frame_ids) <= kExact);
    const auto motion = read_motion(fit_path("wham.pkl"), *stick_body(truth.joints));
    REQUIRE(motion.poses.size() == 8);
    REQUIRE(motion.description.find("7 frames and 1 filled in") != std::string::npos);
    const auto halfway = (motion.poses[2].translation + motion.poses[4].translation) / 2;
    REQUIRE_CLOSE(motion.poses[3].translation, halfway, 1e-6);
    // GLAMR's guesses for frames without a person are no fit.
    REQUIRE(difference(read("glamr.pkl"), truth, {0, 1, 2, 3, 4, 5, 7}) <= kExact);
}

TEST_CASE("a motion takes the world's poses where a fit has them", "[fits]") {
    REQUIRE(difference(read("wham.pkl", -1, true), FitTruth("y_up_"), {0, 1, 2, 4, 5, 6, 7}) <=
            kExact);
    REQUIRE(difference(read("gvhmr.pt", -1, true), FitTruth("y_up_")) <= kExact);
    REQUIRE(difference(read("glamr.pkl", -1, true), FitTruth("z_up_")) <= kExact);
    REQUIRE(read("glamr.pkl", -1, true).up_axis == "z");
}

TEST_CASE("the person seen longest is taken, or the one asked for", "[fits]") {
    REQUIRE(read("wham.pkl").count() == 7);  // person 7; person 4 has three frames
    REQUIRE(read("wham.pkl", 4).count() == 3);
    REQUIRE(read("phalp.pkl", 8).count() == 2);
    REQUIRE(read("easymocap", 5).count() == 2);
    REQUIRE(throws_error([&] { read("wham.pkl", 3); }, "there is no person 3; there are 4, 7"));
    // ROMP does not name people: they are told apart by where they are.
    REQUIRE(read("romp").count() == 8);
    REQUIRE(read("romp", 1).count() == 3);
    REQUIRE(has_note(read("romp"), "told apart by where they are"));
    REQUIRE(has_note(read("phalp.pkl"), "1 entries of persons who were out of sight left out"));
}

TEST_CASE("betas that differ from frame to frame are averaged, and a note says so", "[fits]") {
    REQUIRE_CLOSE(read("wham.pkl").betas, FitTruth().betas, 1e-6);
    REQUIRE(has_note(read("wham.pkl"), "betas averaged over 7 frames"));
    REQUIRE_CLOSE(read("romp").betas, FitTruth().betas, 1e-6);  // ten of eleven
}

TEST_CASE("a fit's camera comes with it", "[fits]") {
    const auto romp = read("romp").camera->intrinsics_of(0, 512, 512);
    REQUIRE(romp[0].item<double>() == Approx(443.4).margin(0.05));
    REQUIRE(romp[2].item<double>() == 256);
    const auto wham = read("wham.pkl").camera->intrinsics_of(0, 1920, 1080);
    REQUIRE(wham[0].item<double>() == Approx(std::hypot(1920, 1080)));
    const auto phalp = *read("phalp.pkl").camera;
    REQUIRE(phalp.width == 1920);
    REQUIRE(phalp.intrinsics_of(0, 1920, 1080)[0].item<double>() == Approx(5000.0 / 256 * 1920));
    REQUIRE(
        throws_error([&] { phalp.intrinsics_of(0, 640, 480); }, "expected pictures of 1920x1080"));
    const auto gvhmr = *read("gvhmr.pt").camera;
    REQUIRE(gvhmr.height == 1080);
    REQUIRE_CLOSE(gvhmr.intrinsics_of(3, 1920, 1080), torch::tensor({2202.9, 2202.9, 960., 540.}),
                  1e-6);
    REQUIRE_CLOSE(read("metadata.json").camera->intrinsics_of(0, 1080, 1920),
                  torch::tensor({1100., 1100., 540., 960.}), 1e-6);
    REQUIRE(!read("amass.npz").camera);
}

TEST_CASE("the spine tells which way is up, whatever the file's kind has", "[fits]") {
    // The motion stands y down, as in a camera; AMASS has z up, and AIST++ y.
    const auto body = stick_body(FitTruth().joints);
    for (const char* name : {"amass.npz", "aist.pkl", "wham.pkl"}) {
        const auto motion = read_motion(fit_path(name), *body);
        INFO(motion.description);
        const bool world = std::string(name) == "wham.pkl";
        CHECK(distance(motion.up, torch::tensor({0., world ? 1. : -1., 0.})) == 0);
        CHECK(motion.warnings.empty() == world);
    }
    const auto motion = read_motion(fit_path("glamr.pkl"), *body);
    REQUIRE_CLOSE(motion.up, torch::tensor({0., 0., 1.}), 0);
    REQUIRE(motion.description.find("as the spine says, too") != std::string::npos);
}

TEST_CASE("expressions are kept with their poses, through every form of them", "[fits]") {
    const FitTruth truth;
    const TemporaryFolder folder;
    const auto path = folder.path / "poses.npz";
    auto arrays = read_npz(fit_path("neutral.npz"));
    for (const int64_t count : {10, 50, 100}) {
        const auto expression = torch::rand({8, count});
        arrays["expression"] = npy_array(expression);
        write_npz(path, arrays);
        auto file = read_pose_file(path);
        REQUIRE_CLOSE(file.expression, expression, 0);
        REQUIRE(difference(file, truth) <= kExact);  // nothing uses them
        file.place = Place::kOrigin;
        file = file.with_smpl_transl(truth.joints);
        write_pose_file(path, file);
        REQUIRE_CLOSE(read_pose_file(path).expression, expression, 0);
    }
    arrays.erase("expression");
    write_npz(path, arrays);
    REQUIRE(!read_pose_file(path).expression.defined());
    arrays["expr"] = npy_array(torch::ones({1, 100}));  // of all frames
    write_npz(path, arrays);
    REQUIRE_CLOSE(read_pose_file(path).expression, torch::ones({8, 100}), 0);
    arrays["expr"] = npy_array(torch::ones({5, 100}));
    write_npz(path, arrays);
    REQUIRE(throws_error([&] { read_pose_file(path); },
                         "rows that do not match: 8 poses, 5 expressions"));
    // A file per frame.
    for (int64_t i = 0; i < 8; ++i) {
        const auto name = "00000" + std::to_string(i) + ".npz";
        auto one = read_npz(fit_path("arah/" + name));
        one["expression"] = npy_array(torch::full({1, 10}, i));
        fs::create_directories(folder.path / "frames");
        write_npz(folder.path / "frames" / name, one);
    }
    const auto each = read_pose_file(folder.path / "frames").expression;
    REQUIRE_CLOSE(each, torch::arange(8).unsqueeze(1).expand({8, 10}), 0);
}

TEST_CASE("TRAM's own files hold objects of torch, which are named with the cure", "[fits]") {
    const auto path = fit_path("tram.npy");
    REQUIRE(throws_error([&] { read_pose_file(path); }, path.string() + ": "));
    REQUIRE(throws_error([&] { read_pose_file(path); }, "torch._utils._rebuild_tensor_v2"));
    REQUIRE(throws_error([&] { read_pose_file(path); }, "save arrays (tensor.numpy())"));
    const FitTruth truth;
    const auto file = read("tram.npz");
    REQUIRE(file.layout == "TRAM");
    REQUIRE(file.frame_ids.back() == 8);
    REQUIRE(difference(file, truth) <= kExact);
}

TEST_CASE("SKEL's bodies are refused by name", "[fits]") {
    REQUIRE(throws_error([&] { read("skel.smpl"); }, "this is a SKEL body with 46 pose numbers"));
}
