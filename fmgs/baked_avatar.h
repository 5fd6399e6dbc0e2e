#pragma once
/// An avatar without networks: surfels with four bones each, whose dependence on the pose is
/// linear. bake() (fmgs/bake.h) makes one from a trained avatar.
#include <fmgs/avatar.h>

namespace fmgs {

/// How many bones move a baked surfel.
inline constexpr int64_t kBakedBones = 4;

/// The numbers of a baked avatar: N surfels, J joints, K components, P = 9(J-1) numbers of a pose.
/// An attribute row a [A+8] is, in this order: the offset from the centre, metres (A = 1: along the
/// face normal; A = 3: in canonical axes); the logarithm of the two scales; the turn of the frame,
/// axis-angle, radians; colour. In a pose it is
///   a = mean + Σ_k c_k · component_k,   c = projectionᵀ·vec(R_1 - I, …, R_{J-1} - I) + bias
/// with the joints' local rotations R (Body::local_rotations), row by row; the root's does not
/// count.
struct BakedParts {
    BodyModel body{nullptr};
    int64_t subdivisions = 0;   ///< of the template: N = faces · 4^subdivisions
    double far_side = 1;        ///< as Surfels::far_side
    bool mip = false;           ///< as Surfels::mip
    torch::Tensor center;       ///< [N,3] canonical, metres
    torch::Tensor frame;        ///< [N,3,3] columns t_u, t_v, n
    torch::Tensor opacity;      ///< [N,1] in [0,1]
    torch::Tensor bone_index;   ///< [N,4] int64, joints
    torch::Tensor bone_weight;  ///< [N,4] rows sum to one
    torch::Tensor labels;       ///< [N] int64 class of each surfel, below 255; undefined: none
    torch::Tensor mean;         ///< [N,A+8]
    torch::Tensor components;   ///< [K,N,A+8]
    torch::Tensor projection;   ///< [P,K]
    torch::Tensor bias;         ///< [K]

    /// Error that names what does not fit or is not finite.
    void check() const;
    /// The tensors above by their names; labels only where there are some.
    TensorDict tensors() const;
};

/// vec(R_1 - I, …, R_{J-1} - I) [P] of a pose: what a baked avatar's attributes are linear in.
torch::Tensor pose_numbers(const Body& body, const BodyPose& pose);

class BakedAvatarImpl : public Module {
  public:
    /// Error as in BakedParts::check.
    explicit BakedAvatarImpl(const BakedParts& parts);
    /// The surfels in the world, with the features color [N,3] in [0,1] and, with labels, semantic
    /// [N,classes], one-hot.
    PosedSurfels forward(const BodyPose& pose) const;
    /// The canonical surfels that this pose asks for, and its bones. forward() is what their
    /// posed() is; on the CPU, where no gradient is asked for, in one pass.
    Surfels surfels(const BodyPose& pose) const;
    /// The mean surfels in the canonical pose: posed() leaves them where they are.
    Surfels canonical() const;
    /// c [K] of a pose.
    torch::Tensor coefficients(const BodyPose& pose) const;
    /// The same avatar with the first `count` of its components: what bake() makes of that many.
    std::shared_ptr<BakedAvatarImpl> with_components(int64_t count) const;

    int64_t size() const { return parts_.center.size(0); }
    int64_t component_count() const { return parts_.bias.size(0); }
    const BodyModel& body() const { return parts_.body; }
    /// The mesh whose face i surfel i lies on, in the canonical pose, with skinning weights.
    Template shape() const { return canonical_template(*parts_.body, parts_.subdivisions); }
    /// The numbers themselves; they alias the module.
    const BakedParts& parts() const { return parts_; }
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    Surfels with_attributes(const torch::Tensor& attributes, const torch::Tensor& bones) const;

    BakedParts parts_;                 // its tensors are buffers
    torch::Tensor skinning_, labels_;  // buffers: [N,J] of the four bones; [N,classes] one-hot
};
TORCH_MODULE(BakedAvatar);

}  // namespace fmgs
