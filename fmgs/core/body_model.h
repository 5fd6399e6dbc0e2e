#pragma once
/// A skinned body in SMPL's key layout: shape, joints, bones, linear blend skinning. Any number of
/// joints and vertices.
#include <fmgs/core/body.h>
#include <fmgs/core/io/npz.h>

namespace fmgs {

/// The arrays of a body file. Checked by BodyModel's constructor.
struct BodyData {
    torch::Tensor vertices;          ///< [V,3] v_template, metres, T-pose
    torch::Tensor faces;             ///< [F,3] int64
    torch::Tensor weights;           ///< [V,J] skinning, rows sum to one
    torch::Tensor joint_regressor;   ///< [J,V]
    torch::Tensor parents;           ///< [J] int64, parents[0] = -1, parents[j] < j
    torch::Tensor shape_directions;  ///< [V,3,B], B may be 0
    torch::Tensor pose_directions;   ///< [V,3,9(J-1)] or undefined
    /// [V,3,E] of SMPL-X and FLAME, or undefined; kept, nothing uses them
    torch::Tensor expression_directions{};
    /// [J,3,3] how a rig's bones are turned at rest; undefined: they have no turns of their own
    torch::Tensor rest_rotations{};
};

/// Throws the Error that names the first thing wrong with `body`: shapes, indices, values that are
/// not finite, weights or regressor rows that do not sum to one, a parent that does not come before
/// its child.
void check_body(const BodyData& body);

/// Reads v_template, f, weights, J_regressor, kintree_table, shapedirs, posedirs from an .npz.
/// Error: missing key, wrong shape, index out of range, not finite, broken tree; the message names
/// file and key.
BodyData read_body(const std::filesystem::path& file);
void write_body(const std::filesystem::path& file, const BodyData& body);

/// The shaped body (betas fixed at construction) and its kinematics.
class BodyModelImpl : public Body {
  public:
    /// betas: [b], b ≤ B (missing ones are zero). `star_degrees`: how far each leg is spread in the
    /// canonical pose; bodies without legs in SMPL's numbering (core/joints.h) have the T-pose as
    /// their canonical pose.
    BodyModelImpl(const BodyData& data, const torch::Tensor& betas, double star_degrees = 30);
    /// The body whose buffers these are, by name (core/named_tensors.h), as an avatar file holds
    /// them. Error: one is missing, does not fit the others or is not finite.
    explicit BodyModelImpl(const TensorDict& buffers);

    int64_t joint_count() const override { return parents_.size(0); }
    const torch::Tensor& betas() const { return betas_; }  ///< [b], as given
    /// Template in the T-pose, [V,3].
    const torch::Tensor& shaped() const override { return shaped_; }
    /// Template in the canonical star pose: legs turned ±star_degrees about z under their skinning
    /// weights.
    Mesh canonical() const override;
    const torch::Tensor& faces() const { return faces_; }
    const torch::Tensor& weights() const override { return weights_; }  ///< [V,J]
    /// [J,3] rest joints of the shaped body
    const torch::Tensor& joints() const override { return joints_; }
    const torch::Tensor& parents() const override { return parents_; }  ///< [J] int64
    torch::Tensor rest_bones() const override;

    /// B: canonical → observed transforms [J,4,4] = A_j(θ)·C_j⁻¹, translation added; A are the
    /// pose's bones where it has them. Differentiable in the pose, whose dtype the result has.
    torch::Tensor bones(const BodyPose& pose) const override;
    /// The shaped template under exact LBS, without pose blend shapes: [V,3].
    torch::Tensor posed(const BodyPose& pose) const override { return posed(pose, false); }
    /// With them, if the body has any and `blend_shapes` is true.
    torch::Tensor posed(const BodyPose& pose, bool blend_shapes) const;
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    void keep(const TensorDict& buffers);
    /// A: T-pose → observed [J,4,4], translation included.
    torch::Tensor skeleton(const BodyPose& pose) const;

    // buffers
    torch::Tensor betas_, shaped_, faces_, weights_, joints_, parents_, pose_directions_,
        rest_rotations_, canonical_inverse_;
    int64_t depth_ = 1;  // joints on the longest way from the root
};
TORCH_MODULE(BodyModel);

/// SMPL's axis-angle parameters → BodyPose. global_orient [3], body_pose [3(J-1)] (shorter: missing
/// joints are zero), transl [3].
BodyPose smpl_pose(const torch::Tensor& global_orient, const torch::Tensor& body_pose,
                   const torch::Tensor& transl, int64_t joint_count);

}  // namespace fmgs
