#pragma once
/// A trained avatar against the pictures and exact maps of a split.
#include <fmgs/eval/metrics.h>
#include <fmgs/run/run.h>

#include <functional>

namespace fmgs {

struct SplitResult {
    std::string name;  ///< of the split; "SPLIT_fitted" where poses were fitted to its pictures
    SplitMetrics avatar;
    SplitMetrics bare;                      ///< the posed template without training
    torch::Tensor sheet;                    ///< [3,H,W] a few rows of maps
    torch::Tensor worst;                    ///< [3,H,W] the worst pictures; undefined: none
    std::vector<std::string> worst_frames;  ///< their names, the lowest PSNR first
    int64_t drawn = 0;                      ///< pictures that `seconds` counts
    double seconds = 0;                     ///< of drawing every map, networks included
};

/// Measures frames by evaluate_frame and by the presets of the options ("NAME@PRESET"), and beside
/// that, of the whole avatar:
///   miou    over the split; NaN when no loss trained labels
///   chamfer, p2s, f_1cm  the template carried along by its surfels against the true surface of the
///           frame (find_true_mesh; metres), where there is one
///   jitter  mean length of the second difference of the surfels' places from frame to frame,
///           metres, where a split has one camera and three frames; that of the bare template tells
///           how much of it is the motion's own
class Evaluator {
  public:
    /// Freezes the avatar. Error: an unknown preset, weights of LPIPS that cannot be read.
    Evaluator(Run& run, std::vector<std::string> presets, bool fit_test_poses = false);

    /// `progress` is called after each frame.
    SplitResult measure(const std::string& split, const std::function<void()>& progress = {});
    /// What is left out, and why; empty: nothing.
    std::string note() const;

  private:
    MetricValues measure(const Frame& frame, const Maps& rendered, const BodyPose& pose,
                         Confusion* confusion) const;
    void add_surface(const std::string& split, const Frame& frame, const BodyPose& pose,
                     const torch::Tensor& moved, SplitResult& out) const;
    void draw_worst(const FrameList& frames, const std::vector<BodyPose>& poses,
                    SplitResult& out) const;

    Run& run_;
    std::vector<std::string> presets_;
    bool fit_;
    LpipsNetworks networks_;
    SurfelSet untrained_{nullptr};
    Template template_;
};

/// For each train frame joint_mm and joint_mm_given: the mean distance of the joints, in the pose
/// that the run draws and in the one that the capture gave, from those of the file eval.true_poses,
/// whose rows are found by name or else by order. Error: no such file, a frame without a row.
SplitMetrics pose_errors(const Run& run);

}  // namespace fmgs
