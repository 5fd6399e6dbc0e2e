// `inspect` shows how a capture is understood; `train` refuses what contradicts the body.
#include <fmgs/core/io/files.h>
#include <fmgs/core/mesh.h>
#include <fmgs/data/image_io.h>
#include <fmgs/data/priors.h>
#include <torch/types.h>

#include <nlohmann/json.hpp>

#include "support/programs.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

// A copy of the capture whose masks are white where the background is.
fs::path inverted(const fs::path& folder) {
    fs::copy(capture(), folder, fs::copy_options::recursive);
    for (const auto& file : fs::directory_iterator(folder / "masks")) {
        const auto mask = read_mask(file.path());
        write_gray(file.path(), ((1 - mask[0]) * 255).to(torch::kLong));
    }
    return folder;
}

nlohmann::json json_of(const fs::path& file) { return nlohmann::json::parse(read_whole(file)); }

}  // namespace

TEST_CASE("a sound capture is described, checked and drawn", "[programs]") {
    const TemporaryFolder folder;
    const auto out = folder.path / "out";
    const auto found = run("inspect " + capture().string() + " --frames 1 --out " + out.string());
    INFO(found.text);
    REQUIRE(found.code == 0);
    CHECK(found.text.find("6 train") != std::string::npos);
    CHECK(found.text.find("mean intersection over union") != std::string::npos);
    CHECK(found.text.find("warning") == std::string::npos);
    CHECK(found.text.find("Missing") == std::string::npos);
    const auto json = json_of(out / "inspect.json");
    CHECK(json.at("splits").at("train").at("frames") == 6);
    CHECK(json.at("check").at("problems").empty());
    CHECK(json.at("missing").empty());
    int64_t views = 0;  // every frame is in one sector
    for (const auto& [sector, count] : json.at("coverage").at("train").at("views").items())
        views += count.get<int64_t>();
    CHECK(views == 6);
    CHECK(json.at("coverage").at("novel_motion").at("pose_outside_degrees").at("largest") > 1);
    // One row per split, train's with its three priors.
    const auto sheet = read_color(out / "sheet.png");
    CHECK(sheet.size(1) > 4 * 40);
    CHECK(sheet.size(2) > 5 * 20);
}

TEST_CASE("the template that inspect writes is one to train with", "[programs]") {
    const TemporaryFolder folder;
    const auto first = folder.path / "first", second = folder.path / "second";
    const auto all = "inspect " + capture().string() + " --frames 1 --out ";
    REQUIRE(run(all + first.string()).code == 0);
    const auto file = (first / "template.obj").string();
    const auto found = run(all + second.string() + " avatar.template.type=mesh" +
                           " avatar.template.resolution=24 avatar.template.file=" + file);
    INFO(found.text);
    REQUIRE(found.code == 0);
    const auto own = read_obj(file), again = read_obj(second / "template.obj");
    REQUIRE(own.faces.size(0) > 100);
    CHECK(torch::equal(own.faces, again.faces));
    CHECK((own.vertices - again.vertices).abs().max().item<double>() <= 1e-4);
}

TEST_CASE("a capture without priors is told what it lacks", "[programs]") {
    const TemporaryFolder folder;
    const auto bare = folder.path / "bare";
    fs::copy(capture(), bare, fs::copy_options::recursive);
    fs::remove_all(bare / "priors");
    const auto out = folder.path / "out";
    const auto found = run("inspect " + bare.string() + " --frames 1 --out " + out.string());
    INFO(found.text);
    CHECK(found.code == 0);
    CHECK(json_of(out / "inspect.json").at("missing") ==
          nlohmann::json({"normal", "depth", "semantic"}));
}

TEST_CASE("what contradicts the body is not trained on, unless that is asked for", "[programs]") {
    const TemporaryFolder folder;
    const auto broken = inverted(folder.path / "broken");
    const auto found =
        run("inspect " + broken.string() + " --frames 1 --out " + (folder.path / "out").string());
    INFO(found.text);
    CHECK(found.code == 2);
    CHECK(found.text.find("problem: the body is not where the masks are") != std::string::npos);

    const auto output = folder.path / "run";
    const auto refused = run(train(output, "train.steps=1", broken));
    INFO(refused.text);
    CHECK(refused.code == 1);
    CHECK(refused.text.find("the masks are inverted") != std::string::npos);
    CHECK(refused.text.find("data.check=off") != std::string::npos);
    CHECK_FALSE(fs::exists(output));

    const auto trained = run(train(output, "train.steps=1 data.check=off", broken));
    INFO(trained.text);
    CHECK(trained.code == 0);
    CHECK(trained.text.find("warning: the body is not where the masks are") != std::string::npos);
}
