// extract_priors as a user runs it, from the pictures of a capture to what training reads.
#include <fmgs/core/io/files.h>
#include <fmgs/data/capture.h>
#include <fmgs/data/image_io.h>

#include "support/programs.h"
#include "support/stand_in_network.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

TEST_CASE("the program makes priors of a capture, and read_capture finds them",
          "[extract_priors]") {
    TemporaryFolder folder;
    const auto root = folder.path / "capture";
    copy_capture(root);
    fs::remove_all(root / "priors");
    // 64 pixels like the pictures
    std::string levels = "width: 64, height: 64, mean: {red: 0, green: 0, blue: 0}, ";
    levels += "deviation: {red: 1, green: 1, blue: 1}";
    write_whole(folder.path / "model.yaml", "seg: {" + levels + "}\nnormal: {" + levels +
                                                ", axes: LUB}\ndepth: {" + levels + "}\n");
    const auto network = [&](const char* name, const std::string& body) {
        return save_network(folder.path / name, body).string();
    };
    const auto arguments = "extract_priors " + root.string() + " --seg " +
                           network("s.pt2",
                                   "return -(torch.arange(28).reshape([1, 28, 1, 1]) - "
                                   "(x[:, 0:1] / 10).floor()).abs()") +
                           " --normal " + network("n.pt2", "return x - 100.5") + " --depth " +
                           network("d.pt2", "return {'depth': x[:, 0:1] + 1}") + " --batch 4";
    const auto model = " --model " + (folder.path / "model.yaml").string();
    auto outcome = run("extract_priors " + root.string() + " --seg " +
                       (folder.path / "n.pt2").string() + model);
    INFO(outcome.text);
    REQUIRE(outcome.code == 1);
    REQUIRE(outcome.text.find("given as a network of --seg, but") != std::string::npos);
    outcome = run(arguments + model);
    INFO(outcome.text);
    REQUIRE(outcome.code == 0);
    const auto back = read_capture({.root = root.string()}, {}, training_parts());
    const auto& frames = back.splits.at("train");
    REQUIRE(frames.size() == 6);
    for (const auto& frame : frames) {
        const auto color = (read_color(root / "images" / (frame.name + ".png")) * 255).round();
        const auto red = color[0];
        REQUIRE(torch::equal(frame.maps.at("semantic"), (red / 10).floor().to(torch::kLong)));
        REQUIRE_CLOSE(frame.maps.at("depth")[0], (red + 1) * frame.maps.at("mask")[0], 1e-6);
        const auto n = color - 100.5;
        const auto opencv = torch::stack({-n[0], -n[1], -n[2]}) / n.norm(2, 0);
        // Kept as halves, which are 2^-12 apart at most where a component is largest.
        REQUIRE_CLOSE(frame.maps.at("normal"), opencv * frame.maps.at("mask"), 2.5e-4);
    }
    outcome = run(arguments + model);
    INFO(outcome.text);
    REQUIRE(outcome.code == 0);
    REQUIRE(outcome.text.find("0 maps of ") != std::string::npos);
}

TEST_CASE("priors that networks made are checked and trained on", "[extract_priors]") {
    TemporaryFolder folder;
    const auto root = folder.path / "capture";
    copy_capture(root);
    fs::remove_all(root / "priors");
    write_whole(folder.path / "model.yaml", "seg: {width: 64, height: 64}");
    // Torso everywhere, facing the viewer, at one depth: nothing that contradicts the body.
    const auto torso = save_network(folder.path / "s.pt2",
                                    "y = x[:, 0:1] * 0\n"
                                    "    return torch.cat([y] * 21 + [y + 1] + [y] * 6, 1)");
    const auto facing = save_network(folder.path / "n.pt2",
                                     "y = x[:, 0:1] * 0\n    return torch.cat([y, y, y + 1], 1)");
    const auto flat = save_network(folder.path / "d.pt2", "return x[:, 0:1] * 0 + 1");
    auto outcome = run("extract_priors " + root.string() + " --seg " + torso.string() +
                       " --normal " + facing.string() + " --depth " + flat.string() + " --model " +
                       (folder.path / "model.yaml").string());
    INFO(outcome.text);
    REQUIRE(outcome.code == 0);
    outcome = run(train(folder.path / "run", "train.steps=3", root));
    INFO(outcome.text);
    REQUIRE(outcome.code == 0);
    CHECK(outcome.text.find("normals: mean cosine with the body 0.") != std::string::npos);
    CHECK(outcome.text.find("depth: mean rank correlation with the body 0.00") !=
          std::string::npos);
    CHECK(outcome.text.find("warning") == std::string::npos);
    const auto log = bytes(folder.path / "run/metrics.csv");
    for (const char* loss : {"normal", "depth_ranking", "semantic"})
        CHECK(log.find(loss) != std::string::npos);
}
