#include <fmgs/run/sweep.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/run/csv.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

using Json = nlohmann::ordered_json;

/// A column of the table: a metric of a split.
struct Column {
    std::string split, metric, title;
};

const std::vector<Column>& cost_columns() {
    static const std::vector<Column> kColumns = {{kCost, "steps_per_second", "steps/s"},
                                                 {kCost, "seconds", "seconds"},
                                                 {kCost, "peak_gb", "peak GB"}};
    return kColumns;
}

void add_new(std::vector<std::string>& list, const std::string& name) {
    if (std::find(list.begin(), list.end(), name) == list.end()) list.push_back(name);
}

/// What a run took, where it is known.
void read_cost(const fs::path& run, int64_t seed, AblationRow& row) {
    if (!fs::exists(run / "eval/metrics.json")) return;
    const auto add = [&](const char* name, double value) {
        if (std::isfinite(value)) row.measured[kCost][name][seed].mean = value;
    };
    if (fs::exists(run / "timing.json")) {
        const auto json = Json::parse(read_text(run / "timing.json"), nullptr, false);
        if (json.is_object() && json.contains("steps_per_second") &&
            json["steps_per_second"].is_number())
            add("steps_per_second", json["steps_per_second"].get<double>());
    }
    const auto file = fs::path(run.string() + ".costs.csv");
    if (!fs::exists(file)) return;
    const auto table = read_csv(file);
    double seconds = 0, peak = 0;
    for (const double value : table.numbers("seconds")) seconds += value;
    for (const double value : table.numbers("peak_gb")) peak = std::max(peak, value);
    if (seconds > 0) add("seconds", seconds);
    if (peak > 0) add("peak_gb", peak);
}

/// The splits and metrics of all captures, in their order.
std::vector<Column> measured_columns(const Sweep& sweep) {
    std::vector<std::string> splits;
    std::map<std::string, std::vector<std::string>> metrics;
    for (const auto& capture : sweep.captures) {
        for (const auto& split : capture.splits) {
            add_new(splits, split);
            for (const auto& metric : capture.metrics.at(split)) add_new(metrics[split], metric);
        }
    }
    std::vector<Column> out;
    for (const auto& split : splits)
        for (const auto& metric : metrics[split])
            out.push_back({split, metric, metric + ", " + split});
    return out;
}

std::vector<Column> table_columns(const Sweep& sweep) {
    static const std::vector<std::string> kFirst = {"psnr", "ssim", "lpips", "normal_deg"};
    auto out = cost_columns();
    for (const auto& column : measured_columns(sweep))
        if (std::find(kFirst.begin(), kFirst.end(), column.metric) != kFirst.end())
            out.push_back(column);
    return out;
}

const AblationRow* find_row(const Ablation& capture, const std::string& name) {
    const auto found = std::find_if(capture.rows.begin(), capture.rows.end(),
                                    [&](const AblationRow& row) { return row.name == name; });
    return found == capture.rows.end() ? nullptr : &*found;
}

/// Runs that were measured.
size_t measured_runs(const AblationRow& row) {
    size_t most = 0;
    for (const auto& [split, metrics] : row.measured)
        for (const auto& [metric, seeds] : metrics) most = std::max(most, seeds.size());
    return most;
}

/// Over captures: the means of a row, or, where `reference` names another, the means of its
/// differences to that one, paired within each capture.
Spread over_captures(const Sweep& sweep, const Column& column, const std::string& name,
                     const std::string& reference) {
    MeasuredSeeds values, zeros;
    for (size_t k = 0; k < sweep.captures.size(); ++k) {
        const auto *row = find_row(sweep.captures[k], name),
                   *other = find_row(sweep.captures[k], reference);
        if (!row || (!reference.empty() && !other)) continue;
        const auto& here = measured_of(*row, column.split, column.metric);
        const auto value =
            other ? paired_difference(here, measured_of(*other, column.split, column.metric))
                  : spread_of(here);
        values[static_cast<int64_t>(k)].mean = value.mean;
        zeros[static_cast<int64_t>(k)].mean = 0;
    }
    return reference.empty() ? spread_of(values) : paired_difference(values, zeros);
}

std::string cell(const Spread& spread, bool is_difference) {
    return fmt::format(" {} |", spread_text(spread, is_difference));
}

/// The rows of all captures; the first one is what the others are held against.
std::vector<std::string> row_names(const Sweep& sweep) {
    std::vector<std::string> names;
    for (const auto& capture : sweep.captures)
        for (const auto& row : capture.rows) add_new(names, row.name);
    return names;
}

size_t measured_captures(const Sweep& sweep, const std::string& name) {
    size_t count = 0;
    for (const auto& capture : sweep.captures) {
        const auto* row = find_row(capture, name);
        if (row && measured_runs(*row) > 0) ++count;
    }
    return count;
}

std::string lines_over_captures(const Sweep& sweep, const std::vector<Column>& columns) {
    const auto names = row_names(sweep);
    std::string text;
    for (const auto& name : names) {
        for (const auto& reference : {std::string(), names.front()}) {
            if (name == reference) continue;
            const bool is_difference = !reference.empty();
            text += is_difference ? std::string("| | difference | |")
                                  : fmt::format("| all | `{}` | on {} |", name,
                                                measured_captures(sweep, name));
            for (const auto& column : columns)
                text += cell(over_captures(sweep, column, name, reference), is_difference);
            text += "\n";
        }
    }
    return text;
}

