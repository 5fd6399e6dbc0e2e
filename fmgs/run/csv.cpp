#include <fmgs/run/csv.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace fmgs {

namespace {

double number_of(const std::string& cell) {
    double value = 0;
    const auto* end = cell.data() + cell.size();
    const auto parsed = std::from_chars(cell.data(), end, value);
    return parsed.ec == std::errc() && parsed.ptr == end && !cell.empty() ? value : NAN;
}

/// The rows of a text, the columns first. A quote that is not closed takes the rest with it.
std::vector<std::vector<std::string>> rows_of(const std::string& text) {
    std::vector<std::vector<std::string>> rows;
    std::vector<std::string> cells(1);
    bool quoted = false;
    for (size_t k = 0; k < text.size(); ++k) {
        const char c = text[k];
        if (c == '"' && quoted && k + 1 < text.size() && text[k + 1] == '"') {
            cells.back() += text[++k];
        } else if (c == '"') {
            quoted = !quoted;
        } else if (c == ',' && !quoted) {
            cells.emplace_back();
        } else if (c == '\n' && !quoted) {
            rows.push_back(std::move(cells));
            cells.assign(1, {});
        } else if (c != '\r' || quoted) {
            cells.back() += c;
        }
    }
    return rows;
}

}  // namespace

std::vector<double> Csv::numbers(const std::string& column) const {
    const auto found = std::find(columns.begin(), columns.end(), column);
    if (found == columns.end()) return {};
    const auto at = static_cast<size_t>(found - columns.begin());
    std::vector<double> values;
    for (const auto& row : rows) values.push_back(number_of(row[at]));
    return values;
}

Csv read_csv(const std::filesystem::path& file) {
    auto rows = rows_of(read_text(file));
    if (rows.empty())
        throw Error(fmt::format("{}: expected a line that names the columns", file.string()));
    Csv table;
    table.columns = std::move(rows.front());
    for (size_t k = 1; k < rows.size(); ++k) {
        if (rows[k].size() != table.columns.size())
            throw Error(fmt::format("{}:{}: expected {} cells, got {}", file.string(), k + 1,
                                    table.columns.size(), rows[k].size()));
        table.rows.push_back(std::move(rows[k]));
    }
    return table;
}

}  // namespace fmgs
