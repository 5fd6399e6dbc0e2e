#pragma once
/// Tables that a run wrote: metrics.csv, gradients.csv, eval/SPLIT.csv.
#include <filesystem>
#include <string>
#include <vector>

namespace fmgs {

struct Csv {
    std::vector<std::string> columns;
    std::vector<std::vector<std::string>> rows;  ///< as many cells as there are columns

    /// The numbers of a column, one per row; NaN for an empty cell and for what is no number. Empty
    /// when there is no such column.
    std::vector<double> numbers(const std::string& column) const;
};

/// Reads a table whose first line names the columns; cells may be in double quotes. A last line
/// that is not ended, which a run that was killed may leave, is left out. Error, with file and
/// line, for a row of another length.
Csv read_csv(const std::filesystem::path& file);

}  // namespace fmgs
