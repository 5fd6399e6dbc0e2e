#include <fmgs/core/io/files.h>
#include <fmgs/run/run_folder.h>
#include <fmgs/train/checkpoint.h>

#include "support/limits.h"
#include "support/test.h"

using namespace fmgs;
using fmgs::test::TemporaryFolder;
using fmgs::test::throws_error;
namespace fs = std::filesystem;

namespace {

void make_file(const fs::path& file) { write_whole(file, "x"); }

}  // namespace

TEST_CASE("a folder with checkpoints is refused and left alone, unless told to overwrite",
          "[run]") {
    TemporaryFolder folder;
    auto run = RunFolder::create(folder.path / "a/run");
    REQUIRE(!fs::exists(run.root));
    run.begin();
    REQUIRE(fs::is_directory(run.root));
    write_whole(run.config(), std::string(kRunConfigHead) + "steps: 3\n");
    REQUIRE_NOTHROW(RunFolder::create(run.root));  // it failed before its first checkpoint
    save_checkpoint(run.checkpoints(), {.step = 10}, {{"a", torch::ones(2)}}, {});
    REQUIRE(throws_error([&] { RunFolder::create(run.root); }, "pass --overwrite"));

    const std::vector<fs::path> written = {"metrics.csv",
                                           "timing.json",
                                           "avatar.safetensors",
                                           "poses.npz",
                                           "sheets/000010.png",
                                           "eval/test.csv",
                                           "eval/table.md",
                                           "eval/table.tex",
                                           "eval/timing.json",
                                           "render/orbit/color/000000.png",
                                           "render/orbit.mp4",
                                           "influence/routing.png",
                                           "checkpoints/.unfinished-000020/model.safetensors"};
    const std::vector<fs::path> others = {"notes.txt",
                                          "config.yaml.bak",
                                          "checkpoints/weights.bin",
                                          "checkpoints/mine/state.json",
                                          "checkpoints/000010/notes.txt",
                                          "sheets/best.png",
                                          "eval/plot.py",
                                          "eval/more/test.csv",
                                          "render/still.png",
                                          "render/orbit/color/readme",
                                          "influence/deep/a.png"};
    for (const auto& file : written) make_file(run.root / file);
    for (const auto& file : others) make_file(run.root / file);
    fs::create_directory_symlink(folder.path, run.root / "render/link");
    run.lock.reset();

    auto again = RunFolder::create(run.root, /*overwrite=*/true);
    REQUIRE(latest_checkpoint(run.checkpoints())->state.step == 10);  // not before it begins
    for (const auto& file : written) REQUIRE(fs::exists(run.root / file));
    again.begin();
    for (const auto& file : written) {
        INFO(file);
        REQUIRE(!fs::exists(run.root / file));
    }
    REQUIRE(!fs::exists(run.config()));
    REQUIRE(!latest_checkpoint(run.checkpoints()));
    REQUIRE(!fs::exists(run.root / "checkpoints/000010/model.safetensors"));
    for (const auto& file : others) {
        INFO(file);
        REQUIRE(fs::exists(run.root / file));
    }
    REQUIRE(fs::is_symlink(run.root / "render/link"));
    REQUIRE(!fs::exists(run.root / "render/orbit.mp4"));
}

TEST_CASE("a run takes the place of no file that it did not write", "[run]") {
    for (const auto* name :
         {"config.yaml", "metrics.csv", "timing.json", "avatar.safetensors", "poses.npz"}) {
        for (const bool overwrite : {false, true}) {
            INFO(name);
            TemporaryFolder folder;
            auto early = RunFolder::create(folder.path, overwrite);
            make_file(folder.path / name);
            const auto words = (folder.path / name).string() + ": no run wrote this file";
            REQUIRE(throws_error([&] { RunFolder::create(folder.path, overwrite); }, words));
            REQUIRE(throws_error([&] { early.begin(); }, words));  // it came since
            REQUIRE(read_whole(folder.path / name) == "x");
        }
    }
    TemporaryFolder folder;
    make_file(folder.path / "notes.txt");
    REQUIRE_NOTHROW(RunFolder::create(folder.path).begin());
}

