// Ablations: the arithmetic of the table, what rows can differ in, and the folder that is read.
#include <fmgs/core/io/files.h>
#include <fmgs/run/ablation.h>
#include <fmgs/run/csv.h>

#include "support/test.h"

using namespace fmgs;
namespace fs = std::filesystem;

namespace {

MeasuredSeeds seeds(const std::vector<double>& means) {
    MeasuredSeeds out;
    for (size_t k = 0; k < means.size(); ++k) out[static_cast<int64_t>(k)] = {means[k]};
    return out;
}

bool contains(const std::string& text, const std::string& words) {
    return text.find(words) != std::string::npos;
}

RunOptions read(const std::vector<std::string>& overlays,
                const std::vector<std::string>& keys = {}) {
    const auto folder = fs::path(FMGS_SOURCE_DIR) / "configs";
    std::vector<std::string> arguments;
    for (const auto& name : overlays) arguments.push_back((folder / (name + ".yaml")).string());
    arguments.insert(arguments.end(), keys.begin(), keys.end());
    return read_options(arguments);
}

/// Two rows, each measured with these seeds; the second row's frames are 1 and 2 above the first's.
Ablation two_rows(size_t count) {
    Ablation out;
    out.rows = {{.name = "base"}, {.name = "mine"}};
    out.splits = {"test"};
    out.metrics["test"] = {"psnr", "miou"};
    out.seeds = count;
    for (size_t k = 0; k < count; ++k) {
        const auto seed = static_cast<int64_t>(k);
        const double level = 30 + static_cast<double>(k);
        out.rows[0].measured["test"]["psnr"][seed] = {level, {{"a", level}, {"b", level}}};
        out.rows[1].measured["test"]["psnr"][seed] = {level + 1.5,
                                                      {{"a", level + 1}, {"b", level + 2}}};
        out.rows[1].measured["test"]["miou"][seed] = {0.5};
    }
    return out;
}

}  // namespace

TEST_CASE("mean and deviation over seeds", "[ablation]") {
    const auto spread = spread_of(seeds({1, 2, 6, NAN}));
    REQUIRE(spread.mean == Approx(3));
    REQUIRE(spread.deviation == Approx(std::sqrt(7.0)));
    REQUIRE(spread.seeds == 3);
    REQUIRE(std::isnan(spread_of(seeds({5})).deviation));
    REQUIRE(std::isnan(spread_of({}).mean));
}

TEST_CASE("differences are paired over seeds and over the frames that both rows have",
          "[ablation]") {
    const MeasuredSeeds row = {{0, {0, {{"a", 1}, {"b", 13}}}}, {1, {0, {{"a", 102}, {"b", 206}}}}};
    const MeasuredSeeds reference = {{0, {0, {{"a", 0}, {"b", 11}, {"c", 99}}}},
                                     {1, {0, {{"a", 101}, {"b", 202}, {"c", NAN}}}},
                                     {2, {7, {}}}};
    const auto both = paired_difference(row, reference);
    // 1 and 2 with the first seed, 1 and 4 with the second; levels differ by two hundred.
    REQUIRE(both.mean == Approx(2));
    REQUIRE(both.deviation == Approx(std::sqrt(0.5)));
    REQUIRE(both.seeds == 2);
    const auto one = paired_difference({{0, row.at(0)}}, reference);
    REQUIRE(one.mean == Approx(1.5));
    REQUIRE(one.deviation == Approx(std::sqrt(0.5)));
    REQUIRE(one.seeds == 1);
    // A seed that was not measured takes nothing from the one that was.
    REQUIRE(paired_difference({{0, row.at(0)}, {1, {}}}, reference).mean == Approx(1.5));
    // What only the split has: by its mean.
    REQUIRE(paired_difference(seeds({0.9, 0.8}), seeds({0.7, 0.7})).mean == Approx(0.15));
    REQUIRE(std::isnan(paired_difference(seeds({0.9}), {}).mean));
    // Other frames, as of another capture, make no pair.
    REQUIRE(std::isnan(paired_difference({{0, {1, {{"x", 1}}}}}, {{0, {1, {{"y", 1}}}}}).mean));
}

TEST_CASE("the word significant takes three seeds, and Student's quantile", "[ablation]") {
    REQUIRE(paired_difference(seeds({1, 1.1, 0.9}), seeds({0, 0, 0})).significant);
    REQUIRE_FALSE(paired_difference(seeds({1, 1.1}), seeds({0, 0})).significant);
    REQUIRE_FALSE(paired_difference(seeds({1, 2, -0.5}), seeds({0, 0, 0})).significant);
    // t = a √3 / 1 against 4.303
    REQUIRE_FALSE(paired_difference(seeds({1.48, 2.48, 3.48}), seeds({0, 0, 0})).significant);
    REQUIRE(paired_difference(seeds({1.49, 2.49, 3.49}), seeds({0, 0, 0})).significant);
    REQUIRE_FALSE(paired_difference(seeds({2, 2, 2}), seeds({2, 2, 2})).significant);
}

