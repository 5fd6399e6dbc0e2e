#pragma once
/// Pictures and videos as tensors. Needs OpenCV (FMGS_OPENCV=ON); without it every call is an Error that says so.
#include <torch/types.h>

#include <filesystem>

namespace fmgs {

/// 8-bit picture → [3,H,W] float in [0,1], RGB. Error when missing or not decodable.
torch::Tensor read_color(const std::filesystem::path& file);
/// One channel as stored, [H,W] int64 (8 or 16 bit: labels, masks, millimetres).
torch::Tensor read_gray(const std::filesystem::path& file);
/// [3,H,W] or [1,H,W] float in [0,1] → PNG, written aside and renamed.
void write_color(const std::filesystem::path& file, const torch::Tensor& image);
/// [H,W] integers → 8-bit or (when `bits16`) 16-bit PNG.
void write_gray(const std::filesystem::path& file, const torch::Tensor& values, bool bits16 = false);

/// Frames [3,H,W] → an MP4 (or AVI where no encoder is found); false and no file when this OpenCV cannot write video.
class VideoWriter {
  public:
    VideoWriter(const std::filesystem::path& file, int64_t width, int64_t height, double fps);
    ~VideoWriter();
    bool good() const;
    void add(const torch::Tensor& image);

  private:
    struct State;
    State* state_;
};

}  // namespace fmgs