TEST_CASE("one process at a time trains in a folder", "[run]") {
    TemporaryFolder folder;
    auto first = RunFolder::create(folder.path / "run");
    first.begin();
    const auto copy = first;
    auto second = RunFolder::create(folder.path / "run");
    const std::string words = "another process is training in this folder";
    REQUIRE(throws_error([&] { second.begin(); }, words));
    first.lock.reset();
    REQUIRE(throws_error([&] { second.begin(); }, words));  // the copy holds it
    second = RunFolder::create(folder.path / "run", /*overwrite=*/true);
    write_whole(first.config(), kRunConfigHead);
    REQUIRE(throws_error([&] { second.begin(); }, words));
    REQUIRE(fs::exists(first.config()));
}

TEST_CASE("opening what is no run says why", "[run]") {
    TemporaryFolder folder;
    REQUIRE(
        throws_error([&] { RunFolder::open(folder.path / "no"); }, "there is no such run folder"));
    REQUIRE(throws_error([&] { RunFolder::open(folder.path); }, "config.yaml is missing"));
    write_whole(folder.path / "file", "x");
    REQUIRE(throws_error([&] { RunFolder::create(folder.path / "file"); }, "expected a folder"));
    REQUIRE(throws_error([&] { RunFolder::create(folder.path / "file/run").begin(); },
                         "cannot be made"));
}

TEST_CASE("metrics of a resumed run equal those of one that never stopped", "[run]") {
    TemporaryFolder folder;
    const auto rows = [](MetricsLog& log, int64_t from, int64_t to) {
        for (int64_t s = from; s <= to; s += 10)
            log.add(s, {1.0 / static_cast<double>(s), s == 20 ? NAN : 30.5});
    };
    const auto whole = folder.path / "whole.csv", resumed = folder.path / "resumed.csv";
    {
        MetricsLog log(whole, {"loss", "psnr"});
        rows(log, 10, 60);
    }
    {
        MetricsLog log(resumed, {"loss", "psnr"});
        rows(log, 10, 50);
    }
    std::ofstream(resumed, std::ios::app) << "60,0.01";  // cut off in the middle of a row
    {
        MetricsLog log(resumed, {"loss", "psnr"}, 30);
        rows(log, 40, 60);
    }
    REQUIRE(read_whole(resumed) == read_whole(whole));
    REQUIRE(read_whole(whole).find(
                "step,loss,psnr\n10,0.1,30.5\n20,0.05,\n30,0.0333333333,30.5\n") == 0);
    MetricsLog log(whole, {"loss"});
    REQUIRE(read_whole(whole) == "step,loss\n");
    REQUIRE(throws_error([&] { log.add(1, {1, 2}); }, "expected 1 values, got 2"));
}

TEST_CASE("metrics go on with other losses, and after another system's editor", "[run]") {
    TemporaryFolder folder;
    const auto file = folder.path / "a.csv";
    write_whole(file, "step,loss,mask,psnr\r\n10,1,2,3\r\n20,4,5,6\r\n");
    {
        MetricsLog log(file, {"loss", "psnr", "mine"}, 10);
        log.add(20, {0.5, 7, 8});
    }
    REQUIRE(read_whole(file) == "step,loss,mask,psnr,mine\n10,1,2,3,\n20,0.5,,7,8\n");
    write_whole(file, "");
    MetricsLog(file, {"loss"}, 10);
    REQUIRE(read_whole(file) == "step,loss\n");
    write_whole(file, "date,weight\n1,2\n");
    REQUIRE(throws_error([&] { MetricsLog(file, {"loss"}, 10); },
                         "a.csv:1: expected 'step' as the first column, got 'date'"));
    REQUIRE(read_whole(file) == "date,weight\n1,2\n");
}

TEST_CASE("a row of metrics that finds the disk full is an error with the reason", "[run]") {
    TemporaryFolder folder;
    MetricsLog log(folder.path / "a.csv", {"loss"});
    log.add(10, {0.5});
    REQUIRE(fmgs::test::on_small_disk(20, [&] {
        return throws_error([&] { log.add(20, {0.125}); },
                            "a.csv: cannot be written: File too large");
    }));
}
