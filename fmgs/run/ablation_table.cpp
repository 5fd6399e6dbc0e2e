// The table of an ablation, as Markdown.
#include <fmgs/run/ablation.h>
#include <fmt/format.h>

#include <algorithm>

namespace fmgs {

namespace {

size_t measured_seeds(const AblationRow& row, const std::string& split) {
    size_t most = 0;
    const auto found = row.measured.find(split);
    if (found == row.measured.end()) return 0;
    for (const auto& [metric, seeds] : found->second) most = std::max(most, seeds.size());
    return most;
}

std::string table_of(const Ablation& ablation, const std::string& split) {
    const auto& metrics = ablation.metrics.at(split);
    const auto& reference = ablation.rows.front();
    std::string text = "| " + split + " | seeds |", line = "|---|---|";
    for (const auto& metric : metrics) {
        text += " " + metric + " |";
        line += "---|";
    }
    text += "\n" + line + "\n";
    for (const auto& row : ablation.rows) {
        text += fmt::format("| `{}` | {} |", row.name, measured_seeds(row, split));
        for (const auto& metric : metrics)
            text += " " + spread_text(spread_of(measured_of(row, split, metric)), false) + " |";
        text += "\n";
        if (&row == &reference) continue;
        text += "| difference | |";
        for (const auto& metric : metrics)
            text += " " +
                    spread_text(paired_difference(measured_of(row, split, metric),
                                                  measured_of(reference, split, metric)),
                                true) +
                    " |";
        text += "\n";
    }
    return text + "\n";
}

std::string legend(const Ablation& ablation) {
    std::string text = fmt::format(
        "Each row is the mean ± standard deviation over its seeds; `difference` is that to `{}`, "
        "paired: seed by seed, over the frames that both have, ± the standard deviation ",
        ablation.rows.front().name);
    text += ablation.seeds < 2 ? "over frames (one seed: it says nothing about others)."
                               : "over seeds (over frames where there is one seed).";
    text += ablation.seeds < 3 ? " Fewer than three seeds tell nothing about chance.\n"
                               : " * significant: paired t-test over seeds, from three on, at 5 %; "
                                 "of twenty such cells one is there by chance.\n";
    return text;
}

/// What two rows can differ in; empty where that is anything.
std::string limits_of(const AblationRow& a, const AblationRow& b, const Difference& difference) {
    if (difference.keys.empty())
        return fmt::format("- `{}` and `{}` have the same options: they are the same run\n", a.name,
                           b.name);
    if (!difference.maps) return {};
    std::string maps;
    for (const auto& map : *difference.maps) {
        maps += (maps.empty() ? "`" : ", `") + map + "`";
        if (map == "semantic") maps += " (miou)";
    }
    return fmt::format("- `{}` and `{}` can differ in {} alone: their losses reach nothing else\n",
                       a.name, b.name, maps);
}

/// A value in a cell: "|" would end it.
std::string cell_text(std::string text) {
    for (size_t k = text.find('|'); k != std::string::npos; k = text.find('|', k + 2))
        text.insert(k, "\\");
    return text;
}

std::string what_differs(const Ablation& ablation) {
    const auto& rows = ablation.rows;
    std::string text, limits;
    size_t pairs = 0;
    for (size_t k = 0; k < rows.size(); ++k) {
        if (!rows[k].options) {
            text += fmt::format("`{}` was not trained yet.\n\n", rows[k].name);
            continue;
        }
        for (size_t other = 0; other < k; ++other) {
            if (!rows[other].options) continue;
            const auto difference = difference_of(*rows[k].options, *rows[other].options);
            ++pairs;
            limits += limits_of(rows[other], rows[k], difference);
            if (other > 0) continue;
            text += fmt::format("| option | `{}` | `{}` |\n|---|---|---|\n", rows[k].name,
                                rows[0].name);
            for (const auto& [key, here, there] : difference.keys)
                text +=
                    fmt::format("| `{}` | `{}` | `{}` |\n", key, cell_text(here), cell_text(there));
            text += "\n";
        }
    }
    if (limits.empty() && pairs > 0) limits = "- any two rows can differ in every column\n";
    if (!limits.empty()) limits = "## What can differ\n\n" + limits + "\n";
    return limits + "## Options\n\n" + text;
}

}  // namespace

std::string spread_text(const Spread& spread, bool is_difference) {
    if (!std::isfinite(spread.mean)) return "-";
    const std::string sign = is_difference && spread.mean > 0 ? "+" : "";
    if (!std::isfinite(spread.deviation)) return sign + fmt::format("{:.4g}", spread.mean);
    const auto size = spread.deviation > 0 ? spread.deviation : std::abs(spread.mean) / 100;
    const int digits =
        size > 0 ? std::clamp(1 - static_cast<int>(std::floor(std::log10(size))), 0, 7) : 0;
    return sign + fmt::format("{:.{}f} ± {:.{}f}{}", spread.mean, digits, spread.deviation, digits,
                              spread.significant ? " *" : "");
}

const MeasuredSeeds& measured_of(const AblationRow& row, const std::string& split,
                                 const std::string& metric) {
    static const MeasuredSeeds kNone;
    const auto found = row.measured.find(split);
    if (found == row.measured.end()) return kNone;
    const auto values = found->second.find(metric);
    return values == found->second.end() ? kNone : values->second;
}

std::string ablation_table(const Ablation& ablation) {
    std::string text =
        fmt::format("# Ablation: {} rows\n\n{}\n", ablation.rows.size(), legend(ablation));
    for (const auto& split : ablation.splits) text += table_of(ablation, split);
    if (ablation.splits.empty()) text += "Nothing is measured yet.\n\n";
    return text + what_differs(ablation);
}

}  // namespace fmgs
