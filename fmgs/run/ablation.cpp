#include <fmgs/run/ablation.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/io/files.h>
#include <fmgs/losses/routes.h>
#include <fmgs/run/csv.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

using Json = nlohmann::ordered_json;

Spread spread_of(const std::vector<double>& values) {
    Spread out;
    const auto count = static_cast<double>(values.size());
    if (values.empty()) return out;
    out.mean = 0;
    for (const double value : values) out.mean += value / count;
    if (values.size() < 2) return out;
    double sum = 0;
    for (const double value : values) sum += (value - out.mean) * (value - out.mean);
    out.deviation = std::sqrt(sum / (count - 1));
    return out;
}

/// The differences of a seed: those of the frames that both have, or, of what frames do not have,
/// that of the means.
std::vector<double> differences(const Measured& a, const Measured& b) {
    std::vector<double> out;
    for (const auto& [frame, value] : a.frames) {
        const auto other = b.frames.find(frame);
        if (other != b.frames.end() && std::isfinite(value - other->second))
            out.push_back(value - other->second);
    }
    const bool has_frames = !a.frames.empty() && !b.frames.empty();
    if (!has_frames && std::isfinite(a.mean - b.mean)) out.push_back(a.mean - b.mean);
    return out;
}

/// Is a mean of `n` ≥ 3 differences further from 0 than chance explains? Quantiles of Student's
/// distribution at 0.975; beyond 10 degrees of freedom that of 10, which errs on the careful side.
bool is_significant(const Spread& spread, size_t n) {
    constexpr std::array kQuantiles = {4.303, 3.182, 2.776, 2.571, 2.447,
                                       2.365, 2.306, 2.262, 2.228};
    const double limit = kQuantiles[std::min(n - 3, kQuantiles.size() - 1)];
    return std::abs(spread.mean) * std::sqrt(static_cast<double>(n)) > limit * spread.deviation;
}

void read_metrics(const fs::path& run, int64_t seed, AblationRow& row, Ablation& out) {
    const auto file = run / "eval/metrics.json";
    if (!fs::exists(file)) return;
    const auto json = Json::parse(read_text(file), nullptr, /*allow_exceptions=*/false);
    if (!json.is_object())
        throw Error(fmt::format("{}: expected the metrics of splits, as `evaluate` writes them",
                                file.string()));
    const auto add_new = [](auto& list, const std::string& name) {
        if (std::find(list.begin(), list.end(), name) == list.end()) list.push_back(name);
    };
    for (const auto& [split, metrics] : json.items()) {
        if (!metrics.is_object()) continue;
        add_new(out.splits, split);
        const auto frames_file = run / "eval" / (split + ".csv");
        const auto frames = fs::exists(frames_file) ? read_csv(frames_file) : Csv{};
        for (const auto& [metric, value] : metrics.items()) {
            if (!value.is_number() && !value.is_null()) continue;
            add_new(out.metrics[split], metric);
            auto& measured = row.measured[split][metric][seed];
            measured.mean = value.is_number() ? value.get<double>() : NAN;
            const auto numbers = frames.numbers(metric);
            for (size_t k = 0; k < numbers.size(); ++k)
                if (std::isfinite(numbers[k])) measured.frames[frames.rows[k][0]] = numbers[k];
        }
    }
}

/// The runs of a row, and what they measured.
void read_row(AblationRow& row, Ablation& out) {
    static const std::regex kSeed("seed_([0-9]{1,9})");
    const auto folder = out.root / row.name;
    if (!fs::is_directory(folder)) return;
    for (const auto& entry : fs::directory_iterator(folder)) {
        std::smatch match;
        const auto name = entry.path().filename().string();
        if (std::regex_match(name, match, kSeed) && fs::exists(entry.path() / "config.yaml"))
            row.runs[std::stoll(match[1])] = entry.path();
    }
    for (const auto& [seed, run] : row.runs) {
        if (!row.options) row.options = stored_options(run / "config.yaml");
        read_metrics(run, seed, row, out);
    }
    out.seeds = std::max(out.seeds, row.runs.size());
}

/// Visits the terms of the losses for the columns that one of them states.
struct StatedReach {
    std::string term;
    std::vector<std::string> columns = {};

    template <class T>
    void group(const std::string& name, T& options, const std::string& = "") {
        if (name == term) columns = options.reaches;
    }
    template <class T>
    void others(std::map<std::string, T>& terms) {
        for (auto& [name, options] : terms) group(name, options);
    }
    void renamed(const std::string&, const std::string&) {}
};

