#pragma once
/// Frames of a video. Needs OpenCV, as image_io does.
#include <torch/types.h>

#include <filesystem>
#include <memory>

namespace fmgs {

/// Decodes forwards; a frame before the last one starts again from the first. May be used by
/// several threads, which wait for each other.
class VideoReader {
  public:
    /// Error: not there, not a video that this OpenCV reads.
    explicit VideoReader(const std::filesystem::path& file);
    ~VideoReader();

    int64_t width() const;
    int64_t height() const;
    /// How many frames can be decoded: goes through the video once.
    int64_t count();
    /// [3,H,W] float in [0,1], RGB. Error when the video has fewer frames.
    torch::Tensor read(int64_t index);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace fmgs
