#pragma once
/// What a body is to the avatar: a template with skinning weights, and bones that move it.
#include <fmgs/core/mesh.h>
#include <fmgs/core/module.h>
#include <fmgs/core/parameter_group.h>
#include <fmgs/core/types.h>

namespace fmgs {

/// Any rig with linear blend skinning. Vertices and joints in metres; V vertices, J joints.
class Body : public Module, public ParameterGroups {
  public:
    using Module::Module;
    virtual int64_t joint_count() const = 0;
    /// [J] int64, parents[0] = -1, parents[j] < j
    virtual const torch::Tensor& parents() const = 0;
    virtual const torch::Tensor& joints() const = 0;   ///< [J,3] at rest
    virtual const torch::Tensor& shaped() const = 0;   ///< [V,3] template at rest
    virtual const torch::Tensor& weights() const = 0;  ///< [V,J] skinning, rows sum to one
    /// [J,4,4]: bone → rest. By default a bone at rest is at its joint and not turned.
    virtual torch::Tensor rest_bones() const;
    /// The template in the canonical pose, in which the surfels live.
    virtual Mesh canonical() const = 0;
    /// B: canonical → observed transforms [J,4,4], translation included. Differentiable in the
    /// pose.
    virtual torch::Tensor bones(const BodyPose& pose) const = 0;
    /// The template in this pose: [V,3]. By default the canonical one under its bones.
    virtual torch::Tensor posed(const BodyPose& pose) const;
    /// What the pose encoder reads: each joint's rotation relative to its parent [J,3,3]; those of
    /// the pose, or derived from its bones.
    virtual torch::Tensor local_rotations(const BodyPose& pose) const;
    /// A body's own parameters (learned betas, say) are of the group "network" unless it says
    /// otherwise.
    std::string parameter_group(const std::string& name) const override {
        return own_group(name, "network");
    }
};

/// [R | t] over (0 0 0 1): [N,3,3], [N,3] → [N,4,4].
torch::Tensor rigid(const torch::Tensor& rotation, const torch::Tensor& translation);

/// x' = (Σ_j w_j T_j) x. weights: [V,J]; transforms: [J,4,4]; points: [V,3]. Returns [V,3].
torch::Tensor skin(const torch::Tensor& weights, const torch::Tensor& transforms,
                   const torch::Tensor& points);

}  // namespace fmgs