TEST_CASE("the table has means, deviations and differences; what is missing is a dash",
          "[ablation]") {
    const auto two = ablation_table(two_rows(2));
    INFO(two);
    CHECK(contains(two, "| test | seeds | psnr | miou |\n"));
    CHECK(contains(two, "| `base` | 2 | 30.50 ± 0.71 | - |\n"));
    CHECK(contains(two, "| `mine` | 2 | 32.00 ± 0.71 | 0.5000 ± 0.0000 |\n"));
    CHECK(contains(two, "| difference | | +1.500 ± 0.000 | - |\n"));
    CHECK_FALSE(contains(two, "significant"));
    const auto one = ablation_table(two_rows(1));
    INFO(one);
    CHECK(contains(one, "| difference | | +1.50 ± 0.71 | - |\n"));
    CHECK(contains(one, "over frames (one seed"));
    CHECK(contains(ablation_table(two_rows(3)), "+1.500 ± 0.000 *"));
}

TEST_CASE("what rows can differ in follows from the routes", "[ablation]") {
    const std::set<std::string> semantic = {"semantic"};
    const auto full = read({}), row4 = read({"ablations/table3_4_normal"});
    const auto measured = difference_of(row4, full);
    REQUIRE(measured.keys.size() == 2);
    REQUIRE(measured.maps == semantic);
    REQUIRE(difference_of(full, row4).maps == semantic);
    // Clipping scales all gradients by one norm.
    REQUIRE_FALSE(
        difference_of(read({"paper", "ablations/table3_4_normal"}), read({"paper"})).maps);
    const auto unclipped = [](std::vector<std::string> files) {
        return read(files, {"optim.clip=0"});
    };
    REQUIRE(difference_of(unclipped({"paper", "ablations/table3_4_normal"}), unclipped({"paper"}))
                .maps == semantic);
    const auto off = [](std::vector<std::string> keys) {
        keys.emplace_back("routing=off");
        return read({}, keys);
    };
    REQUIRE_FALSE(difference_of(off({"losses.semantic.weight=0"}), off({})).maps);
    for (const auto* name : {"table3_3_normal_consistency", "fig5_semantics_move", "without_skin",
                             "semantics_shape", "without_photometric", "subdivisions_1"}) {
        INFO(name);
        REQUIRE_FALSE(difference_of(read({std::string("ablations/") + name}), full).maps);
    }
    const auto same = difference_of(read({}, {"train.seed=3", "output=x"}), full);
    REQUIRE(same.keys.empty());
}

TEST_CASE("a folder of an ablation is read; what is damaged is named", "[ablation]") {
    const test::TemporaryFolder folder;
    const auto run = folder.path / "mine/seed_4";
    REQUIRE_FALSE(is_ablation(folder.path));
    write_whole(folder.path / "ablation.txt", "threads: 1\nrow: base\nrow: mine\n");
    write_whole(run / "config.yaml", config_text(RunOptions{}));
    write_whole(run / "eval/metrics.json", R"({"test": {"psnr": 31.5, "depth_mae": null}})");
    write_whole(run / "eval/test.csv", "frame,psnr,depth_mae\n\"a,1\",30,\nb,33,\nc,1");
    const auto read = read_ablation(folder.path);
    REQUIRE(read.rows.size() == 2);
    REQUIRE(read.rows[0].runs.empty());
    const auto& psnr = read.rows[1].measured.at("test").at("psnr").at(4);
    REQUIRE(psnr.mean == 31.5);
    REQUIRE(psnr.frames == std::map<std::string, double>{{"a,1", 30}, {"b", 33}});
    REQUIRE(std::isnan(read.rows[1].measured.at("test").at("depth_mae").at(4).mean));
    REQUIRE(contains(ablation_table(read), "`base` was not trained yet"));

    write_whole(run / "eval/test.csv", "frame,psnr\na,1,2\n");
    REQUIRE(
        test::throws_error([&] { read_ablation(folder.path); }, "test.csv:2: expected 2 cells"));
    write_whole(run / "eval/metrics.json", "{");
    REQUIRE(test::throws_error([&] { read_ablation(folder.path); }, "metrics.json: expected"));
    write_whole(folder.path / "ablation.txt", "row: ../mine\n");
    REQUIRE(test::throws_error([&] { read_ablation(folder.path); }, "ablation.txt: expected the"));
    write_whole(folder.path / "ablation.txt", "");
    REQUIRE(test::throws_error([&] { read_ablation(folder.path); }, "ablation.txt: names no row"));
}
