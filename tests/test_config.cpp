#include <fmgs/avatar.h>
#include <fmgs/core/config/config.h>

#include <fstream>

#include "support/test.h"

using namespace fmgs;
using fmgs::test::TemporaryFolder;
using fmgs::test::throws_error;

namespace {

struct GridOptions {
    int64_t levels = 16;
    double rate = 2e-2;
    template <class V>
    void visit(V& v) {
        v("levels", levels, Range::of(1, 32), "resolution levels");
        v("rate", rate, Range::more_than(0), "learning rate");
    }
};

struct TermOptions {
    Schedule weight = 1.0;
    std::optional<std::vector<std::string>> reaches = std::nullopt;
    GridOptions grid = {};
    template <class V>
    void visit(V& v) {
        v("weight", weight, Range::at_least(0), "weight");
        v("reaches", reaches, "columns");
        v.group("grid", grid);
    }
};

struct Options {
    bool learn = true;
    int64_t steps = 1500;
    double padding = 0.1;
    std::string name = "paper";
    std::vector<std::string> sheets = {"color"};
    std::string output;
    GridOptions grid;
    std::map<std::string, TermOptions> losses = {{"depth", {.weight = 0.02}}, {"mask", {}}};
    template <class V>
    void visit(V& v) {
        v("learn", learn, "learn it | or not");
        v("steps", steps, "training steps");
        v("padding", padding, "share");
        v("name", name, "any text");
        v("sheets", sheets, "maps");
        v.path("output", output, "folder");
        v.group("grid", grid);
        v.groups("losses", losses, "terms by name");
        v.renamed("iterations", "steps");
        v.renamed("losses.silhouette", "losses.mask");
    }
};

/// Reads YAML text from a file in `folder`.
Options from_text(const TemporaryFolder& folder, const std::string& text) {
    const auto file = folder.path / "x.yaml";
    std::ofstream(file) << text;
    Config config;
    config.add_file(file.string());
    Options options;
    config.read(options);
    return options;
}

Options from_argument(const std::string& text) {
    Config config;
    config.add_argument(text);
    Options options;
    config.read(options);
    return options;
}

bool refused(const std::string& text, const std::string& words) {
    TemporaryFolder folder;
    return throws_error([&] { from_text(folder, text); }, words);
}

}  // namespace

TEST_CASE("layers apply in order, maps merge and lists replace", "[config]") {
    TemporaryFolder folder;
    std::ofstream(folder.path / "a.yaml") << "steps: 10\nsheets: [a, b]\nlosses: {depth: {reaches: "
                                             "[position]}, extra: {weight: 3}}\n";
    std::ofstream(folder.path / "b.yaml")
        << "# nothing but a comment\nsheets: [c]\nlosses:\n  depth: {weight: [[0, 0], [0.5, 2]]}\n";
    Config config;
    config.add_file(folder.path / "a.yaml");
    config.add_file(folder.path / "b.yaml");
    config.add_argument("steps=20");
    config.add_argument("losses.extra.grid.levels=4");
    Options options;
    config.read(options);
    REQUIRE(options.steps == 20);
    REQUIRE(options.sheets == std::vector<std::string>{"c"});
    REQUIRE(options.losses.size() == 3);
    REQUIRE(options.losses["depth"].weight == Schedule({{0, 0}, {0.5, 2}}));
    REQUIRE(options.losses["depth"].reaches == std::vector<std::string>{"position"});
    REQUIRE(options.losses["extra"].weight == Schedule(3));
    REQUIRE(options.losses["extra"].grid.levels == 4);
    REQUIRE(options.padding == 0.1);
}

TEST_CASE("paths count from the file or from the working directory and come out absolute",
          "[config]") {
    TemporaryFolder folder;
    REQUIRE(from_text(folder, "output: ../runs/a/").output ==
            (folder.path.parent_path() / "runs/a").string());
    REQUIRE(from_text(folder, "output: /tmp/x").output == "/tmp/x");
    REQUIRE(from_argument("output=runs/b").output ==
            (std::filesystem::current_path() / "runs/b").string());
    REQUIRE(from_argument("output=").output.empty());
}

TEST_CASE("text and paths in an argument are taken as they stand", "[config]") {
    const auto here = std::filesystem::current_path();
    for (const std::string text : {"R/exp #2", "#x", "@x", "*x", "&x", "[x]", "{x", "null", "|",
                                   ">", "a: b", "'q'", "\"", "- x", "!tag x", "take #3 ", "1e3"}) {
        INFO(text);
        REQUIRE(from_argument("output=" + text).output == (here / text).string());
        REQUIRE(from_argument("name=" + text).name == text);
    }
    REQUIRE(from_argument("grid={levels: 3}").grid.levels == 3);  // all else is YAML
    TemporaryFolder folder;
    const std::string home = std::getenv("HOME");
    REQUIRE(from_argument("output=~/r").output == home + "/r");
    REQUIRE(from_text(folder, "output: ~/r").output == home + "/r");
    REQUIRE(from_argument("output=~r").output == (here / "~r").string());
}

