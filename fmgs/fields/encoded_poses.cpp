#include <fmgs/fields/encoded_poses.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>

namespace fmgs {

EncodedPosesImpl::EncodedPosesImpl(std::vector<BodyPose> poses, PictureOf picture,
                                   std::shared_ptr<PoseCorrectionImpl> correction)
    : poses_(std::move(poses)),
      picture_(std::move(picture)),
      seen_(poses_.size()),
      correction_(std::move(correction)) {
    if (poses_.empty()) throw Error("EncodedPoses: poses: expected at least one, got none");
    if (!picture_ || !correction_)
        throw Error("EncodedPoses: expected pictures and a correction, got none");
    register_module("correction", correction_);
}

BodyPose EncodedPosesImpl::forward(int64_t index) {
    check_row(index);
    const auto k = static_cast<size_t>(index);
    const auto device = correction_->parameters().front().device();
    if (!seen_[k].defined()) seen_[k] = picture_(index);
    return correction_->corrected(seen_[k].to(device), poses_[k].to(device));
}

std::shared_ptr<torch::nn::Module> EncodedPosesImpl::clone(
    const std::optional<torch::Device>& device) const {
    return cloned(*this, device, poses_, picture_,
                  std::dynamic_pointer_cast<PoseCorrectionImpl>(correction_->clone()));
}

}  // namespace fmgs
