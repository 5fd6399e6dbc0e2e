#pragma once
/// What the tables of published papers measure.
#include <fmgs/eval/tables.h>

namespace fmgs {

/// One table: which pictures, which evaluators, which columns.
struct Protocol {
    std::string name, title;
    std::vector<std::string> splits;
    /// A row for each of these and each split; the preset "clean" gives metrics without a suffix.
    std::vector<std::string> presets;
    std::vector<Column> columns;  ///< metrics without a preset's suffix
    bool bare_template;           ///< a row for it, too
};

/// Error naming the nearest when there is none.
const Protocol& protocol(const std::string& name);

/// The rows of a protocol from those of all metrics: "TITLE" becomes "TITLE, PRESET" for each of
/// the protocol's presets where there are several. `bare`: rows of the bare template.
TableRows protocol_rows(const Protocol& protocol, const TableRows& rows, const TableRows& bare);

}  // namespace fmgs
