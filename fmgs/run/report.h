#pragma once
/// What a run or an ablation came to, as one HTML page that opens without a network: curves,
/// pictures, tables, the options that are not the defaults, versions and warnings.
#include <fmgs/run/ablation.h>
#include <fmgs/run/page.h>
#include <fmgs/run/run_folder.h>

namespace fmgs {

/// Of a run, finished or not; what was not made is left out, with the command that makes it.
Page run_report(const RunFolder& folder);
/// Of an ablation: `table` (of ablation_table), the rows' pictures and curves, their options.
Page ablation_report(const Ablation& ablation, const std::string& table);

}  // namespace fmgs
