// scripts/sweep.sh as a user runs it, on small captures.
#include <fmt/format.h>

#include "support/programs.h"

using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

bool contains(const std::string& text, const std::string& words) {
    return text.find(words) != std::string::npos;
}

/// The keys of a small run, without its capture and where it goes.
std::string keys(const std::string& more = "") {
    const std::string end = " output=OUTPUT ";
    const auto all = train("OUTPUT", "train.steps=6 train.checkpoint_every=2 " + more, "DATA");
    return all.substr(all.find(end) + end.size());
}

/// Everything that a process and those that it started print goes to the outcome.
Outcome sweep(const std::string& arguments, const std::string& before = {}) {
    return shell(fmt::format("OMP_WAIT_POLICY=passive FMGS_BUILD_DIR={} {} {}/scripts/sweep.sh {}",
                             FMGS_BINARY_DIR, before, FMGS_SOURCE_DIR, arguments));
}

void write(const fs::path& file, const std::string& text) {
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
}

/// A capture, the same with an option of its own, and one that cannot be read.
struct Captures {
    TemporaryFolder folder;
    fs::path anna = folder.path / "anna", bert = folder.path / "bert.yaml",
             broken = folder.path / "broken.yaml", out = folder.path / "out";

    Captures() {
        copy_capture(anna);
        write(bert, fmt::format("data: {{root: {}, downscale: 2}}\n", anna.string()));
        write(broken, "data: {root: nowhere}\n");
    }
    std::string command() const {
        return fmt::format("{} {} {} --output {} --threads 1 {} ", anna.string(), bert.string(),
                           broken.string(), out.string(), keys());
    }
};

/// A script for sbatch as SLURM would start task `k` of it.
Outcome task(const fs::path& script, int k, const std::string& before = {}) {
    return shell(fmt::format("{} SLURM_ARRAY_TASK_ID={} SLURM_JOB_ID=7{} bash {}", before, k, k,
                             script.string()));
}

}  // namespace

TEST_CASE("a sweep names what fails, and its array for SLURM makes what is missing", "[sweep]") {
    const Captures captures;
    const auto &out = captures.out, script = captures.folder.path / "array.sh";
    const auto command = captures.command();
    CHECK(contains(sweep(command + "--collect").text, "no sweep was begun in this folder"));

    const auto first = sweep(command + "--jobs 2");
    INFO(first.text);
    REQUIRE(first.code == 1);
    CHECK(contains(first.text, "failed: broken/base/seed_0: error: data.root: "));
    const auto table = bytes(out / "table.md");
    CHECK(contains(table, "| anna | `base` | 1 | "));
    CHECK(contains(table, "| bert | `base` | 1 | "));
    CHECK(contains(table, "| broken | `base` | 0 | - | - | - | - |"));
    CHECK(contains(table, "| all | `base` | on 2 | "));
    CHECK(fs::exists(out / "anna/report.html"));
    const auto costs = bytes(out / "anna/base/seed_0.costs.csv");
    double seconds = 0, peak = 0;
    int status = -1;
    REQUIRE(std::sscanf(costs.c_str(), "seconds,peak_gb,status\n%lf,%lf,%d\n", &seconds, &peak,
                        &status) == 3);
    CHECK((seconds > 0.5 && peak > 0.1 && peak < 4 && status == 0));  // 0.25 GB

    // What is missing becomes tasks: the broken run fails again, one of the second seed is made.
    const auto printed =
        sweep(command + "--seeds 2 --slurm --sbatch --gres=gpu:1 --jobs 4 2>/dev/null");
    INFO(printed.text);
    REQUIRE(printed.code == 0);
    CHECK(contains(printed.text, "#SBATCH --array=0-3%4\n"));
    CHECK(contains(printed.text, "#SBATCH --gres=gpu:1\n"));
    CHECK(contains(printed.text, "#SBATCH --cpus-per-task=1\n"));
    CHECK(contains(printed.text, "    broken/base/seed_0\n    anna/base/seed_1\n"));
    std::ofstream(script) << printed.text;
    REQUIRE(shell("bash -n " + script.string()).code == 0);
    const auto fails = task(script, 0);
    INFO(fails.text);
    CHECK(fails.code == 1);
    CHECK(contains(fails.text, "failed: broken/base/seed_0: error: data.root: "));
    const auto made = task(script, 1);
    INFO(made.text);
    REQUIRE(made.code == 0);
    CHECK(task(script, 1).text == "anna/base/seed_1 is measured already\n");
    CHECK(task(script, 9).code != 0);

    // Reading back.
    const auto back = sweep(command + "--seeds 2 --collect");
    INFO(back.text);
    CHECK(back.code == 1);
    CHECK(contains(back.text, "3 of 6 runs are measured"));
    CHECK(contains(back.text, "failed: broken/base/seed_0: error: "));
    CHECK(contains(back.text, "not finished: bert/base/seed_1"));
    CHECK(contains(bytes(out / "table.md"), "| anna | `base` | 2 | "));
}

