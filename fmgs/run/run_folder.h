#pragma once
/// One run is one folder: config.yaml, metrics.csv, timing.json, avatar.safetensors, poses.npz,
/// sheets/, checkpoints/, eval/, render/, influence/.
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace fmgs {

struct RunFolder {
    std::filesystem::path root;

    /// A folder for a new run. Error when it has checkpoints, unless `overwrite`: then all that
    /// runs write is removed first.
    static RunFolder create(const std::filesystem::path& root, bool overwrite = false);
    /// The folder of an earlier run. Error when it has no config.yaml.
    static RunFolder open(const std::filesystem::path& root);

    std::filesystem::path config() const { return root / "config.yaml"; }
    std::filesystem::path metrics() const { return root / "metrics.csv"; }
    std::filesystem::path timing() const { return root / "timing.json"; }
    std::filesystem::path avatar() const { return root / "avatar.safetensors"; }
    std::filesystem::path poses() const { return root / "poses.npz"; }
    std::filesystem::path sheets() const { return root / "sheets"; }
    std::filesystem::path checkpoints() const { return root / "checkpoints"; }
    std::filesystem::path eval() const { return root / "eval"; }
    std::filesystem::path render() const { return root / "render"; }
    std::filesystem::path influence() const { return root / "influence"; }
};

/// metrics.csv: a row per logged step. Resuming at step s drops the rows after s, so that the file
/// of a resumed run equals the file of one that never stopped.
class MetricsLog {
  public:
    /// Opens the file; rows of steps > resumed_step and a half-written last row are removed. Error
    /// when the file has other columns.
    MetricsLog(const std::filesystem::path& file, const std::vector<std::string>& columns,
               int64_t resumed_step = 0);
    /// One row, flushed. NaN is an empty cell. Error when the count differs or the disk is full.
    void add(int64_t step, const std::vector<double>& values);

  private:
    std::filesystem::path path_;
    size_t columns_;
    std::ofstream file_;
};

}  // namespace fmgs
