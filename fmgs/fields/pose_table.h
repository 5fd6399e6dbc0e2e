#pragma once
/// θ_p: the poses of the training frames as parameters.
#include <fmgs/core/parameter_group.h>
#include <fmgs/core/types.h>
#include <torch/nn/module.h>

namespace fmgs {

class PoseTableImpl : public torch::nn::Module, public ParameterGroups {
  public:
    /// One row per frame, starting at the file's poses. Parameters: axis_angle [F,J,3], translation
    /// [F,3].
    explicit PoseTableImpl(const std::vector<BodyPose>& poses);
    int64_t size() const { return translation_.size(0); }
    /// The learned pose of row `index`. Error when out of range.
    BodyPose forward(int64_t index);
    std::string parameter_group(const std::string&) const override { return "pose"; }

  private:
    torch::Tensor axis_angle_, translation_;
};
TORCH_MODULE(PoseTable);

}  // namespace fmgs
