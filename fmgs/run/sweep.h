#pragma once
/// A sweep: captures × rows × seeds, as scripts/sweep.sh lays them out: FOLDER/sweep.txt, and for
/// each capture an ablation, FOLDER/CAPTURE.
#include <fmgs/run/ablation.h>

namespace fmgs {

/// The name under which the rows of a sweep have what their runs took, beside the splits:
///   steps_per_second  of the training since it was started last (timing.json)
///   seconds           from start to end, evaluation included, over all attempts
///   peak_gb           memory of the process, the most of any attempt
inline constexpr const char* kCost = "cost";

struct Sweep {
    std::filesystem::path root;
    std::vector<Ablation> captures;  ///< in their order; the folder is the name
};

bool is_sweep(const std::filesystem::path& folder);
/// Reads what is there; a capture that was not begun has no rows. Costs are those of the runs that
/// were measured. Error, with the file, for what is no sweep.
Sweep read_sweep(const std::filesystem::path& folder);

/// One table, a line for each capture and row: what a run took, and its means over seeds of the
/// metrics that one looks at first; then, over captures, each row's mean and its difference to the
/// first row. Markdown.
std::string sweep_table(const Sweep& sweep);
/// A line for each run, with every metric as SPLIT.METRIC; an empty cell where there is none.
std::string sweep_csv(const Sweep& sweep);
/// Everything by capture, row, split and metric: mean, deviation and number of seeds. JSON.
std::string sweep_json(const Sweep& sweep);

}  // namespace fmgs
