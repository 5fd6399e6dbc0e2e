#pragma once
/// Adam over named parameters, with a learning rate per group.
#include <fmgs/core/config/range.h>
#include <fmgs/core/config/schedule.h>
#include <fmgs/core/parameter_group.h>
#include <fmgs/core/tensor_dict.h>

#include <optional>

namespace fmgs {

/// Learning rates. What decays is multiplied by decay^progress over the run.
struct OptimOptions {
    Schedule volume = 2e-2;            ///< V_g, V_c
    Schedule feature_volume = 5e-2;    ///< V_s and those of other modalities
    Schedule network = 2e-3;           ///< every MLP and the pose encoder
    Schedule skinning = 1e-4;          ///< the skinning field
    Schedule skinning_table = 1e-2;    ///< logits of the skinning table
    Schedule blendshapes = 1e-5;       ///< what is learned of blendshapes, metres
    Schedule betas = 1e-2;             ///< learned shape coefficients
    Schedule light = 5e-2;             ///< log-radiance of a learned light
    Schedule pose_root = 2e-3;         ///< root orientations of the pose table
    Schedule pose_joints = 2e-3;       ///< its other joints
    Schedule pose_translation = 2e-3;  ///< its translations
    Schedule picture_encoder = 1e-4;   ///< what reads poses off pictures
    Schedule scale = 5e-3;             ///< log-scale of the surfels, no decay
    Schedule opacity = 1e-2;           ///< opacity logit of the surfels, no decay
    Schedule offset = 5e-4;            ///< position of free surfels
    Schedule turn = 1e-3;              ///< rotation of free surfels
    Schedule loss = 2e-3;              ///< what losses own
    double decay = 0.1;
    bool follow_batch = true;  ///< times √batch, but for single poses
    double clip = 0;  ///< largest global norm of all gradients but the surfels' own; 0: no clipping

    template <class V>
    void visit(V& v) {
        v("volume", volume, Range::at_least(0),
          "learning rate of the geometry and appearance volumes");
        v("feature_volume", feature_volume, Range::at_least(0),
          "learning rate of the volumes of semantics and other modalities");
        v("network", network, Range::at_least(0), "learning rate of the networks");
        v("skinning", skinning, Range::at_least(0), "learning rate of the skinning field");
        v("skinning_table", skinning_table, Range::at_least(0),
          "learning rate of the skinning table: logits of a step");
        v("blendshapes", blendshapes, Range::at_least(0),
          "learning rate of what is learned of the blendshapes: metres of a step (HRAvatar: 1e-6)");
        v("betas", betas, Range::at_least(0), "learning rate of learned shape coefficients");
        v("light", light, Range::at_least(0),
          "learning rate of a learned light: log-radiance of a step");
        v("pose_root", pose_root, Range::at_least(0),
          "learning rate of the root orientation of learned poses: radians of a step");
        v("pose_joints", pose_joints, Range::at_least(0),
          "learning rate of the other joints of learned poses: radians of a step");
        v("pose_translation", pose_translation, Range::at_least(0),
          "learning rate of the translation of learned poses: metres of a step");
        v.renamed("pose", "pose_joints");
        v("picture_encoder", picture_encoder, Range::at_least(0),
          "learning rate of the encoder that reads poses off pictures");
        v("scale", scale, Range::at_least(0),
          "learning rate of the surfels' log-scale, without decay");
        v("opacity", opacity, Range::at_least(0),
          "learning rate of the surfels' opacity logit, without decay");
        v("offset", offset, Range::at_least(0), "learning rate of the position of free surfels");
        v("turn", turn, Range::at_least(0), "learning rate of the rotation of free surfels");
        v("loss", loss, Range::at_least(0), "learning rate of parameters that losses own");
        v("decay", decay, Range::more_than(0),
          "factor on the other learning rates at the end of the run, reached exponentially");
        v("follow_batch", follow_batch,
          "learning rates, but those of poses of a table, grow with the root of train.batch");
        v("clip", clip, Range::at_least(0),
          "largest global gradient norm of networks and volumes; 0 does not clip");
    }

    /// The rate of a group (core/parameter_group.h) at `progress` in [0,1]. Error naming the groups
    /// when there is none of this name.
    double rate(const std::string& group, double progress) const;
};

/// Textbook Adam (β 0.9 and 0.999, ε 1e-15), one multi-threaded pass over memory per parameter; the
/// same bits for any number of threads. ε is that small for gradients that are: that of a skinning
/// table's logit has its weight as a factor, and with ε 1e-8 a weight of 1e-5 would stay asleep. A
/// parameter without a gradient is skipped and its step count stays. So is each row of a pose
/// table, the groups pose_…, whose gradient is all zero: a frame that a step does not draw keeps
/// its pose, its moments and its own step count.
///   m ← β₁m + (1-β₁)g,  v ← β₂v + (1-β₂)g²,  p ← p - lr · (m/(1-β₁ᵗ)) / (√(v/(1-β₂ᵗ)) + ε)
class Optimizer {
  public:
    /// Only those that require a gradient take part. The gradients are means over `batch` frames
    /// (optim.follow_batch). Error: a group that has no rate.
    Optimizer(const std::vector<Parameter>& parameters, const OptimOptions& options,
              int64_t batch = 1);

    /// One update. When any gradient is not finite nothing changes, and the first such parameter's
    /// name is returned.
    std::optional<std::string> step(double progress);
    void zero_grad();

    /// The same on a GPU without waiting for it: ATen's fused Adam, and nothing is read back. When
    /// `loss` or a gradient is not finite nothing changes, nor does it in any later step;
    /// take_skipped() tells. `counts`: not for what is a part of a step that counts itself.
    void step_unchecked(double progress, const torch::Tensor& loss, bool counts = true);
    /// Unchecked steps that count and changed nothing since the last call: reads back. 0: all is
    /// well.
    int64_t take_skipped();

    /// The moments and step counts (reads back those of unchecked steps), NAME.first, NAME.second
    /// and NAME.steps [1] int64, of pose tables [F]. They alias the optimizer: copying into them
    /// (see checkpoint.h) restores it.
    TensorDict state();

  private:
    struct Slot {
        std::string name, group;
        torch::Tensor parameter, first, second;
        torch::Tensor steps;       // [1] int64 on the CPU; by row [F] beside the parameter
        bool surfel;               // its own gradient is never clipped
        bool by_row;               // rows of frames: each is stepped when it has a gradient
        torch::Tensor live_steps;  // [] float on the device: `steps` while steps go unchecked
    };

    void read_steps();  // of unchecked steps
    double rate_of(const Slot& slot, double progress) const;
    void update(Slot& slot, const torch::Tensor& gradient, double rate, double factor);

    OptimOptions options_;
    double batch_factor_;  // on the rates of all but rows
    std::vector<Slot> slots_;
    // [] float on the device: 1 from the first bad step on; how many
    torch::Tensor stopped_, skipped_;
};

}  // namespace fmgs
