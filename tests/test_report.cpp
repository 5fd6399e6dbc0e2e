// The page of a run: nothing outside of it, nothing of a user's in it that is not escaped.
#include <fmgs/core/io/files.h>
#include <fmgs/data/image_io.h>
#include <fmgs/run/report.h>
#include <fmgs/run/training.h>
#include <fmt/format.h>

#include <sstream>

#include "support/page.h"
#include "support/small_run.h"

using namespace fmgs;
using test::outside_references;
namespace fs = std::filesystem;

namespace {

bool contains(const std::string& text, const std::string& words) {
    return text.find(words) != std::string::npos;
}

size_t count(const std::string& text, const std::string& words) {
    size_t found = 0;
    for (size_t at = 0; (at = text.find(words, at)) != std::string::npos; ++at) ++found;
    return found;
}

/// A folder of a run with these options, 20 of 100 steps done.
RunFolder unfinished_run(const fs::path& root, const std::string& loss = "photometric") {
    RunOptions options;
    options.train.steps = 100;
    options.data.root = "/captures/</script><img src=x onerror=alert(1)>\"'";
    if (loss != "photometric") options.objective.losses.others[loss] = {};
    write_whole(root / "config.yaml", config_text(options));
    write_whole(root / "metrics.csv",
                "step,loss,psnr,mask," + loss + "\n10,0.5,20,0.25,0.1\n20,0.4,21,0.125,\n30,0.3");
    return RunFolder::open(root);
}

}  // namespace

TEST_CASE("references outside of a page are found where there are any", "[report]") {
    REQUIRE(
        outside_references("<img src=\"data:image/jpeg;base64,http:\"><a href=\"#x\">").empty());
    for (const auto* text : {"<img src=\"x.png\">", "<a href=\"https://x\">", "url(x)", "@import x",
                             "<link rel=stylesheet>", "fetch(x)"}) {
        INFO(text);
        REQUIRE(outside_references(text).size() >= 1);
    }
}

TEST_CASE("the report of a run that is not finished, and was not measured", "[report]") {
    const test::TemporaryFolder folder;
    const auto html = run_report(unfinished_run(folder.path / "run")).html();
    CHECK(contains(html, "is not finished: 20 of 100 steps"));
    CHECK(contains(html, "<code>evaluate "));
    CHECK(contains(html, "--orbit 48</code> draws a turntable"));
    CHECK(contains(html, "train.gradients_every=100"));
    // A term is drawn as it is and by its weight, 1.
    CHECK(count(html, R"({"name":"mask","x":[10.0,20.0],"y":[0.25,0.125]})") == 2);
    CHECK(contains(html, R"("name":"network")"));
    // Options that are not the defaults, beside these.
    CHECK(contains(html, "<td><code>train.steps</code></td><td>1000</td><td>100</td>"));
    CHECK_FALSE(contains(html, "<td><code>train.seed</code></td>"));
    CHECK(outside_references(html).empty());
    // A run that has not made a step.
    fs::remove(folder.path / "run/metrics.csv");
    CHECK(contains(run_report(RunFolder::open(folder.path / "run")).html(), "0 of 100 steps"));
}

TEST_CASE("whatever a configuration holds stays text on the page", "[report]") {
    const test::TemporaryFolder folder;
    const std::string evil = "</script><b>";
    const auto root = folder.path / "{{body}}<i>&amp;";
    auto run = unfinished_run(root, evil);
    write_whole(run.history(), "warning: <u>\n");
    write_whole(run.eval() / "table.md", "| <s> | psnr |\n|---|---|\n| `<s>` | 1 |\n");
    const auto html = run_report(run).html();
    CHECK(contains(html, "\\u003c/script>\\u003cb>"));
    CHECK(contains(html, "<title>{{body}}&lt;i&gt;&amp;amp;</title>"));
    CHECK(contains(html, "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&quot;&#39;"));
    CHECK(contains(html, "warning: &lt;u&gt;"));
    for (const auto* tag : {"<b>", "<i>", "<u>", "<s>", "<img src=x"})
        CHECK_FALSE(contains(html, tag));
    CHECK(count(html, "<script") == count(html, "</script>"));
    CHECK(count(html, "<title>") == 1);
    CHECK(outside_references(html).empty());
}

