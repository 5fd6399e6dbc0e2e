// scripts/ablate.sh as a user runs it, on a small capture.
#include <fmt/format.h>

#include "support/programs.h"

using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

/// The keys of a small run, without where it goes.
std::string keys() {
    const auto all = train("OUTPUT", "train.steps=6 train.checkpoint_every=2");
    const std::string program = "train ", output = " output=OUTPUT";
    auto text = all.substr(program.size());
    text.erase(text.find(output), output.size());
    return text;
}

Outcome ablate(const std::string& arguments, const std::string& before = {}) {
    return shell(fmt::format("OMP_WAIT_POLICY=passive FMGS_BUILD_DIR={} {} {}/scripts/ablate.sh {}",
                             FMGS_BINARY_DIR, before, FMGS_SOURCE_DIR, arguments));
}

bool contains(const std::string& text, const std::string& words) {
    return text.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("an ablation that is killed goes on, and a run that fails stops no other", "[ablate]") {
    const TemporaryFolder folder;
    const auto mine = folder.path / "mine.yaml", broken = folder.path / "broken.yaml",
               out = folder.path / "out";
    std::ofstream(mine) << "losses: {semantic: {weight: 0}, semantic_smoothness: {weight: 0}}\n";
    std::ofstream(broken) << "losses: {photometric: {weight: -1}}\n";
    const auto command = fmt::format("{} {} --output {} --jobs 2 {}", broken.string(),
                                     mine.string(), out.string(), keys());
    const auto cut = ablate(command, "timeout -s TERM 3");
    INFO(cut.text);
    REQUIRE((cut.code == 124 || cut.code == 130 || cut.code == 1));
    const auto whole = ablate(command);
    INFO(whole.text);
    REQUIRE(whole.code == 1);
    CHECK(contains(whole.text, "failed: broken/seed_0: error: "));
    CHECK(contains(whole.text, "losses.photometric.weight: expected a number at least 0"));
    const auto table = bytes(out / "table.md");
    CHECK(contains(table, "| `broken` | 0 | - |"));
    CHECK(contains(table, "- `base` and `mine` can differ in `semantic` (miou) alone"));
    CHECK(contains(table, "![mine, test](mine/seed_0/eval/test.png)"));
    CHECK(fs::exists(out / "report.html"));

    // As if it had never been interrupted. One thread is the half of two processors.
    const auto threads = bytes(out / "ablation.txt");
    const auto count = threads.substr(threads.find("threads: ") + 9, 2);
    REQUIRE(run(train(folder.path / "plain", "train.steps=6 train.checkpoint_every=2"),
                fmt::format("env OMP_NUM_THREADS={} ", std::stoi(count)))
                .code == 0);
    REQUIRE(model(out / "base/seed_0", 6) == model(folder.path / "plain", 6));

    // A run that was cut short goes on from its checkpoint; one that is there is left alone.
    fs::remove_all(out / "base/seed_0/eval");
    fs::remove_all(out / "base/seed_0/checkpoints/000006");
    const auto history = bytes(out / "mine/seed_0/history.txt");
    const auto again =
        ablate(fmt::format("{} --output {} {}", mine.string(), out.string(), keys()));
    INFO(again.text);
    REQUIRE(again.code == 0);
    CHECK(contains(again.text, "1 of 2 runs are there already"));
    CHECK(contains(bytes(out / "base/seed_0.log"), "resuming at step 4 of 6"));
    CHECK(bytes(out / "mine/seed_0/history.txt") == history);
    CHECK(model(out / "base/seed_0", 6) == model(folder.path / "plain", 6));

    for (const auto& [arguments, words] : std::vector<std::pair<std::string, std::string>>{
             {mine.string() + " train.steps=7 " + keys(), "was begun with another base or other"},
             {"nosuch", "there is no set and no overlay 'nosuch'"},
             {"table3 --seeds 0", "--seeds: expected a number from 1 to 99"},
             {"table3 train.seed=1", "give --seeds N"},
             {"table3 --base nosuch.yaml", "--base: expected defaults, paper or a YAML file"}}) {
        const auto refused = ablate(arguments + " --output " + out.string());
        INFO(refused.text);
        CHECK(refused.code == 2);
        CHECK(contains(refused.text, words));
    }
    std::ofstream(mine) << "losses: {mask: {weight: 0}}\n";
    CHECK(
        contains(ablate(fmt::format("{} --output {} {}", mine.string(), out.string(), keys())).text,
                 "the row was begun with this"));
}