TEST_CASE("a number out of its range is refused, in a file, an argument and in C++", "[config]") {
    REQUIRE(refused("grid: {levels: 0}", "x.yaml:1: grid.levels: expected a number from 1 to 32"));
    REQUIRE(refused("grid: {levels: 33}", "from 1 to 32, got '33'"));
    REQUIRE(refused("grid: {rate: 0}", "grid.rate: expected a number more than 0, got '0'"));
    REQUIRE(refused("losses: {mask: {weight: -1}}",
                    "losses.mask.weight: expected a number at least 0"));
    REQUIRE(refused("losses: {mask: {weight: [[0, 1], [0.5, -1]]}}", "at least 0"));
    REQUIRE(
        throws_error([] { from_argument("losses.mask.weight=-0.1"); }, "at least 0, got '-0.1'"));
    REQUIRE(from_argument("grid.levels=32").grid.levels == 32);
    Options options;
    REQUIRE_NOTHROW(check_ranges(options, "all"));
    options.losses["mask"].weight = Schedule({{0, 1}, {0.5, -2}});
    REQUIRE(throws_error(
        [&] { check_ranges(options, "all"); },
        "all.losses.mask.weight: expected a number at least 0, got [[0, 1], [0.5, -2]]"));
    options.losses.erase("mask");
    options.grid.rate = NAN;
    REQUIRE(throws_error([&] { check_ranges(options, ""); }, "grid.rate: expected a number more"));
}

TEST_CASE("a range says what it holds", "[config]") {
    REQUIRE(Range{}.text().empty());
    REQUIRE(Range::at_least(1).text() == "at least 1");
    REQUIRE(Range::more_than(0).text() == "more than 0");
    REQUIRE(Range::of(0, 1).text() == "from 0 to 1");
    REQUIRE(Range::inside(0, 1).text() == "between 0 and 1");
    REQUIRE(Range{.low = 0, .high = 1, .high_is_in = false}.text() == "at least 0 and less than 1");
    REQUIRE(
        (Range::of(0, 1).holds(0) && Range::of(0, 1).holds(1) && !Range::of(0, 1).holds(1.001)));
    REQUIRE((!Range::inside(0, 1).holds(0) && !Range::inside(0, 1).holds(1)));
    REQUIRE((!Range::more_than(0).holds(0) && !Range{}.holds(NAN)));
}

TEST_CASE("a key of an earlier version is refused, and its new name said", "[config]") {
    REQUIRE(refused("iterations: 3\n", "x.yaml:1: 'iterations' is now called 'steps'"));
    REQUIRE(refused("losses:\n  silhouette: {weight: 3}\n",
                    "x.yaml:2: 'losses.silhouette' is now called 'losses.mask'"));
    Options options;
    Config config;
    config.add_argument("losses.silhouette.weight=2");
    REQUIRE(throws_error([&] { config.read(options); }, "is now called 'losses.mask'"));
}

TEST_CASE("an unknown key is refused with its line and the nearest valid key", "[config]") {
    REQUIRE(refused("learn: true\nstep: 3\n",
                    "x.yaml:2: unknown key 'step'; the nearest valid key is 'steps'"));
    REQUIRE(refused("grid:\n  level: 3\n",
                    "x.yaml:2: unknown key 'grid.level'; the nearest valid key is 'grid.levels'"));
    REQUIRE(refused("levels: 3\n", "the nearest valid key is 'grid.levels'"));
    REQUIRE(refused("losses: {depth: {wieght: 3}}\n", "'losses.depth.weight'"));
    REQUIRE(throws_error([] { from_argument("grid.lvels=3"); },
                         "argument 'grid.lvels=3': unknown key 'grid.lvels'; the nearest "
                         "valid key is 'grid.levels'"));
}