/// What a term of these options may move; everything for one of the user's own without a row.
Reach reach_of(RunOptions options, const std::string& term) {
    StatedReach stated{term};
    options.objective.losses.visit(stated);
    if (!stated.columns.empty()) return Reach::of(stated.columns);
    return has_row(term) ? routing_table(options.objective.routing).reach(term)
                         : Reach::everything();
}

/// The maps that a change of this key can show in; nothing: any.
std::optional<std::set<std::string>> maps_of(const std::string& key, const RunOptions& a,
                                             const RunOptions& b) {
    static const std::regex kTerm(R"(losses\.([^.]+)\..*)");
    std::smatch match;
    if (!std::regex_match(key, match, kTerm)) return std::nullopt;
    std::set<std::string> maps;
    for (const auto* options : {&a, &b}) {
        const auto reach = reach_of(*options, match[1]);
        // Colour is made of the geometry's code as well, and a term without a column (skin) reads a
        // field.
        if (!reach.features_only() || reach.skinning || reach.all_features ||
            reach.features.empty() || reach.feature("color"))
            return std::nullopt;
        for (const auto& column : reach.features) maps.insert(column.substr(0, column.find('.')));
    }
    return maps;
}

}  // namespace

Spread spread_of(const MeasuredSeeds& row) {
    std::vector<double> values;
    for (const auto& [seed, measured] : row)
        if (std::isfinite(measured.mean)) values.push_back(measured.mean);
    auto out = spread_of(values);
    out.seeds = values.size();
    return out;
}

Spread paired_difference(const MeasuredSeeds& row, const MeasuredSeeds& reference) {
    std::vector<double> means, of_frames;
    for (const auto& [seed, measured] : row) {
        const auto other = reference.find(seed);
        if (other == reference.end()) continue;
        auto here = differences(measured, other->second);
        if (here.empty()) continue;
        means.push_back(spread_of(here).mean);
        of_frames = std::move(here);
    }
    auto out = means.size() == 1 ? spread_of(of_frames) : spread_of(means);
    out.seeds = means.size();
    out.significant = means.size() >= 3 && is_significant(out, means.size());
    return out;
}

RunOptions stored_options(const fs::path& file) {
    Config config;
    config.add_file(file.string());
    RunOptions options;
    config.read(options);
    return options;
}

Difference difference_of(const RunOptions& a, const RunOptions& b) {
    const auto here = flattened(a), there = flattened(b);
    std::set<std::string> names;
    for (const auto* side : {&here, &there})
        for (const auto& [key, value] : *side) names.insert(key);
    Difference out;
    out.maps = std::set<std::string>{};
    if (a.optim.clip > 0 || b.optim.clip > 0) out.maps.reset();
    for (const auto& key : names) {
        if (key == "output" || key == "train.seed") continue;
        const auto value = [&](const auto& side) {
            const auto found = side.find(key);
            return found == side.end() ? std::string("none") : found->second;
        };
        if (value(here) == value(there)) continue;
        out.keys.push_back({key, value(here), value(there)});
        const auto maps = maps_of(key, a, b);
        if (!maps)
            out.maps.reset();
        else if (out.maps)
            out.maps->insert(maps->begin(), maps->end());
    }
    if (out.keys.empty()) out.maps = std::set<std::string>{};
    return out;
}

bool is_ablation(const fs::path& folder) { return fs::exists(folder / "ablation.txt"); }

Ablation read_ablation(const fs::path& folder) {
    Ablation out;
    out.root = folder;
    std::istringstream notes(read_text(folder / "ablation.txt"));
    for (std::string line; std::getline(notes, line);) {
        if (!line.starts_with("row: ")) continue;
        const auto name = line.substr(5);
        if (name.empty() || name[0] == '.' || name.find('/') != std::string::npos)
            throw Error(fmt::format("{}: expected the name of a row, got '{}'",
                                    (folder / "ablation.txt").string(), name));
        out.rows.push_back({.name = name});
    }
    if (out.rows.empty())
        throw Error(fmt::format("{}: names no row", (folder / "ablation.txt").string()));
    for (auto& row : out.rows) read_row(row, out);
    return out;
}

std::vector<std::pair<std::string, fs::path>> ablation_pictures(const Ablation& ablation,
                                                                const std::string& split) {
    std::vector<std::pair<std::string, fs::path>> pictures;
    for (const auto& row : ablation.rows) {
        if (row.runs.empty()) continue;
        const auto file = row.runs.begin()->second / "eval" / (split + ".png");
        if (fs::exists(file)) pictures.emplace_back(row.name, file);
    }
    return pictures;
}

}  // namespace fmgs
