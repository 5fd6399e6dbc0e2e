#include <fmgs/core/io/files.h>
#include <fmgs/run/run_folder.h>
#include <fmgs/train/checkpoint.h>

#include "support/small_disk.h"
#include "support/test.h"

using namespace fmgs;
using fmgs::test::TemporaryFolder;
using fmgs::test::throws_error;
namespace fs = std::filesystem;

TEST_CASE("a folder with checkpoints is refused and left alone, unless told to overwrite",
          "[run]") {
    TemporaryFolder folder;
    const auto run = RunFolder::create(folder.path / "a/run");
    REQUIRE(fs::is_directory(run.root));
    write_whole(run.config(), "steps: 3\n");
    write_whole(run.root / "notes.txt", "mine");
    const auto made = {run.sheets(), run.eval(), run.render(), run.influence()};
    for (const auto& path : made) fs::create_directory(path);
    for (const auto& path : {run.avatar(), run.poses()}) write_whole(path, "old");
    REQUIRE_NOTHROW(RunFolder::create(run.root));
    save_checkpoint(run.checkpoints(), {.step = 10}, {{"a", torch::ones(2)}}, {});
    REQUIRE(throws_error([&] { RunFolder::create(run.root); }, "pass --overwrite"));
    REQUIRE(latest_checkpoint(run.checkpoints())->state.step == 10);
    REQUIRE(read_whole(run.config()) == "steps: 3\n");
    RunFolder::create(run.root, /*overwrite=*/true);
    REQUIRE(!latest_checkpoint(run.checkpoints()));
    for (const auto& path : made) REQUIRE(!fs::exists(path));
    for (const auto& path : {run.avatar(), run.poses()}) REQUIRE(!fs::exists(path));
    REQUIRE(read_whole(run.root / "notes.txt") == "mine");
}

TEST_CASE("opening what is no run says why", "[run]") {
    TemporaryFolder folder;
    REQUIRE(
        throws_error([&] { RunFolder::open(folder.path / "no"); }, "there is no such run folder"));
    REQUIRE(throws_error([&] { RunFolder::open(folder.path); }, "config.yaml is missing"));
    write_whole(folder.path / "file", "x");
    REQUIRE(throws_error([&] { RunFolder::create(folder.path / "file"); }, "expected a folder"));
    REQUIRE(throws_error([&] { RunFolder::create(folder.path / "file/run"); }, "cannot be made"));
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
    REQUIRE(throws_error([&] { MetricsLog(whole, {"loss"}, 30); },
                         "expected the columns 'step,loss', got 'step,loss,psnr'"));
    MetricsLog log(whole, {"loss"});
    REQUIRE(read_whole(whole) == "step,loss\n");
    REQUIRE(throws_error([&] { log.add(1, {1, 2}); }, "expected 1 values, got 2"));
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