TEST_CASE("a sweep refuses what it cannot mean", "[sweep]") {
    const Captures captures;
    const auto &anna = captures.anna, other = captures.folder.path / "other/anna";
    const auto command = captures.command();
    REQUIRE(sweep(command + "--slurm").code == 0);
    fs::create_directories(other);
    for (const auto& [arguments, words] : std::vector<std::pair<std::string, std::string>>{
             {other.string(), "two captures are called 'anna'"},
             {anna.string(), "this capture is named twice"},
             {"nosuch", "expected a folder with a capture or a YAML file, got 'nosuch'"},
             {"train.steps=7", "was begun with another base or other options"},
             {"--threads 2", "was begun with 1"},
             {"data.root=x", "captures are named one by one"},
             {"--overlay nosuch", "there is no set and no overlay 'nosuch'"},
             {"--cell anna/base/seed_5", "--cell: expected one of anna/base/seed_0"}}) {
        const auto refused = sweep(command + arguments);
        INFO(refused.text);
        CHECK(refused.code == 2);
        CHECK(contains(refused.text, words));
    }
    CHECK(contains(sweep(anna.string()).text, "--output: expected the folder of the sweep"));
    CHECK(contains(sweep(anna.string() + " --slurm --output " + captures.out.string()).text,
                   "--slurm: expected --threads N"));
}

TEST_CASE("a sweep that is killed, and a task whose time is over, go on to the same bits",
          "[.long]") {
    const TemporaryFolder folder;
    const auto anna = folder.path / "anna", bert = folder.path / "bert",
               mine = folder.path / "mine.yaml", bin = folder.path / "bin",
               script = folder.path / "array.sh";
    copy_capture(anna);
    copy_capture(bert);
    write(mine, "losses: {mask: {weight: 0}}\n");
    const auto command = [&](const std::string& output) {
        return fmt::format("{} {} --overlay {} --seeds 2 --output {} --threads 1 {} ",
                           anna.string(), bert.string(), mine.string(),
                           (folder.path / output).string(), keys());
    };
    // Stopped by a signal, and once without one.
    for (const auto* how : {"timeout -s TERM 3", "timeout -s KILL 2"}) {
        const auto cut = sweep(command("here") + "--jobs 2", how);
        INFO(cut.text);
        REQUIRE(cut.code != 0);
        // What the one that was killed had begun goes on alone, and keeps others out.
        shell(fmt::format("flock {} true", (folder.path / "here/.lock").string()));
    }
    const auto whole = sweep(command("here") + "--jobs 2");
    INFO(whole.text);
    REQUIRE(whole.code == 0);
    CHECK(contains(whole.text, " of 8 runs are there already"));
    CHECK(contains(bytes(folder.path / "here/table.md"), "| bert | `mine` | 2 | "));

    // The same as an array, whose second task is warned twice; `scontrol` stands for SLURM's.
    write(bin / "scontrol",
          fmt::format("#!/bin/sh\necho \"$@\" >>{}\n", (folder.path / "requeued.txt").string()));
    fs::permissions(bin / "scontrol", fs::perms::owner_all);
    std::ofstream(script) << sweep(command("array") + "--slurm").text;
    CHECK(contains(bytes(script), "#SBATCH --array=0-7\n"));
    const auto path = fmt::format("PATH={}:$PATH", bin.string());
    const auto run = folder.path / "array/anna/base/seed_0";
    const auto warned = shell(fmt::format(
        "({} SLURM_ARRAY_TASK_ID=0 SLURM_JOB_ID=70 bash {} & pid=$!; "
        "for k in $(seq 600); do [ -d {}/checkpoints/000002 ] && break; sleep 0.05; done; "
        "kill -TERM $pid; wait $pid)",
        path, script.string(), run.string()));
    INFO(warned.text);
    REQUIRE(warned.code == 130);
    CHECK(bytes(folder.path / "requeued.txt") == "requeue 70\n");
    for (int k = 0; k < 8; ++k) {
        const auto made = task(script, k, path);
        INFO(made.text);
        REQUIRE(made.code == 0);
    }
    CHECK(contains(bytes(run.string() + ".log"), "resuming at step"));
    REQUIRE(sweep(command("array") + "--collect").code == 0);
    for (const auto* cell : {"anna/base/seed_0", "bert/mine/seed_1"})
        CHECK(model(folder.path / "here" / cell, 6) == model(folder.path / "array" / cell, 6));
    CHECK(sweep(command("array") + "--slurm").text == "all 8 runs are measured\n");
}
