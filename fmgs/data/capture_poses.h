#pragma once
/// Poses of a capture that come frame by frame, or as rotations about another point than SMPL's.
#include <fmgs/core/body_model.h>
#include <fmgs/data/pose_file.h>

#include <memory>

namespace fmgs {

/// Where the body's joints rest, which SMPL's translation refers to: x = R(v − J0) + J0 + transl.
/// The body file is read when it is first needed.
class RestJoints {
  public:
    explicit RestJoints(std::string body_file) : file_(std::move(body_file)) {}

    bool has_body() const { return !file_.empty(); }
    /// Error, naming `asker`, when data.body is not set; of read_body.
    const std::shared_ptr<const BodyData>& body(const std::string& asker) const;
    /// [J,3] double, of the body with these betas [b]. Error, naming `asker`, when data.body is not
    /// set.
    torch::Tensor joints(const torch::Tensor& betas, const std::string& asker) const;
    /// [3] double, joint 0.
    torch::Tensor root(const torch::Tensor& betas, const std::string& asker) const;
    /// The betas, of `count` at most, with which the body's joints rest at `joints` [J,3] up to a
    /// translation, and the distance that remains, metres.
    std::pair<torch::Tensor, double> betas_of(const torch::Tensor& joints, int64_t count,
                                              const std::string& asker) const;

  private:
    std::string file_;
    mutable std::shared_ptr<const BodyData> body_;
    mutable torch::Tensor rest_, directions_;  // [J,3], [J,3,B] double
};

/// read_pose_file with the body where the file needs one: bone matrices are turned into rotations
/// of its joints.
PoseFile read_poses(const std::filesystem::path& file, const RestJoints& rest);

/// A pose as a file of one frame has it.
struct SourcePose {
    torch::Tensor angles;  ///< [3J] double, axis-angle, the root first
    /// [3] double, world, metres: where joint 0 is, or SMPL's translation
    torch::Tensor place;
    torch::Tensor betas;         ///< [b] double, or undefined
    torch::Tensor expression{};  ///< [E], or undefined
};

/// Rows of one split, with SMPL's transl; `place`: what theirs is, kSmpl or kRoot. Betas are the
/// mean over the frames.
PoseFile pose_rows(const std::vector<SourcePose>& poses, Place place, const RestJoints& rest,
                   const std::string& asker);

/// The same poses with SMPL's transl, whatever their file's translations are the place of. The body
/// is read only where they are something else.
PoseFile with_smpl_transl(const PoseFile& poses, const RestJoints& rest, const std::string& asker);

/// Axis-angle [3] of R(first)·R(second).
torch::Tensor turn_after(const torch::Tensor& first, const torch::Tensor& second);
/// A pose in EasyMocap's form, SMPL's `angles` [3J] turned by Rh about the origin of a body whose
/// joint 0 rests at `rest` and moved by Th, as a pose whose place is joint 0. All [3] double.
SourcePose pose_of_rh_th(const torch::Tensor& angles, const torch::Tensor& Rh,
                         const torch::Tensor& Th, const torch::Tensor& rest,
                         const torch::Tensor& betas);

}  // namespace fmgs
