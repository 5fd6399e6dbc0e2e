// The tables of a sweep, of a folder as scripts/sweep.sh leaves it.
#include <fmgs/run/sweep.h>
#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

bool contains(const std::string& text, const std::string& words) {
    return text.find(words) != std::string::npos;
}

void write(const fs::path& file, const std::string& text) {
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
}

/// A run of a folder that a sweep left, as far as its table looks at it.
void write_run(const fs::path& row, int seed, const std::string& metrics, double speed,
               const std::string& costs) {
    const auto run = row / fmt::format("seed_{}", seed);
    write(run / "config.yaml", fmt::format("train: {{seed: {}}}\n", seed));
    write(run / "eval/metrics.json", metrics);
    write(run / "timing.json", fmt::format("{{\"steps_per_second\": {}}}", speed));
    write(run.string() + ".costs.csv", "seconds,peak_gb,status\n" + costs);
}

}  // namespace

TEST_CASE("the table of a sweep has costs, means over seeds, and differences over captures",
          "[sweep]") {
    const TemporaryFolder folder;
    const auto out = folder.path / "out";
    write(out / "sweep.txt", "threads: 1\ncapture: anna\ncapture: bert\ncapture: cora\n");
    for (const auto* name : {"anna", "bert"})
        write(out / name / "ablation.txt", "row: base\nrow: mine\n");
    const auto psnr = [](double value) {
        return fmt::format(R"({{"test": {{"psnr": {}, "chamfer": 0.5}}}})", value);
    };
    write_run(out / "anna/base", 0, psnr(30), 4, "10,1.5,130\n32,0.5,0\n");
    write_run(out / "anna/base", 1, psnr(32), 6, "44,1,0\n");
    write_run(out / "anna/mine", 0, psnr(31.5), 5, "40,1,0\n");  // of one seed: paired with that
    write_run(out / "bert/base", 0, psnr(20), 5, "40,1,0\n");
    write_run(out / "bert/mine", 0, psnr(20.5), 5, "");
    write_run(out / "bert/base", 1, psnr(20), 9, "99,9,1\n");  // it failed before it was measured
    fs::remove(out / "bert/base/seed_1/eval/metrics.json");

    const auto read = read_sweep(out);
    const auto table = sweep_table(read);
    INFO(table);
    // An attempt that was cut short counts.
    CHECK(
        contains(table, "| capture | row | seeds | steps/s | seconds | peak GB | psnr, test |\n"));
    CHECK(contains(table,
                   "| anna | `base` | 2 | 5.0 ± 1.4 | 43.0 ± 1.4 | 1.25 ± 0.35 | 31.0 ± 1.4 |"));
    CHECK(contains(table, "| bert | `base` | 1 | 5 | 40 | 1 | 20 |"));
    CHECK(contains(table, "| bert | `mine` | 1 | 5 | - | - | 20.5 |"));
    CHECK(contains(table, "| cora | not begun | 0 |"));
    // Each capture counts once; 1.5 and 0.5 dB more than the base of the same seed.
    CHECK(contains(
        table, "| all | `base` | on 2 | 5.000 ± 0.000 | 41.5 ± 2.1 | 1.12 ± 0.18 | 25.5 ± 7.8 |"));
    CHECK(contains(table, "| +1.00 ± 0.71 |\n"));
    CHECK(contains(table, "difference` is that to `base`"));

    const auto rows = sweep_csv(read);
    INFO(rows);
    CHECK(contains(rows,
                   "capture,row,seed,steps_per_second,seconds,peak_gb,test.psnr,test.chamfer\n"));
    CHECK(contains(rows, "anna,base,0,4,42,1.5,30,0.5\n"));
    CHECK(contains(rows, "bert,mine,0,5,,,20.5,0.5\n"));

    const auto json = nlohmann::json::parse(sweep_json(read));
    REQUIRE(json["captures"].size() == 3);
    const auto& base = json["captures"][0]["rows"][0];
    CHECK(base["name"] == "base");
    CHECK(base["test"]["psnr"]["mean"] == Approx(31));
    CHECK(base["test"]["psnr"]["deviation"] == Approx(std::sqrt(2.0)));
    CHECK(base["cost"]["seconds"]["mean"] == Approx(43));
    CHECK(json["captures"][1]["rows"][1]["test"]["psnr"]["deviation"].is_null());

    write(out / "sweep.txt", "capture: ../elsewhere\n");
    CHECK_THROWS_WITH(read_sweep(out), Catch::Contains("expected the name of a capture"));
    write(out / "sweep.txt", "threads: 1\n");
    CHECK_THROWS_WITH(read_sweep(out), Catch::Contains("names no capture"));
}