TEST_CASE("a value of another type is refused with what was expected and what came", "[config]") {
    REQUIRE(refused("steps: 1.5", "x.yaml:1: steps: expected an integer, got '1.5'"));
    REQUIRE(refused("steps: \"15\"", "expected an integer, got the text '15'"));
    REQUIRE(refused("steps: 99999999999999999999", "expected an integer"));
    REQUIRE(refused("steps: [1]", "expected an integer, got a list"));
    REQUIRE(refused("steps:", "expected an integer, got nothing (null)"));
    REQUIRE(refused("learn: yes", "expected true or false, got 'yes'"));
    for (const char* text : {"padding: nan", "padding: .nan", "padding: inf", "padding: 1e999",
                             "padding: 1,5", "padding: 0x10"}) {
        INFO(text);
        REQUIRE(refused(text, "padding: expected a finite number"));
    }
    REQUIRE(refused("sheets: color", "expected a list of words, as in [a, b], got 'color'"));
    REQUIRE(refused("name: {a: 1}", "name: expected text, got a map"));
    REQUIRE(refused("grid: 3", "grid: expected a map of keys, got '3'"));
    REQUIRE(refused("- a", "expected a map of keys, got a list"));
    REQUIRE(refused("steps: 1\nsteps: 2", "x.yaml:2: key 'steps' is given twice"));
    REQUIRE(refused("steps: [1", "x.yaml:"));
    REQUIRE(refused("--- {}\n--- {}", "x.yaml:2: not valid YAML: expected one document"));
    REQUIRE(refused("name: a\n---\n,", "x.yaml:2: not valid YAML: expected one document"));
    REQUIRE(throws_error([] { from_argument("sheets=[a] [b]"); }, "expected one document"));
    const std::string deep(10000, '[');
    REQUIRE(refused("steps: 1\nname: " + deep, "x.yaml:2: not valid YAML: nested 500 deep"));
    REQUIRE(throws_error([&] { from_argument("steps=" + deep); },
                         "the value is not valid YAML: nested 500 deep"));
    REQUIRE(throws_error([] { from_argument("steps"); }, "expected key.path=value"));
    REQUIRE(throws_error([] { from_argument("grid..levels=3"); }, "empty key"));
    REQUIRE(throws_error([] { Config().add_file("no/such.yaml"); },
                         "no/such.yaml: there is no such configuration file"));
}

TEST_CASE("a schedule starts at 0, rises and stays in [0,1]", "[config]") {
    TemporaryFolder folder;
    auto options = from_text(folder, "losses: {mask: {weight: [[0, 1], [0.25, 0], [1, 2.5]]}}");
    REQUIRE(options.losses["mask"].weight.at(0.24) == 1);
    REQUIRE(options.losses["mask"].weight.at(0.25) == 0);
    for (const char* text :
         {"[[0.1, 1]]", "[[0, 1], [0, 2]]", "[[0, 1], [1.1, 2]]", "[[0, 1], [0.5]]", "[]", "[0, 1]",
          "[[0, .nan]]", "word", "{a: 1}", "[[0, 1], [0.5, 1], [0.4, 1]]", "[[-0.5, 1]]"}) {
        INFO(text);
        REQUIRE(refused(std::string("losses: {mask: {weight: ") + text + "}}",
                        "losses.mask.weight: expected a finite number or a schedule"));
    }
}

TEST_CASE("an entry of a map is removed by null", "[config]") {
    TemporaryFolder folder;
    auto options = from_text(folder, "losses: {mask: null, fresh: {}}");
    REQUIRE(options.losses.count("mask") == 0);
    REQUIRE(options.losses.count("fresh") == 1);
    REQUIRE(
        refused("losses: {fresh: null}", "losses.fresh: null removes an entry, but there is none"));
}

TEST_CASE("nothing changes when a layer is refused", "[config]") {
    Config config;
    config.add_argument("steps=7");
    config.add_argument("learn=maybe");
    Options options;
    REQUIRE(throws_error([&] { config.read(options); }, "true or false"));
    REQUIRE(options.steps == 1500);
}

TEST_CASE("the dumped configuration reads back bit for bit", "[config]") {
    TemporaryFolder folder;
    Options options;
    options.learn = false;
    options.padding = 0.1 + 0.2;
    options.grid.rate = 4.9e-324 * 3;  // denormal
    options.name = "say \"no\": # \\ \n\t é {x}";
    options.sheets = {"", "no", "null", "1.5", "- a", "a b", "~"};
    options.output = "/tmp/a folder/x";
    options.losses.erase("mask");
    options.losses["true"] = {.weight = Schedule({{0, 1.0 / 3}, {0.5, 1e300}}),
                              .reaches = std::vector<std::string>{}};
    const auto text = dump_yaml(options);
    const auto back = from_text(folder, text);
    REQUIRE(dump_yaml(back) == text);
    REQUIRE(back.padding == options.padding);
    REQUIRE(back.grid.rate == options.grid.rate);
    REQUIRE(back.name == options.name);
    REQUIRE(back.sheets == options.sheets);
    REQUIRE(back.output == options.output);
    REQUIRE(back.losses.size() == 2);
    REQUIRE(back.losses.at("true").weight == options.losses["true"].weight);
    REQUIRE(back.losses.at("true").reaches == std::vector<std::string>{});
    REQUIRE(!back.losses.at("depth").reaches.has_value());
}

