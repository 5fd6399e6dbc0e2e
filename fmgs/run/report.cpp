#include <fmgs/run/report.h>

#include <fmgs/core/config/config.h>
#include <fmgs/core/io/files.h>
#include <fmgs/run/csv.h>
#include <fmgs/run/progress.h>
#include <fmgs/train/optim.h>
#include <fmgs/version.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

/// A table of the run, empty where it was not written.
Csv table_of(const fs::path& file) { return fs::exists(file) ? read_csv(file) : Csv{}; }

/// The files of a folder that end so, in order of their names.
std::vector<fs::path> files_in(const fs::path& folder, const std::string& extension) {
    std::vector<fs::path> files;
    if (!fs::is_directory(folder)) return files;
    for (const auto& entry : fs::directory_iterator(folder)) {
        const auto name = entry.path().filename().string();
        if (entry.path().extension() == extension && name[0] != '.') files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
}

/// Pictures by their names; "000250" becomes "step 250".
Pictures pictures_in(const fs::path& folder, const std::string& word = "") {
    Pictures out;
    for (const auto& file : files_in(folder, ".png")) {
        auto label = file.stem().string();
        if (!word.empty()) {
            label.erase(0, std::min(label.find_first_not_of('0'), label.size() - 1));
            label = word + " " + label;
        }
        out.emplace_back(label, file);
    }
    return out;
}

/// Visits the terms of the losses for their weights.
struct TermWeights {
    std::map<std::string, Schedule> weights = {};

    template <class T>
    void group(const std::string& name, T& term, const std::string& = "") {
        weights[name] = term.weight;
    }
    template <class T>
    void others(std::map<std::string, T>& terms) {
        for (auto& [name, term] : terms) group(name, term);
    }
    void renamed(const std::string&, const std::string&) {}
};

std::map<std::string, Schedule> weights_of(RunOptions options) {
    TermWeights terms;
    options.objective.losses.visit(terms);
    return terms.weights;
}

Series series_of(const Csv& table, const std::string& column) {
    return {column, table.numbers("step"), table.numbers(column)};
}

/// What a step was told of the run: steps count from 1, schedules from 0.
double progress_of(double step, const RunOptions& options) {
    const auto steps = std::max(1.0, static_cast<double>(options.train.steps));
    return std::clamp((step - 1) / steps, 0.0, 1.0);
}

void add_losses(Page& page, const Csv& table, const RunOptions& options) {
    const auto weights = weights_of(options);
    Chart weighted{"Losses, weighted: what each adds to the sum", {series_of(table, "loss")}, true};
    Chart plain{"Losses, unweighted", {}, true};
    for (const auto& column : table.columns) {
        const auto weight = weights.find(column);
        if (weight == weights.end()) continue;
        auto series = series_of(table, column);
        plain.series.push_back(series);
        for (size_t k = 0; k < series.y.size(); ++k)
            series.y[k] *= weight->second.at(progress_of(series.x[k], options));
        weighted.series.push_back(series);
    }
    page.chart({"PSNR of the training picture, dB", {series_of(table, "psnr")}});
    page.chart(weighted);
    page.chart(plain);
}

/// The groups of parameters that a run has.
std::vector<std::string> groups_of(const RunOptions& options) {
    const auto& avatar = options.avatar;
    const bool has_table = avatar.skinning.type == "table";
    std::vector<std::string> out{"volume",  "feature_volume",
                                 "network", has_table ? "skinning_table" : "skinning",
                                 "scale",   "opacity"};
    const auto add = [&](std::initializer_list<const char*> names) {
        out.insert(out.end(), names.begin(), names.end());
    };
    if (options.pose.learn) add({"pose_root", "pose_joints", "pose_translation"});
    if (avatar.surfels.free) add({"offset", "turn"});
    if (avatar.blendshapes.shape || avatar.blendshapes.pose) add({"blendshapes"});
    if (avatar.blendshapes.betas) add({"betas"});
    if (avatar.appearance.type == "material") add({"light"});
    return out;
}

void add_rates(Page& page, const RunOptions& options) {
    constexpr int kPoints = 200;
    Chart rates{"Learning rates", {}, true};
    for (const auto& group : groups_of(options)) {
        Series series{group, {}, {}};
        for (int k = 0; k <= kPoints; ++k) {
            const double progress = static_cast<double>(k) / kPoints;
            series.x.push_back(progress * static_cast<double>(options.train.steps));
            series.y.push_back(options.optim.rate(group, progress));
        }
        rates.series.push_back(series);
    }
    page.chart(rates);
}

void add_gradients(Page& page, const Csv& table) {
    std::vector<Chart> charts;
    for (const auto& column : table.columns) {
        const auto colon = column.find(':');
        if (colon == std::string::npos) continue;
        const auto title = "Gradient to " + column.substr(colon + 1) + ", of the unweighted losses";
        auto chart = std::find_if(charts.begin(), charts.end(),
                                  [&](const Chart& c) { return c.title == title; });
        if (chart == charts.end()) chart = charts.insert(charts.end(), {title, {}, true});
        auto series = series_of(table, column);
        series.name = column.substr(0, colon);
        chart->series.push_back(series);
    }
    for (const auto& chart : charts) page.chart(chart);
    if (charts.empty())
        page.paragraph(
            "The size of each loss's gradient to each attribute is logged by "
            "`train.gradients_every=100`.");
}

std::vector<std::vector<std::string>> changed_rows(const RunOptions& options) {
    std::vector<std::vector<std::string>> rows = {{"option", "default", "here"}};
    for (const auto& [key, here, there] : difference_of(options, RunOptions{}).keys)
        rows.push_back({"`" + key + "`", there, here});
    return rows;
}

/// Steps that were made, of metrics.csv.
int64_t steps_of(const Csv& table) {
    const auto steps = table.numbers("step");
    return steps.empty() || std::isnan(steps.back()) ? 0 : static_cast<int64_t>(steps.back());
}

void add_summary(Page& page, const RunFolder& folder, const RunOptions& options, const Csv& table) {
    const auto done = steps_of(table), steps = options.train.steps;
    std::vector<std::vector<std::string>> rows = {{"run", folder.root.string()}};
    rows.push_back({"capture", options.data.root});
    rows.push_back(
        {"steps", done >= steps ? fmt::format("{}", done) : fmt::format("{} of {}", done, steps)});
    if (fs::exists(folder.timing())) {
        const auto json = nlohmann::json::parse(read_text(folder.timing()), nullptr, false);
        if (json.is_object() && json.contains("seconds") && json["seconds"].is_number())
            rows.push_back({"time", duration_text(json["seconds"].get<double>()) +
                                        fmt::format(" on {}", options.train.device)});
    }
    rows.push_back({"routing", options.objective.routing});
    rows.push_back({"seed", fmt::format("{}", options.train.seed)});
    page.facts(rows);
    if (done < steps)
        page.warning(fmt::format("This run is not finished: {} of {} steps. `train {}` goes on.",
                                 done, steps, folder.root.string()));
}

void add_warnings(Page& page, const std::string& history) {
    std::istringstream lines(history);
    std::vector<std::string> seen;
    for (std::string line; std::getline(lines, line);) {
        const bool is_warning = line.starts_with("warning: ") || line.starts_with("note: ");
        if (!is_warning || std::find(seen.begin(), seen.end(), line) != seen.end()) continue;
        page.warning(line);
        seen.push_back(line);
    }
}

void add_renders(Page& page, const RunFolder& folder) {
    page.section("turntable");
    if (fs::is_directory(folder.render())) {
        std::vector<fs::path> sequences;
        for (const auto& entry : fs::directory_iterator(folder.render()))
            if (entry.is_directory()) sequences.push_back(entry.path());
        std::sort(sequences.begin(), sequences.end());
        for (const auto& sequence : sequences) {
            const auto name = sequence.filename().string();
            for (const auto* map : {"color", "normal"}) {
                const auto pictures = pictures_in(sequence / map, "view");
                if (!pictures.empty()) page.slider(name + ", " + map, pictures, 480, 24);
            }
        }
    }
    if (!fs::is_directory(folder.render() / "orbit"))
        page.paragraph(
            fmt::format("`render {} --orbit 48` draws a turntable.", folder.root.string()));
}

void add_influence(Page& page, const RunFolder& folder) {
    page.section("influence");
    auto pictures = pictures_in(folder.influence());
    std::erase_if(pictures, [](const auto& picture) { return picture.first == "routing"; });
    if (pictures.empty()) {
        page.paragraph(fmt::format("`influence {}` draws which surfels each loss moves.",
                                   folder.root.string()));
        return;
    }
    page.paragraph(
        "The size of each loss's gradient to position, rotation, scale, opacity, skinning, colour "
        "and further columns of each surfel, from left to right; white is the largest, grey is "
        "cut.");
    page.slider("Influence of a loss", pictures, 1400, 32);
}

/// A chart for each column of metrics.csv, a curve for the first run of each row.
void add_rows(Page& page, const Ablation& ablation) {
    std::vector<std::pair<std::string, Chart>> charts;
    for (const auto& row : ablation.rows) {
        if (row.runs.empty()) continue;
        const auto metrics = table_of(row.runs.begin()->second / "metrics.csv");
        for (const auto& column : metrics.columns) {
            if (column == "step") continue;
            auto found = std::find_if(charts.begin(), charts.end(),
                                      [&](const auto& chart) { return chart.first == column; });
            if (found == charts.end()) {
                found = charts.insert(charts.end(), {column, {column + ", unweighted", {}, true}});
                if (column == "psnr") found->second = {"PSNR of the training picture, dB", {}};
                if (column == "loss") found->second.title = "Sum of the weighted losses";
            }
            found->second.series.push_back(
                {row.name, metrics.numbers("step"), metrics.numbers(column)});
        }
    }
    for (const auto& [column, chart] : charts) page.chart(chart);
}

}  // namespace

