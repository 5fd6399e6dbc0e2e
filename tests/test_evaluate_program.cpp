// `evaluate` as a user runs it: protocols, presets, LPIPS, surfaces, true poses, fitted poses.
#include <fmgs/data/pose_file.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "support/metric_inputs.h"
#include "support/programs.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

/// A capture with surfaces and a run of two steps on it, made once.
struct Trained {
    TemporaryFolder folder;
    fs::path data = folder.path / "capture", output = folder.path / "run",
             alex = folder.path / "alex.safetensors";

    Trained() {
        const auto made = run("make_synthetic " + data.string() +
                              " --size 64 --train-frames 4 --test-frames 3 --test-views 3"
                              " --novel-frames 0 --subdivisions 0 --samples 1 --meshes --body " +
                              coarse_body().string());
        INFO(made.text);
        REQUIRE(made.code == 0);
        // One true surface is enough.
        fs::remove_all(data / "test_view/gt/mesh");
        for (const char* name : {"image_0004.obj", "image_0006.obj"})
            REQUIRE(fs::remove(data / "gt/mesh" / name));
        const auto done = run(train(output, "train.steps=2", data));
        INFO(done.text);
        REQUIRE(done.code == 0);
        write_lpips(alex, LpipsNetwork::alex, reference_weights(LpipsNetwork::alex));
    }
    std::string evaluated(const std::string& more) const {
        const auto done = run("evaluate " + output.string() + " " + more);
        INFO(done.text);
        REQUIRE(done.code == 0);
        return done.text;
    }
    nlohmann::json metrics() const {
        return nlohmann::json::parse(bytes(output / "eval/metrics.json"));
    }
};

const Trained& trained() {
    static const Trained instance;
    return instance;
}

/// The frame with the lowest PSNR of a table of frames.
std::string lowest_psnr(const std::string& csv) {
    std::istringstream lines(csv);
    std::string line, name;
    REQUIRE((std::getline(lines, line) && line.starts_with("frame,psnr,")));
    double lowest = INFINITY;
    while (std::getline(lines, line)) {
        const auto comma = line.find(',');
        const double psnr = std::stod(line.substr(comma + 1));
        if (psnr < lowest) name = line.substr(0, comma);
        lowest = std::min(lowest, psnr);
    }
    return name;
}

}  // namespace

TEST_CASE("two evaluations of a checkpoint write the same bytes, and the files that are promised",
          "[programs]") {
    const auto& [folder, data, output, alex] = trained();
    const std::string how =
        "eval.protocol=synthetic eval.presets=[gauhuman,instantavatar-ps] eval.worst=2 "
        "eval.lpips_alex=" +
        alex.string();
    const auto written = [&] {
        fs::remove_all(output / "eval");
        trained().evaluated(how + " test test_view");
        std::map<std::string, std::string> files;
        for (const auto& entry : fs::directory_iterator(output / "eval")) {
            const auto name = entry.path().filename().string();
            files[name] = name == "timing.json" ? "" : bytes(entry.path());
        }
        return files;
    };
    const auto first = written();
    REQUIRE(first == written());
    for (const auto* name :
         {"metrics.json", "table.md", "table.tex", "timing.json", "test.csv", "test.png",
          "test_worst.png", "test_view.csv", "test_view.png", "test_view_worst.png"}) {
        INFO(name);
        REQUIRE(first.count(name) == 1);
    }
    REQUIRE(first.size() == 10);
    const auto& table = first.at("table.md");
    REQUIRE(table.starts_with("Synthetic capture, poses not fitted\n\n| | PSNR ↑ | SSIM ↑ |"));
    std::smatch worst;
    const std::regex listed(
        R"(- Worst of test: (image_\d+) \(([0-9.]+) dB\), image_\d+ \(([0-9.]+) dB\)\n)");
    REQUIRE(std::regex_search(table, worst, listed));
    REQUIRE(std::stod(worst[2]) < std::stod(worst[3]));
    REQUIRE(lowest_psnr(first.at("test.csv")) == worst[1]);
    // Cloth lies up to 3 cm outside the bare template: its Chamfer distance, in mm.
    std::smatch chamfer;
    const std::regex row(R"(\| test, bare template \| - \| - \| - \|.*\| - \| ([0-9.]+) \| 0\.)");
    REQUIRE(std::regex_search(table, chamfer, row));
    REQUIRE(std::stod(chamfer[1]) > 3);
    REQUIRE(std::stod(chamfer[1]) < 30);
    const auto speed = nlohmann::json::parse(bytes(output / "eval/timing.json"));
    REQUIRE(speed.at("frames_per_second").get<double>() > 0);
    REQUIRE(speed.at("training").at("steps") == 2);
}

