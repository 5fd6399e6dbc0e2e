#pragma once
/// Metrics by name, over pictures and splits, and as files.
#include <string>
#include <utility>
#include <vector>

namespace fmgs {

/// Metric → value, in order. NaN: it could not be measured.
using MetricValues = std::vector<std::pair<std::string, double>>;

/// The value of this name; NaN when there is none.
double value_of(const MetricValues& values, const std::string& name);

/// One split: rows of pictures, and what only the whole split has (miou).
struct SplitMetrics {
    std::vector<std::pair<std::string, MetricValues>> frames;  ///< name → values
    MetricValues whole;

    /// Mean of each metric over the pictures that have it (NaN left out), then `whole`.
    MetricValues mean() const;
    /// A header, then one row per picture.
    std::string csv() const;
};

/// {SPLIT: {metric: mean}}; NaN as null.
std::string metrics_json(const std::vector<std::pair<std::string, SplitMetrics>>& splits);

/// Titles (a split, or the bare template on it) with their metrics.
using TableRows = std::vector<std::pair<std::string, MetricValues>>;

/// A metric as a table shows it.
struct Column {
    std::string metric, heading;
    double factor = 1;
    int digits = 4;  ///< after the point; -1: four significant ones
};
/// Every metric of the rows under its own name, in order of appearance.
std::vector<Column> all_columns(const TableRows& rows);
/// Rows × columns; "-" where there is no value.
std::string markdown_table(const TableRows& rows, const std::vector<Column>& columns);
/// The same as a tabular of LaTeX that needs no package.
std::string latex_table(const TableRows& rows, const std::vector<Column>& columns);

}  // namespace fmgs
