// Captures of foreign layouts that are incomplete, damaged or lie: an Error names the file.
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/npz.h>
#include <fmgs/data/capture.h>

#include <cmath>
#include <fstream>
#include <functional>

#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

const fs::path kCaptures = fs::path(FMGS_SOURCE_DIR) / "tests/data/captures";

/// A capture spoiled in one way, and what the message says.
struct Damage {
    std::string layout, words;
    std::function<void(const fs::path&)> apply;
};

auto cut(const std::string& name, uintmax_t size) {
    return [=](const fs::path& r) { fs::resize_file(r / name, size); };
}
auto gone(const std::string& name) {
    return [=](const fs::path& r) { fs::remove(r / name); };
}
auto edited(const std::string& name, const std::string& from, const std::string& to) {
    return [=](const fs::path& r) {
        auto text = read_whole(r / name);
        const auto at = text.find(from);
        if (at == std::string::npos) throw std::logic_error("nothing to edit in " + name);
        write_whole(r / name, text.replace(at, from.size(), to));
    };
}
auto bytes(const std::string& name, size_t at, std::string what) {
    return [=](const fs::path& r) {
        auto text = read_whole(r / name);
        write_whole(r / name, text.replace(at, what.size(), what));
    };
}

const std::vector<Damage> kDamages = {
    {"zju_raw", "annots.npy", cut("annots.npy", 700)},
    {"zju_raw", "new_params", [](auto& r) { fs::remove_all(r / "new_params"); }},
    {"zju_raw", "1.npy", cut("new_params/1.npy", 300)},
    {"zju_raw", "mask/Camera_B1/000001.png",
     [](auto& r) {
         fs::remove(r / "mask/Camera_B1/000001.png");
         fs::remove(r / "mask_cihp/Camera_B1/000001.png");
     }},
    {"zju_raw", "Camera_B1/000002.jpg", gone("Camera_B1/000002.jpg")},
    {"arah", "cam_params.json", cut("cam_params.json", 200)},
    {"arah", "cam_params.json: 1: expected 'K' in it",
     edited("cam_params.json", "{\"K\"", "{\"k\"")},
    {"arah_snapshot", "camera.pkl", cut("camera.pkl", 120)},
    {"arah_snapshot", "animnerf_models/000001.npz", cut("animnerf_models/000001.npz", 900)},
    {"arah_snapshot", "animnerf_models: expected at least one frame with a pose",
     [](auto& r) {
         fs::remove_all(r / "animnerf_models/");
         fs::create_directories(r / "animnerf_models");
     }},
    {"arah_snapshot", "mask", gone("mask/000002.png")},
    {"arah_snapshot", "x.npz: expected the number of a frame for its name",
     [](auto& r) { fs::copy(r / "animnerf_models/000001.npz", r / "animnerf_models/x.npz"); }},
    {"humannerf", "mesh_infos.pkl", cut("mesh_infos.pkl", 900)},
    {"humannerf", "cameras.pkl", gone("cameras.pkl")},
    {"humannerf_wild", "metadata.json", cut("metadata.json", 100)},
    {"humannerf_wild", "out0001: poses: expected 72 or 216 numbers",
     edited("metadata.json", "out0001\": {\"poses\": [", "out0001\": {\"poses\": [0.5, ")},
    {"people_snapshot", "masks.hdf5: expected an HDF5 file",
     [](auto& r) { std::ofstream(r / "masks.hdf5") << "<html></html>"; }},
    {"people_snapshot", "reconstructed_poses.hdf5", cut("reconstructed_poses.hdf5", 900)},
    {"people_snapshot", "expected a video", gone("people_snapshot.avi")},
    {"anim_nerf", "cam000/camera.pkl", cut("cam000/camera.pkl", 120)},
    {"neuman", "alignments.npy", cut("alignments.npy", 500)},
    {"neuman", "train_split.txt: there is no picture '00009'",
     [](auto& r) { std::ofstream(r / "train_split.txt", std::ios::app) << "00009.png\n"; }},
    {"colmap_text", "sparse/cameras.txt:2: there is no camera model 'PINHOLD'",
     edited("sparse/cameras.txt", "PINHOLE", "PINHOLD")},
    {"colmap_text", "there is no camera 8", edited("sparse/images.txt", " 7 0", " 8 0")},
    {"colmap_text", "FOV is not a pinhole",
     edited("sparse/cameras.txt", "PINHOLE 32 24", "FOV 32 24 1")},
    {"colmap_text", "poses.npz: ", gone("poses.npz")},
    {"colmap_binary", "images.bin: cut short or damaged: 1099511627779 items are announced",
     bytes("sparse/0/images.bin", 5, "\x01")},
    {"colmap_binary", "images.bin: cut short", cut("sparse/0/images.bin", 150)},
    {"colmap_binary", "there is no camera model 99", bytes("sparse/0/cameras.bin", 12, "\x63")},
    {"nerfstudio", "transforms.json", cut("transforms.json", 300)},
    {"nerfstudio", "expected a rotation",
     edited("transforms.json", "transform_matrix\": [[", "transform_matrix\": [[3")},
    {"easymocap", "intri.yml: K_01: expected 3 x 2 numbers, got 9",
     edited("intri.yml", "cols: 3", "cols: 2")},
    {"easymocap", "extri.yml: expected 'T_02' in it", edited("extri.yml", "T_02", "T_03")},
    {"easymocap", "expected fits in output/smpl/", [](auto& r) { fs::remove_all(r / "output"); }},
    {"x_humans", "2 fits for 1 pictures",
     [](auto& r) { fs::remove(r / "train/Take1/render/image/color_000002.png"); }},
    {"dress4d", "mesh-f00012_smpl.pkl", gone("SMPL/mesh-f00012_smpl.pkl")},
    {"neutral", "frame_ids: no picture has the number 77",
     [](auto& r) {
         auto npz = read_npz(r / "poses.npz");
         npz["frame_ids"] = npy_array(torch::tensor({0, 1, 77}));
         write_npz(r / "poses.npz", npz);
     }},
    {"neutral", "dist: expected",
     [](auto& r) {
         auto npz = read_npz(r / "cameras.npz");
         npz["dist"] = npy_array(torch::zeros({2, 3, 3}));
         write_npz(r / "cameras.npz", npz);
     }},
};

}  // namespace