TEST_CASE("descriptions stand beside the defaults in YAML and in the table", "[config]") {
    const auto yaml = dump_yaml(Options(), /*with_docs=*/true);
    REQUIRE(yaml.find("steps: 1500  # training steps\n") != std::string::npos);
    REQUIRE(yaml.find("  depth:\n    weight: 0.02  # weight\n    reaches: null") !=
            std::string::npos);
    TemporaryFolder folder;
    REQUIRE(dump_yaml(from_text(folder, yaml)) == dump_yaml(Options()));
    const auto table = options_markdown(Options());
    REQUIRE(table.find("| `grid.levels` | integer from 1 to 32 | `16` | resolution levels |\n") !=
            std::string::npos);
    REQUIRE(table.find("| `learn` | true, false | `true` | learn it \\| or not |\n") !=
            std::string::npos);
    REQUIRE(table.find("| `losses` | map | `{depth, mask}` | terms by name |\n") !=
            std::string::npos);
    REQUIRE(
        table.find("| `losses.<name>.weight` | number or schedule at least 0 | `1` | weight |\n") !=
        std::string::npos);
    REQUIRE(table.find(
                "| `losses.depth.weight` | number or schedule at least 0 | `0.02` | weight |\n") !=
            std::string::npos);
    REQUIRE(table.find("`losses.mask.weight`") == std::string::npos);
}

TEST_CASE("the avatar's options can be visited and come back", "[config]") {
    Config config;
    config.add_argument("geometry={code: 8, volume: {finest_resolution: 512}}");
    config.add_argument("skinning.volume.finest_resolution=64");
    AvatarOptions options;
    config.read(options);
    REQUIRE(options.geometry.code == 8);
    REQUIRE(options.geometry.volume.finest_resolution == 512);
    REQUIRE(options.skinning.volume.finest_resolution == 64);
    REQUIRE(options.skinning.volume.levels == 8);
}

namespace {

/// A struct with fields and, under all other keys, entries of a map.
struct Open {
    GridOptions fixed;
    std::map<std::string, TermOptions> more = {{"first", {}}};
    template <class V>
    void visit(V& v) {
        v.group("fixed", fixed);
        v.others(more);
        v.renamed("mended", "fixed");
    }
};

struct Holder {
    Open terms;
    template <class V>
    void visit(V& v) {
        v.group("terms", terms, "fixed ones and more");
        v.renamed("fixed", "terms.fixed");
    }
};

Holder holder(const std::string& argument) {
    Config config;
    config.add_argument(argument);
    Holder options;
    config.read(options);
    return options;
}

}  // namespace

TEST_CASE("keys that a struct does not name are entries of its map", "[config]") {
    const auto options = holder("terms={fixed: {levels: 3}, own: {weight: 2}, first: null}").terms;
    REQUIRE(options.fixed.levels == 3);
    REQUIRE(options.more.size() == 1);
    REQUIRE(options.more.at("own").weight == Schedule(2));
    const auto refused = [](const std::string& argument, const std::string& words) {
        return throws_error([&] { holder(argument); }, words);
    };
    REQUIRE(refused("terms.fixed=null",
                    "terms.fixed: null removes an entry, but this one is "
                    "always there"));
    REQUIRE(refused("terms.fresh=null", "but there is none; write {} for its defaults"));
    REQUIRE(refused("terms.mended.levels=1", "'terms.mended' is now called 'terms.fixed'"));
    REQUIRE(refused("fixed.levels=1", "'fixed' is now called 'terms.fixed'"));
    REQUIRE(refused("terms.fixed.weight=1", "unknown key 'terms.fixed.weight'"));
}

TEST_CASE("a struct with a map comes back from its dump, and stands in the table", "[config]") {
    const auto options = holder("terms={fixed: {levels: 3}, own: {weight: 2}, first: null}");
    const auto text = dump_yaml(options);
    REQUIRE(text.find("\n  first: null\n") != std::string::npos);
    TemporaryFolder folder;
    std::ofstream(folder.path / "x.yaml") << text;
    Config config;
    config.add_file((folder.path / "x.yaml").string());
    Holder back;
    config.read(back);
    REQUIRE(dump_yaml(back) == text);
    const auto table = options_markdown(Holder());
    const auto at = [&](const std::string& row) { return table.find(row); };
    REQUIRE(at("| `terms.fixed.levels` |") <
            at("| `terms` | map | `{first}` | fixed ones and more |"));
    REQUIRE(at("| `terms` | map |") < at("| `terms.<name>.weight` |"));
    REQUIRE(at("| `terms.<name>.weight` |") != std::string::npos);
}
