// Writes what a run, an ablation or a sweep came to, as HTML pages and tables:  report FOLDER…
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/run/program.h>
#include <fmgs/run/report.h>
#include <fmgs/run/sweep.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>

namespace {

namespace fs = std::filesystem;
using namespace fmgs;

/// The pictures of each row below the table, as Markdown.
std::string pictures_text(const Ablation& ablation) {
    std::string text = "\n## Pictures\n";
    for (const auto& split : ablation.splits) {
        for (const auto& [row, file] : ablation_pictures(ablation, split))
            text += fmt::format("\n`{0}`, {1}:\n\n![{0}, {1}]({2})\n", row, split,
                                file.lexically_relative(ablation.root).generic_string());
    }
    return text;
}

void write_page(const fs::path& file, const Page& page) {
    write_whole(file, page.html());
    say(fmt::format("{}\n", file.string()));
    if (page.left_out() > 0)
        say(fmt::format("note: {} pictures are left out: no room on the page, or not readable\n",
                        page.left_out()));
}

void write_file(const fs::path& file, const std::string& text) {
    write_whole(file, text);
    say(fmt::format("{}\n", file.string()));
}

void write_ablation(const Ablation& ablation) {
    const auto table = ablation_table(ablation);
    write_file(ablation.root / "table.md", table + pictures_text(ablation));
    write_page(ablation.root / "report.html", ablation_report(ablation, table));
}

/// The table of all captures, and the pages of each.
void write_sweep(const Sweep& sweep) {
    for (const auto& capture : sweep.captures)
        if (!capture.rows.empty()) write_ablation(capture);
    write_file(sweep.root / "table.csv", sweep_csv(sweep));
    write_file(sweep.root / "table.json", sweep_json(sweep));
    write_file(sweep.root / "table.md", sweep_table(sweep));
}

int run_program(const std::vector<std::string>& folders) {
    for (const auto& name : folders) {
        const auto path = fs::absolute(name).lexically_normal();
        const auto folder = path.has_filename() ? path : path.parent_path();
        if (is_sweep(folder)) {
            write_sweep(read_sweep(folder));
        } else if (is_ablation(folder)) {
            write_ablation(read_ablation(folder));
        } else {
            const auto run = RunFolder::open(folder);
            write_page(run.report(), run_report(run));
        }
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "Writes FOLDER/report.html, one page that opens without a network: of a run its curves, "
        "pictures, tables, options and warnings; of an ablation the table of its rows, which also "
        "goes to FOLDER/table.md; of a sweep both for each capture, and one table of all of them.");
    std::vector<std::string> folders;
    app.add_option(
           "folders", folders,
           "folders of runs, of ablations (scripts/ablate.sh) or of sweeps (scripts/sweep.sh)")
        ->required();
    CLI11_PARSE(app, argc, argv);
    return guarded([&] { return run_program(folders); });
}