TEST_CASE("metrics have their keys by preset, by what is known, and by what was trained",
          "[programs]") {
    const auto said = trained().evaluated(
        "eval.presets=[gauhuman,instantavatar-ps] losses.semantic.weight=0 eval.lpips_alex=" +
        trained().alex.string());
    REQUIRE(said.find("LPIPS is left out where it needs eval.lpips_vgg, which is not set") !=
            std::string::npos);
    const auto all = trained().metrics();
    REQUIRE(all.size() == 2);  // every split that is held out
    const auto& test = all.at("test");
    for (const auto* key : {"psnr",
                            "ssim",
                            "lpips_alex",
                            "psnr_person",
                            "mae",
                            "mask_iou",
                            "mask_boundary_f",
                            "depth_mae",
                            "depth_mae_aligned",
                            "normal_deg",
                            "normal_median_deg",
                            "normal_11",
                            "normal_22",
                            "normal_30",
                            "depth_normal_deg",
                            "chamfer",
                            "p2s",
                            "f_1cm",
                            "jitter",
                            "psnr@gauhuman",
                            "ssim@gauhuman",
                            "psnr@instantavatar-ps",
                            "lpips@instantavatar-ps"}) {
        INFO(key);
        REQUIRE(test.at(key).is_number());
    }
    REQUIRE(!test.contains("lpips@gauhuman"));
    REQUIRE(!test.contains("lpips"));
    REQUIRE(test.at("miou").is_null());                   // no loss trained labels
    REQUIRE(all.at("test_view").at("jitter").is_null());  // several cameras
    trained().evaluated("test");
    REQUIRE(trained().metrics().at("test").at("miou").is_number());
}

TEST_CASE("poses are fitted to the test pictures, and the table says so", "[programs]") {
    trained().evaluated("test");
    const double before = trained().metrics().at("test").at("psnr").get<double>();
    trained().evaluated(
        "test --fit-test-poses eval.fit_epochs=6 eval.fit_rate=0.003 eval.protocol=synthetic");
    const auto after = trained().metrics();
    REQUIRE(after.size() == 1);
    REQUIRE(after.at("test_fitted").at("psnr").get<double>() > before);
    const auto table = bytes(trained().output / "eval/table.md");
    REQUIRE(table.starts_with("Synthetic capture, poses fitted to the test pictures\n"));
    REQUIRE(table.find("6 steps, rate 0.003") != std::string::npos);
    REQUIRE(fs::exists(trained().output / "eval/test_fitted_worst.png"));
}

TEST_CASE("poses are held against true ones, joint by joint", "[programs]") {
    auto poses = read_pose_file(trained().data / "poses/train.npz");
    poses.transl = poses.transl + torch::tensor({0.03F, 0.0F, 0.04F});
    const auto file = trained().folder.path / "true.npz";
    write_pose_file(file, poses);
    const auto said = trained().evaluated("test eval.true_poses=" + file.string());
    REQUIRE(said.find("joints of the train poses: 50.0 mm from the true ones, 50.0 mm as given") !=
            std::string::npos);
    REQUIRE(trained().metrics().at("poses").at("joint_mm").get<double>() ==
            Approx(50).epsilon(1e-4));
    REQUIRE(bytes(trained().output / "eval/poses.csv")
                .starts_with("frame,joint_mm,joint_mm_given\nimage_0000,50"));
}
