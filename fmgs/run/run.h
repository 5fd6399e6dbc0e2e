#pragma once
/// A run: a capture with the avatar that learns it and the poses of its frames.
#include <fmgs/avatar_file.h>
#include <fmgs/fields/pose_table.h>
#include <fmgs/run/options.h>
#include <fmgs/run/run_folder.h>

#include <iosfwd>

namespace fmgs {

struct Run {
    RunOptions options;
    Capture capture;
    BodyModel body{nullptr};
    Avatar avatar{nullptr};
    std::shared_ptr<PoseSource> poses;
    /// "avatar", "poses" and, while it trains, "losses": what a checkpoint keeps
    std::shared_ptr<torch::nn::Module> root;
    torch::Device device{torch::kCPU};  ///< where all of these are; the capture stays on the CPU
};

/// Reads these parts of the capture and builds the (untrained) avatar, on its device.
Run open_run(const RunOptions& options, const CaptureParts& parts = training_parts());

/// Puts an avatar with parts of one's own in the place of the one that the options made, on the
/// run's device; before start().
void replace_avatar(Run& run, const Avatar& avatar);

/// A frame of the capture as it is drawn at `progress` of the run: on the run's device, with the
/// pose to draw: the learned one (with its graph) where poses are learned, have begun to be
/// (pose.start) and the frame has a row, else the file's. It is resolved here and nowhere else.
Frame take(const Run& run, const Frame& frame, double progress = 1);

/// Fits the skinning field to the template's weights when the options ask for it, and says so.
void prefit(Run& run, std::ostream& progress);
/// Fits the avatar's pose projection, where it has one, to the training poses as they are now.
void fit_projection(const Run& run);
/// Reads the avatar and the poses of the folder's last checkpoint, to be drawn: the avatar is in
/// eval() mode then. Returns its step. Error when there is none.
int64_t load_latest(Run& run, const RunFolder& folder);
/// What the avatar file keeps of the capture, with the poses as they are learned now.
AvatarScene scene_of(const Run& run);
/// Replaces RUN/avatar.safetensors (but for an avatar with parts of one's own, which no file can
/// hold) and, where poses are learned, RUN/poses.npz, in the layout that a capture has.
void save_results(const Run& run, const RunFolder& folder);

}  // namespace fmgs
