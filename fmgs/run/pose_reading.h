#pragma once
/// Poses read off pictures: what of a picture is looked at, the file of the encoder, and driving.
#include <fmgs/data/capture.h>
#include <fmgs/fields/encoded_poses.h>
#include <fmgs/run/shots.h>

namespace fmgs {

/// The square of a frame's color around the posed body, 1.2 times its larger side, black outside of
/// the picture, at `size` pixels: [3,size,size] on the CPU. Error: the body is not in front of the
/// camera.
torch::Tensor person_picture(const Body& body, const Frame& frame, int64_t size);

/// The poses of these frames, whose color is there, as the encoder reads them. What they need of
/// the frames is read when it is asked for.
std::shared_ptr<EncodedPosesImpl> encoded_poses(const FrameList& frames, std::shared_ptr<Body> body,
                                                int64_t size,
                                                std::shared_ptr<PoseCorrectionImpl> correction);

/// RUN/pose_encoder.safetensors: a trained encoder with its options.
void save_pose_encoder(const std::filesystem::path& file, const PoseCorrectionImpl& correction,
                       const PoseCorrectionOptions& options, int64_t joints);
struct SavedPoseEncoder {
    std::shared_ptr<PoseCorrectionImpl> correction;
    PoseCorrectionOptions options;
};
/// Error, naming the file: missing, damaged, something else, of another number of joints.
SavedPoseEncoder load_pose_encoder(const std::filesystem::path& file, int64_t joints);

/// An avatar in the poses that an encoder reads off new pictures: the frames of the train split of
/// the capture `data.root`, seen by their own cameras; every `stride`-th, at most `frames`, at
/// `size` where one is given. Each is the pose that was fitted to the picture, corrected. Error: as
/// the readers of captures; a body with other joints.
Sequence driven_sequence(const Drawable& avatar, const SavedPoseEncoder& encoder,
                         const CaptureOptions& data, const SequenceOptions& options);

}  // namespace fmgs