TEST_CASE("pictures are in the page, made smaller; one that cannot be read is said", "[report]") {
    const test::TemporaryFolder folder;
    const auto run = unfinished_run(folder.path / "run");
    for (int k = 0; k < 40; ++k)
        write_color(run.sheets() / fmt::format("{:06d}.png", 10 * k), torch::rand({3, 50, 80}));
    write_color(run.render() / "orbit/color/000000.png", torch::rand({3, 900, 1000}));
    const auto page = run_report(run);
    const auto html = page.html();
    CHECK(page.left_out() == 0);
    CHECK(count(html, "<img ") == 17);
    CHECK(contains(html, "alt=\"step 0\""));
    CHECK(contains(html, "alt=\"step 390\""));
    CHECK(contains(html, "16 of 40 pictures"));
    CHECK(html.size() < 300'000);
    CHECK_FALSE(contains(html, "draws a turntable"));
    CHECK(outside_references(html).empty());

    write_whole(run.sheets() / "000390.png", "damaged");
    const auto damaged = run_report(run);
    CHECK(damaged.left_out() == 1);
    CHECK(contains(damaged.html(), "1 left out: no room on the page, or not readable"));
}

TEST_CASE("a page stays below 10 MB; pictures beyond are left out, and said", "[report]") {
    const test::TemporaryFolder folder;
    const auto run = unfinished_run(folder.path / "run");
    write_color(run.sheets() / "000000.png", torch::rand({3, 1300, 1300}));
    for (int k = 1; k < 8; ++k)
        fs::copy_file(run.sheets() / "000000.png", run.sheets() / fmt::format("{:06d}.png", k));
    const auto page = run_report(run);
    CHECK(page.left_out() >= 2);
    CHECK(page.left_out() <= 6);
    CHECK(page.html().size() < 10'200'000);
    CHECK(contains(page.html(), fmt::format("{} left out: no room", page.left_out())));
}

TEST_CASE("gradients are logged beside training, which does not notice", "[report]") {
    const test::TemporaryFolder folder;
    const auto trained = [&](const char* name, const std::string& more) {
        auto run = open_run(test::options({more}));
        auto objective = paper_objective(run.avatar->parts(), run.options.objective);
        objective->add("exposure", std::make_shared<test::ExposureLoss>(), 1, Reach::everything());
        std::ostringstream progress;
        auto training =
            start(std::move(run), objective, RunFolder::create(folder.path / name), progress);
        while (!finished(training)) record(training, training_step(training));
        finish(training);
        return std::pair(training.model, training.folder);
    };
    const auto [plain, plain_folder] = trained("plain", "train.gradients_every=0");
    const auto [logged, folder_of_logged] = trained("logged", "train.gradients_every=2");
    for (const auto& [name, tensor] : plain) {
        INFO(name);
        REQUIRE(torch::equal(tensor, logged.at(name)));
    }
    CHECK_FALSE(fs::exists(plain_folder.gradients()));
    const auto text = read_whole(folder_of_logged.gradients());
    CHECK(count(text, "\n2,") == 1);
    CHECK(count(text, "\n4,") == 1);
    const auto html = run_report(folder_of_logged).html();
    CHECK(contains(html, "Gradient to rotation, of the unweighted losses"));
    CHECK(contains(html, "libfmgs 0."));
    // Rule (2), of which `measured` keeps that L_tv moves nothing: no curve of it below that title.
    const auto start = html.find("Gradient to position, of the unweighted losses");
    REQUIRE(start != std::string::npos);
    const auto chart = html.substr(start, html.find("</script>", start) - start);
    CHECK(contains(chart, R"("name":"photometric")"));
    CHECK_FALSE(contains(chart, R"("name":"normal_tv")"));
}
