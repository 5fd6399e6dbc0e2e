#include <fmgs/eval/tables.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

namespace fmgs {
namespace {

/// A field of a CSV file (RFC 4180): in quotes where it holds what would end it.
std::string csv_field(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string out = "\"";
    for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
    return out + "\"";
}

/// All metric names of some rows, in order of appearance.
std::vector<std::string> names_of(const TableRows& rows) {
    std::vector<std::string> names;
    for (const auto& row : rows) {
        for (const auto& [name, value] : row.second) {
            if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
        }
    }
    return names;
}

std::string cell(const MetricValues& values, const Column& column) {
    const double value = column.factor * value_of(values, column.metric);
    if (std::isnan(value)) return "-";
    return column.digits < 0 ? fmt::format("{:.4g}", value)
                             : fmt::format("{:.{}f}", value, column.digits);
}

std::string latex_text(const std::string& text) {
    static const std::vector<std::pair<std::string, std::string>> kWords = {
        {"↑", "$\\uparrow$"}, {"↓", "$\\downarrow$"}, {"×", "$\\times$"}, {"°", "$^\\circ$"}};
    std::string out;
    for (size_t k = 0; k < text.size();) {
        const auto word = std::find_if(kWords.begin(), kWords.end(), [&](const auto& w) {
            return text.compare(k, w.first.size(), w.first) == 0;
        });
        if (word != kWords.end()) {
            out += word->second;
            k += word->first.size();
            continue;
        }
        const char c = text[k++];
        if (c == '\\')
            out += "\\textbackslash{}";
        else if (std::string("_%&#${}").find(c) != std::string::npos)
            (out += '\\') += c;
        else
            out += c;
    }
    return out;
}

}  // namespace

double value_of(const MetricValues& values, const std::string& name) {
    for (const auto& [key, value] : values) {
        if (key == name) return value;
    }
    return std::numeric_limits<double>::quiet_NaN();
}

MetricValues SplitMetrics::mean() const {
    MetricValues out;
    for (const auto& name : names_of(frames)) {
        double sum = 0;
        int64_t count = 0;
        for (const auto& [frame, values] : frames) {
            const double value = value_of(values, name);
            if (std::isnan(value)) continue;
            sum += value;
            ++count;
        }
        out.emplace_back(name, count ? sum / static_cast<double>(count) : std::nan(""));
    }
    out.insert(out.end(), whole.begin(), whole.end());
    return out;
}

std::string SplitMetrics::csv() const {
    const auto names = names_of(frames);
    std::string out = "frame";
    for (const auto& name : names) (out += ',') += csv_field(name);
    for (const auto& [frame, values] : frames) {
        (out += '\n') += csv_field(frame);
        for (const auto& name : names) {
            const double value = value_of(values, name);
            out += std::isnan(value) ? "," : fmt::format(",{:.6g}", value);
        }
    }
    return out + "\n";
}

std::string metrics_json(const std::vector<std::pair<std::string, SplitMetrics>>& splits) {
    auto json = nlohmann::ordered_json::object();
    for (const auto& [split, metrics] : splits) {
        auto& row = json[split] = nlohmann::ordered_json::object();
        for (const auto& [name, value] : metrics.mean())
            row[name] = value;  // NaN is written as null
    }
    return json.dump(2) + "\n";
}

std::vector<Column> all_columns(const TableRows& rows) {
    std::vector<Column> columns;
    for (const auto& name : names_of(rows)) columns.push_back({name, name, 1, -1});
    return columns;
}

std::string markdown_table(const TableRows& rows, const std::vector<Column>& columns) {
    std::string out = "| |", line = "|---|";
    for (const auto& column : columns) {
        out += " " + column.heading + " |";
        line += "---|";
    }
    out += "\n" + line + "\n";
    for (const auto& [title, values] : rows) {
        out += "| " + title + " |";
        for (const auto& column : columns) out += fmt::format(" {} |", cell(values, column));
        out += "\n";
    }
    return out;
}

std::string latex_table(const TableRows& rows, const std::vector<Column>& columns) {
    std::string out = "\\begin{tabular}{l" + std::string(columns.size(), 'r') + "}\n\\hline\n";
    for (const auto& column : columns) out += fmt::format(" & {}", latex_text(column.heading));
    out += " \\\\\n\\hline\n";
    for (const auto& [title, values] : rows) {
        out += latex_text(title);
        for (const auto& column : columns) out += fmt::format(" & {}", cell(values, column));
        out += " \\\\\n";
    }
    return out + "\\hline\n\\end{tabular}\n";
}

}  // namespace fmgs
