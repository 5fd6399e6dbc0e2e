#pragma once
/// Which learning rate a parameter takes is said by the module that owns it, never guessed from a
/// name.
#include <torch/nn/module.h>

#include <string>
#include <vector>

namespace fmgs {

/// What a module that owns parameters also is. The groups are the learning rates of OptimOptions
/// (train/optim.h): volume, feature_volume, network, skinning, skinning_table, blendshapes, betas,
/// light, pose_root, pose_joints, pose_translation, picture_encoder, scale, opacity, offset, turn,
/// loss.
class ParameterGroups {
  public:
    virtual ~ParameterGroups() = default;
    /// The group of the parameter of this dotted name, seen from this module ("volume.table");
    /// empty: the submodule that it lies in says. The outermost module that answers is heard.
    virtual std::string parameter_group(const std::string& name) const = 0;
};

/// The answer of a module that names a group for its own parameters and lets its submodules speak
/// for theirs.
inline std::string own_group(const std::string& name, const std::string& group) {
    return name.find('.') == std::string::npos ? group : "";
}

/// A parameter with its dotted name and its group.
struct Parameter {
    std::string name, group;
    torch::Tensor tensor;
};

/// The parameters of a module, `prefix` in front of their names. Error naming the first that no
/// module gives a group.
std::vector<Parameter> grouped_parameters(const torch::nn::Module& module,
                                          const std::string& prefix = "");

}  // namespace fmgs
