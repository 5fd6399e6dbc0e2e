#pragma once
/// An ablation: rows that differ in their options, each trained with some seeds, as
/// scripts/ablate.sh lays them out: FOLDER/ablation.txt, FOLDER/ROW/seed_N.
#include <fmgs/run/options.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

namespace fmgs {

/// One metric of one run: its mean over a split, and its values of the frames by name, where it has
/// any.
struct Measured {
    double mean = NAN;
    std::map<std::string, double> frames = {};
};
/// By seed.
using MeasuredSeeds = std::map<int64_t, Measured>;

/// A mean, and how far it spreads; NaN where there is too little.
struct Spread {
    double mean = NAN;
    double deviation = NAN;  ///< standard deviation, n - 1
    size_t seeds = 0;
    bool significant = false;  ///< of a difference
};

/// Mean and standard deviation over the seeds.
Spread spread_of(const MeasuredSeeds& row);
/// row - reference. It is paired: of each seed that both have, the mean over the frames that both
/// have. The deviation is that over seeds; with one seed, over its frames. Significant: from three
/// seeds on, by Student's t-test on the seeds' differences, two-sided, 5 %.
Spread paired_difference(const MeasuredSeeds& row, const MeasuredSeeds& reference);

/// "36.72 ± 0.11 *", to two digits of the deviation; a difference has its sign; "-" where nothing
/// was measured.
std::string spread_text(const Spread& spread, bool is_difference);

/// What two rows can differ in, derived from their options and the routing table.
struct Difference {
    struct Key {
        std::string key, here, there;
    };
    std::vector<Key> keys;  ///< options that are not the same, as YAML
    /// Maps outside of which nothing can differ; none: anything can. Only where terms on features
    /// differ, which reach nothing but a modality's own field, and no common norm of gradients is
    /// clipped.
    std::optional<std::set<std::string>> maps;
};
Difference difference_of(const RunOptions& a, const RunOptions& b);

struct AblationRow {
    std::string name;
    std::map<int64_t, std::filesystem::path> runs = {};  ///< by seed: those that have a config.yaml
    std::optional<RunOptions> options = {};              ///< of its first run
    /// split → metric → what was measured
    std::map<std::string, std::map<std::string, MeasuredSeeds>> measured = {};
};

/// What a row measured of a split; empty where it has nothing of the kind.
const MeasuredSeeds& measured_of(const AblationRow& row, const std::string& split,
                                 const std::string& metric);

struct Ablation {
    std::filesystem::path root;
    std::vector<AblationRow> rows;                            ///< the first one is the reference
    std::vector<std::string> splits;                          ///< in the order of evaluation
    std::map<std::string, std::vector<std::string>> metrics;  ///< of a split, in their order
    size_t seeds = 0;                                         ///< most of any row
};

bool is_ablation(const std::filesystem::path& folder);
/// Reads what is there: rows that are not trained yet have no runs. Error, with the file, for what
/// is no ablation.
Ablation read_ablation(const std::filesystem::path& folder);

/// A table for each split: the rows' means ± deviations, and under each its difference to the
/// reference; then what rows can differ in. Markdown.
std::string ablation_table(const Ablation& ablation);
/// The first run's pictures of a split for each row: name → file; rows without one are left out.
std::vector<std::pair<std::string, std::filesystem::path>> ablation_pictures(
    const Ablation& ablation, const std::string& split);

/// A configuration file as it stands, whatever devices this machine has.
RunOptions stored_options(const std::filesystem::path& config);

}  // namespace fmgs
