#pragma once
/// One run is one folder: config.yaml, history.txt, metrics.csv, gradients.csv, timing.json,
/// avatar.safetensors, poses.npz, template.obj, template.png, report.html, sheets/, checkpoints/,
/// eval/, render/, influence/.
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

namespace fmgs {

struct RunFolder {
    std::filesystem::path root;
    bool is_new = false;     ///< of a run that has not begun: create()
    bool overwrite = false;  ///< begin() removes what an earlier run wrote here
    /// shared by all copies: while one is there, no other process trains in the folder
    std::shared_ptr<void> lock = nullptr;

    /// A folder for a new run; nothing is made or removed before begin(). Error when it has the
    /// checkpoints of an earlier run, unless `overwrite`, and always when a file of which a run
    /// would take the place was not written by one.
    static RunFolder create(const std::filesystem::path& root, bool overwrite = false);
    /// The folder of an earlier run. Error when it has no config.yaml.
    static RunFolder open(const std::filesystem::path& root);

    /// Makes the folder, locks it and, with `overwrite`, removes what runs write there and nothing
    /// else. Error when another process trains in it.
    void begin();

    std::filesystem::path config() const { return root / "config.yaml"; }
    std::filesystem::path history() const { return root / "history.txt"; }
    std::filesystem::path metrics() const { return root / "metrics.csv"; }
    std::filesystem::path gradients() const { return root / "gradients.csv"; }
    std::filesystem::path timing() const { return root / "timing.json"; }
    std::filesystem::path avatar() const { return root / "avatar.safetensors"; }
    std::filesystem::path poses() const { return root / "poses.npz"; }
    std::filesystem::path template_mesh() const { return root / "template.obj"; }
    std::filesystem::path template_picture() const { return root / "template.png"; }
    std::filesystem::path pose_encoder() const { return root / "pose_encoder.safetensors"; }
    std::filesystem::path report() const { return root / "report.html"; }
    std::filesystem::path sheets() const { return root / "sheets"; }
    std::filesystem::path checkpoints() const { return root / "checkpoints"; }
    std::filesystem::path eval() const { return root / "eval"; }
    std::filesystem::path render() const { return root / "render"; }
    std::filesystem::path influence() const { return root / "influence"; }
};

/// The first line of a config.yaml that a run wrote.
inline constexpr const char* kRunConfigHead = "# Every option of this run, written by it\n";

/// metrics.csv: a row per logged step. Resuming at step s drops the rows after s, so that the file
/// of a resumed run equals the file of one that never stopped.
class MetricsLog {
  public:
    /// Opens the file; rows of steps > resumed_step and a half-written last row are removed.
    /// Columns that only the file has stay and are empty from here on; new ones come last. Error
    /// when it is no such file.
    MetricsLog(const std::filesystem::path& file, const std::vector<std::string>& columns,
               int64_t resumed_step = 0);
    /// One row, flushed. NaN is an empty cell. Error when the count differs or the disk is full.
    void add(int64_t step, const std::vector<double>& values);

  private:
    std::filesystem::path path_;
    std::vector<size_t> places_;  // of the values among the cells of a row
    size_t cells_ = 0;
    std::ofstream file_;
};

}  // namespace fmgs
