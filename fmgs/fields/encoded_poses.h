#pragma once
/// θ_p read off the pictures: a source of poses for frames with a picture each.
#include <fmgs/fields/pose_correction.h>
#include <fmgs/fields/pose_table.h>

#include <functional>

namespace fmgs {

/// The file's poses, each corrected by what its picture shows. One network serves all frames, those
/// that it was not trained on as well.
class EncodedPosesImpl : public PoseSource {
  public:
    /// The picture [3,S,S] of frame k; asked for once, when the frame's pose is.
    using PictureOf = std::function<torch::Tensor(int64_t k)>;
    /// Error: no poses, no pictures, no correction.
    EncodedPosesImpl(std::vector<BodyPose> poses, PictureOf picture,
                     std::shared_ptr<PoseCorrectionImpl> correction);
    int64_t size() const override { return static_cast<int64_t>(poses_.size()); }
    BodyPose forward(int64_t index) override;
    const std::shared_ptr<PoseCorrectionImpl>& correction() const { return correction_; }
    std::string parameter_group(const std::string&) const override { return ""; }
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    std::vector<BodyPose> poses_;
    PictureOf picture_;
    std::vector<torch::Tensor> seen_;  // pictures so far
    std::shared_ptr<PoseCorrectionImpl> correction_;
};
TORCH_MODULE(EncodedPoses);

}  // namespace fmgs