TEST_CASE("each way of damaging a foreign capture is an Error that names the file", "[layouts]") {
    TemporaryFolder folder;
    for (const auto& damage : kDamages) {
        INFO(damage.layout << ": " << damage.words);
        const auto copy = folder.path / "copy" / damage.layout;
        fs::remove_all(folder.path / "copy");
        fs::create_directories(copy.parent_path());
        fs::copy(kCaptures / damage.layout, copy, fs::copy_options::recursive);
        damage.apply(copy);
        CaptureOptions options;
        options.root = copy.string();
        options.body = (kCaptures / "body.npz").string();
        REQUIRE(throws_error([&] { read_capture(options, {}, training_parts()); }, damage.words));
    }
}

TEST_CASE("millimetres and betas of another model are refused, both guesses named", "[layouts]") {
    TemporaryFolder folder;
    const auto root = folder.path / "wild";
    fs::copy(kCaptures / "humannerf_wild", root, fs::copy_options::recursive);
    write_whole(
        root / "metadata.json",
        R"({"out0000": {"poses": [)" +
            [] {
                std::string zeros = "3.1";
                for (int i = 1; i < 72; ++i) zeros += ",0";
                return zeros;
            }() +
            R"(], "betas": [11905.0, -2553.3, 698.1, -111.6], "cam_intrinsics": [[1145,0,16],[0,1144,12],[0,0,1]],
        "cam_extrinsics": [[1,0,0,-246.8],[0,1,0,285.9],[0,0,1,657.0],[0,0,0,1]]}})");
    CaptureOptions options;
    options.root = root.string();
    const auto read = [&] { read_capture(options); };
    REQUIRE(throws_error(read, "metadata.json: the person of frame 'out0000' is 757.8"));
    REQUIRE(throws_error(read, "are its translations in millimetres?"));
    REQUIRE(throws_error(read, "a beta is 11905, expected at most 30"));
}
