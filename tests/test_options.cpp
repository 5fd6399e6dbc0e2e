// The committed defaults, the table of options and every configuration agree with the structs.
#include <fmgs/core/config/config.h>
#include <fmgs/run/run.h>
#include <fmt/format.h>

#include <torch/cuda.h>
#include <fstream>
#include <iterator>

#include "support/test.h"

using namespace fmgs;
namespace fs = std::filesystem;

namespace {

std::string text_of(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

const fs::path source = FMGS_SOURCE_DIR;

}  // namespace

TEST_CASE("configs/default.yaml is what the structs say; `train --defaults` writes it",
          "[options]") {
    REQUIRE(text_of(source / "configs/default.yaml") == dump_yaml(RunOptions{}, true));
}

TEST_CASE("docs/options.md is what the structs say; `train --options` writes it", "[options]") {
    REQUIRE(text_of(source / "docs/options.md") == options_markdown(RunOptions{}));
}

TEST_CASE("the recipe of the paper stacks on the data sets' configurations", "[options]") {
    const auto read = [](std::vector<std::string> names) {
        for (auto& name : names) name = (source / "configs" / name).string();
        return read_options(names);
    };
    const auto paper = read({"paper.yaml"});
    for (const std::string name : {"zju_mocap", "people_snapshot"}) {
        INFO(name);
        const auto data = read({name + ".yaml"});
        auto both = read({name + ".yaml", "paper.yaml"});
        REQUIRE(fs::weakly_canonical(both.data.splits) ==
                source / "configs/splits" / (name + ".txt"));
        REQUIRE(both.data.downscale == 2);
        REQUIRE(both.pose.learn == (name == "zju_mocap"));
        REQUIRE(both.eval.protocol == (name == "zju_mocap" ? "zju-mocap" : "people-snapshot"));
        // Data, splits, pose refinement and protocol only; all else is the paper's.
        both.data = paper.data;
        both.pose.learn = paper.pose.learn;
        both.eval = paper.eval;
        REQUIRE(dump_yaml(both) == dump_yaml(paper));
        auto plain = data;
        plain.data = RunOptions{}.data;
        plain.pose.learn = RunOptions{}.pose.learn;
        plain.eval = RunOptions{}.eval;
        REQUIRE(dump_yaml(plain) == dump_yaml(RunOptions{}));
    }
}

TEST_CASE("every configuration reads, and every ablation changes something", "[options]") {
    const auto plain = dump_yaml(read_options({(source / "configs/default.yaml").string()}));
    const auto paper = (source / "configs/paper.yaml").string();
    const auto printed = dump_yaml(read_options({paper}));
    for (const auto* folder : {"configs", "configs/ablations"}) {
        for (const auto& entry : fs::directory_iterator(source / folder)) {
            if (entry.path().extension() != ".yaml") continue;
            INFO(entry.path());
            const auto options = read_options({entry.path().string()});
            const auto name = entry.path().stem();
            if (name == "default" || dump_yaml(options) != plain) continue;
            // A loss that the defaults do not have is left out of the paper's recipe.
            REQUIRE(dump_yaml(read_options({paper, entry.path().string()})) != printed);
        }
    }
}

TEST_CASE("arguments win over files wherever they stand", "[options]") {
    const auto file = (source / "configs/demo.yaml").string();
    REQUIRE(read_options({"train.steps=7", file}).train.steps == 7);
    REQUIRE(read_options({file, "train.steps=7"}).train.steps == 7);
}

TEST_CASE("a device that this build cannot use is refused", "[options]") {
    for (const auto* name : {"tpu", "cuda0", "cuda:x", "cuda:1000"}) {
        REQUIRE(test::throws_error([&] { read_options({fmt::format("train.device={}", name)}); },
                                   "train.device: expected cpu, cuda or cuda:N"));
    }
    // Never the CPU in silence.
    REQUIRE(test::throws_error([] { read_options({"train.device=cuda:99"}); }, "train.device"));
    if (torch::cuda::device_count() == 0)
        REQUIRE(test::throws_error([] { read_options({"train.device=cuda"}); }, "train.device"));
}

TEST_CASE("a modality whose name is a path or a map is refused when options are read",
          "[options]") {
    REQUIRE(test::throws_error([] { read_options({"modalities={/etc/x: {}}"}); },
                               "modality '/etc/x': a name has"));
    REQUIRE(test::throws_error([] { read_options({"modalities={normal: {}}"}); },
                               "modality 'normal': the word has a meaning already"));
}

TEST_CASE("the switch of the geometry field has its new name told", "[options]") {
    REQUIRE(test::throws_error([] { read_options({"avatar.geometry_field=false"}); },
                               "'avatar.geometry_field' is now called 'avatar.geometry.type'"));
    REQUIRE(read_options({"avatar.geometry.type=none"}).avatar.geometry.type == "none");
}