Page run_report(const RunFolder& folder) {
    const auto options = stored_options(folder.config());
    const auto table = table_of(folder.metrics());
    const auto history = fs::exists(folder.history()) ? read_text(folder.history()) : "";
    Page page(folder.root.filename().string());
    add_summary(page, folder, options, table);
    add_warnings(page, history);

    page.section("measured");
    const auto measured = folder.eval() / "table.md";
    if (fs::exists(measured))
        page.markdown(read_text(measured));
    else
        page.paragraph(fmt::format("`evaluate {}` measures it.", folder.root.string()));
    if (const auto splits = pictures_in(folder.eval()); !splits.empty())
        page.slider("Held-out frames, and what the avatar makes of them", splits, 1400, 16);

    page.section("curves");
    add_losses(page, table, options);
    add_rates(page, options);
    add_gradients(page, table_of(folder.gradients()));

    page.section("sheets");
    if (const auto sheets = pictures_in(folder.sheets(), "step"); !sheets.empty())
        page.slider("Training frames, and what the avatar makes of them", sheets, 1400, 16,
                    /*at_last=*/true);
    add_renders(page, folder);
    add_influence(page, folder);

    page.section("options");
    page.table(changed_rows(options));
    page.folded("all options", read_text(folder.config()));
    page.section("history");
    page.folded("what each start said", history);
    page.paragraph(fmt::format("This page was written by libfmgs {}.", FMGS_VERSION));
    return page;
}

Page ablation_report(const Ablation& ablation, const std::string& table) {
    Page page(ablation.root.filename().string());
    page.section("table");
    page.markdown(table);
    page.section("pictures");
    for (const auto& split : ablation.splits) {
        const auto pictures = ablation_pictures(ablation, split);
        if (!pictures.empty()) page.slider(split + ", row by row", pictures, 1400, 32);
    }
    page.section("curves");
    add_rows(page, ablation);
    page.paragraph(fmt::format("This page was written by libfmgs {}.", FMGS_VERSION));
    return page;
}

}  // namespace fmgs
