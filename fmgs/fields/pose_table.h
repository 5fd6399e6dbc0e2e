#pragma once
/// θ_p: the poses of the training frames as parameters.
#include <fmgs/core/module.h>
#include <fmgs/core/parameter_group.h>
#include <fmgs/core/types.h>

namespace fmgs {

/// Poses as a file has them: [F,J,3] axis-angle, radians, the root first, and [F,3] metres.
struct PoseRows {
    torch::Tensor axis_angle, translation;
};

/// Where the poses of the training frames come from: derive from it for a source of your own (a
/// network over time, say).
class PoseSource : public Module, public ParameterGroups {
  public:
    using Module::Module;
    virtual int64_t size() const = 0;  ///< frames
    /// The pose of frame `index`. Error when out of range.
    virtual BodyPose forward(int64_t index) = 0;
    /// All of them, without gradient.
    virtual PoseRows rows();

  protected:
    /// Error when there is no such frame.
    void check_row(int64_t index) const;
};

class PoseTableImpl : public PoseSource {
  public:
    /// One row per frame, starting at the file's poses. Parameters: root [F,3] and joints
    /// [F,J-1,3], axis-angle in radians, translation [F,3] in metres, each a group of its own
    /// (pose_root, …).
    explicit PoseTableImpl(const std::vector<BodyPose>& poses);
    /// axis_angle: [F,J,3], translation: [F,3].
    PoseTableImpl(const torch::Tensor& axis_angle, const torch::Tensor& translation);
    int64_t size() const override { return translation_.size(0); }
    /// The learned pose of row `index`. Error when out of range.
    BodyPose forward(int64_t index) override;
    PoseRows rows() override;
    std::string parameter_group(const std::string& name) const override { return "pose_" + name; }
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    void keep(const torch::Tensor& axis_angle, const torch::Tensor& translation);

    torch::Tensor root_, joints_, translation_;
};
TORCH_MODULE(PoseTable);

}  // namespace fmgs