std::string legend(const Sweep& sweep) {
    std::string text =
        "Each line is the mean ± standard deviation over the seeds of a row on a capture. "
        "`seconds` is all that a run took, its evaluation and attempts that were cut short "
        "included; `steps/s` is that of its training since it was started last.\n";
    const auto names = row_names(sweep);
    if (sweep.captures.size() > 1 && !names.empty())
        text += fmt::format(
            "\n`all`: the mean of the captures' means, on so many of them, ± the standard "
            "deviation over captures; "
            "`difference` is that to `{}`, paired by seed and frame within a capture. * "
            "significant: paired t-test over captures, from three on, at 5 %.\n",
            names.front());
    return text;
}

Json json_of(const AblationRow& row) {
    Json out = {{"name", row.name}};
    for (const auto& [split, metrics] : row.measured) {
        for (const auto& [metric, seeds] : metrics) {
            const auto spread = spread_of(seeds);
            out[split][metric] = {
                {"mean", spread.mean}, {"deviation", spread.deviation}, {"seeds", spread.seeds}};
        }
    }
    return out;
}

}  // namespace

bool is_sweep(const fs::path& folder) { return fs::exists(folder / "sweep.txt"); }

Sweep read_sweep(const fs::path& folder) {
    Sweep out;
    out.root = folder;
    const auto notes = folder / "sweep.txt";
    std::istringstream text(read_text(notes));
    for (std::string line; std::getline(text, line);) {
        if (!line.starts_with("capture: ")) continue;
        const auto name = line.substr(9);
        if (name.empty() || name[0] == '.' || name.find('/') != std::string::npos)
            throw Error(
                fmt::format("{}: expected the name of a capture, got '{}'", notes.string(), name));
        Ablation capture;
        capture.root = folder / name;
        if (is_ablation(capture.root)) capture = read_ablation(capture.root);
        for (auto& row : capture.rows)
            for (const auto& [seed, run] : row.runs) read_cost(run, seed, row);
        out.captures.push_back(std::move(capture));
    }
    if (out.captures.empty()) throw Error(fmt::format("{}: names no capture", notes.string()));
    return out;
}

std::string sweep_table(const Sweep& sweep) {
    const auto columns = table_columns(sweep);
    std::string text = fmt::format("# Sweep: {} captures\n\n{}\n| capture | row | seeds |",
                                   sweep.captures.size(), legend(sweep)),
                line = "|---|---|---|", pages;
    for (const auto& column : columns) {
        text += " " + column.title + " |";
        line += "---|";
    }
    text += "\n" + line + "\n";
    for (const auto& capture : sweep.captures) {
        const auto name = capture.root.filename().string();
        for (const auto& row : capture.rows) {
            text += fmt::format("| {} | `{}` | {} |", name, row.name, measured_runs(row));
            for (const auto& column : columns)
                text += cell(spread_of(measured_of(row, column.split, column.metric)), false);
            text += "\n";
        }
        if (capture.rows.empty()) text += fmt::format("| {} | not begun | 0 |\n", name);
        if (!capture.rows.empty())
            pages += fmt::format(
                "- {0}: [all metrics]({0}/table.md), [pictures and "
                "curves]({0}/report.html)\n",
                name);
    }
    if (sweep.captures.size() > 1) text += lines_over_captures(sweep, columns);
    return text + "\nEvery metric of every run is in table.csv, every mean in table.json.\n\n" +
           pages;
}

std::string sweep_csv(const Sweep& sweep) {
    const auto metrics = measured_columns(sweep);
    std::string text = "capture,row,seed";
    for (const auto& column : cost_columns()) text += "," + column.metric;
    for (const auto& column : metrics) text += "," + column.split + "." + column.metric;
    text += "\n";
    for (const auto& capture : sweep.captures) {
        for (const auto& row : capture.rows) {
            for (const auto& [seed, run] : row.runs) {
                text += fmt::format("{},{},{}", capture.root.filename().string(), row.name, seed);
                for (const auto* columns : {&cost_columns(), &metrics}) {
                    for (const auto& column : *columns) {
                        const auto& seeds = measured_of(row, column.split, column.metric);
                        const auto found = seeds.find(seed);
                        const bool is_there =
                            found != seeds.end() && std::isfinite(found->second.mean);
                        text += is_there ? fmt::format(",{}", found->second.mean) : ",";
                    }
                }
                text += "\n";
            }
        }
    }
    return text;
}

std::string sweep_json(const Sweep& sweep) {
    Json out = {{"captures", Json::array()}};
    for (const auto& capture : sweep.captures) {
        Json rows = Json::array();
        for (const auto& row : capture.rows) rows.push_back(json_of(row));
        out["captures"].push_back({{"name", capture.root.filename().string()}, {"rows", rows}});
    }
    return out.dump(2) + "\n";
}

}  // namespace fmgs
