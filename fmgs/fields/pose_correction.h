#pragma once
/// What a picture says about the pose that was fitted to it: a bounded correction (HRAvatar).
#include <fmgs/core/config/range.h>
#include <fmgs/core/types.h>
#include <fmgs/fields/picture_backbone.h>

namespace fmgs {

struct PoseCorrectionOptions {
    std::string backbone;            ///< a TorchScript file
    int64_t size = 64;               ///< sides of the pictures, pixels
    int64_t channels = 16;           ///< of ConvBackbone
    double root_limit = 0.3;         ///< largest turn, radians
    double joint_limit = 0.3;        ///< likewise
    double translation_limit = 0.1;  ///< largest move, metres

    template <class V>
    void visit(V& v) {
        v.path(
            "backbone", backbone,
            "TorchScript network [1,3,S,S] → [1,C] or [1,C,h,w], for pose.source=scripted; empty: "
            "backbone.pt in the folder of the capture");
        v("size", size, Range::of(32, 1024), "sides S of the pictures that poses are read off");
        v("channels", channels, Range::of(1, 256), "of the first layer of the encoder");
        v("root_limit", root_limit, Range::of(0, 3),
          "largest turn of the root that is read off a picture, radians");
        v("joint_limit", joint_limit, Range::of(0, 3), "largest turn of another joint, radians");
        v("translation_limit", translation_limit, Range::at_least(0), "largest move, metres");
    }
};

/// Features → one linear layer, born as 0 → h [J+1,3] → corrections ℓ·tanh(‖h‖)·h/‖h‖, an
/// axis-angle for each joint and a move, none longer than its limit ℓ. At birth all are 0.
class PoseCorrectionImpl : public Module, public ParameterGroups {
  public:
    /// limits: [J+1] radians of each joint, then metres of the move. Error: no backbone.
    PoseCorrectionImpl(std::shared_ptr<PictureBackbone> backbone, const torch::Tensor& limits);
    /// The backbone and the limits that the options ask for.
    PoseCorrectionImpl(const PoseCorrectionOptions& options, int64_t joints, uint64_t seed = 0);
    /// [B,3,S,S] → [B,J+1,3]: turns, axis-angle in the joint's own frame, radians; the move,
    /// metres.
    torch::Tensor forward(const torch::Tensor& pictures);
    /// R_j exp(turn_j), t + move: the pose that this picture [3,S,S] shows. Error: a pose of bones.
    BodyPose corrected(const torch::Tensor& picture, const BodyPose& pose);
    std::string parameter_group(const std::string& name) const override {
        return own_group(name, "picture_encoder");
    }
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    std::shared_ptr<PictureBackbone> backbone_;
    torch::Tensor limits_;         // buffer [J+1]
    torch::Tensor weight_, bias_;  // [3(J+1),C], [3(J+1)]
};
TORCH_MODULE(PoseCorrection);

}  // namespace fmgs
