#pragma once
/// Pictures and videos as tensors. Needs OpenCV (FMGS_OPENCV=ON); without it every call is an Error
/// that says so.
#include <torch/types.h>

#include <filesystem>
#include <memory>

namespace fmgs {

/// PNG of 8 or 16 bit or JPEG → [3,H,W] float in [0,1], RGB; an alpha channel is dropped. Error
/// when missing, cut short, not decodable, or larger than the memory that is free, of which its
/// header tells, or to be turned (check_upright). All readers here share these.
torch::Tensor read_color(const std::filesystem::path& file);
/// All channels as stored, [C,H,W] of bytes, or int32 where it has 16 bit: grey; grey and alpha;
/// red, green, blue; or these and alpha.
torch::Tensor read_channels(const std::filesystem::path& file);
/// One channel as stored, [H,W] int64 (8 or 16 bit: labels, masks, millimetres). Error for pictures
/// in colour.
torch::Tensor read_gray(const std::filesystem::path& file);
/// [3,H,W], [1,H,W], or [4,H,W] with alpha (straight, as PNG has it), float in [0,1] (clamped;
/// NaN → 0) → 8-bit or (when `bits16`) 16-bit PNG, written aside and renamed.
void write_color(const std::filesystem::path& file, const torch::Tensor& image,
                 bool bits16 = false);
/// [H,W] integers → 8-bit or (when `bits16`) 16-bit PNG. Error for values that do not fit.
void write_gray(const std::filesystem::path& file, const torch::Tensor& values,
                bool bits16 = false);

/// Frames [3,H,W] → an MP4 (or an AVI in its place where no encoder is found), written aside and
/// renamed by finish(): an earlier video stays until then. Where this OpenCV cannot write video, or
/// the rate is below kLeastRate, good() is false, add() does nothing and there is no file.
class VideoWriter {
  public:
    static constexpr double kLeastRate = 1;  ///< pictures per second

    VideoWriter(const std::filesystem::path& file, int64_t width, int64_t height, double fps);
    ~VideoWriter();
    VideoWriter(VideoWriter&&) noexcept;
    VideoWriter& operator=(VideoWriter&&) noexcept;

    bool good() const;
    /// What finish() makes; its extension may differ from the one asked for.
    const std::filesystem::path& file() const;
    /// One picture of the size given at construction, float in [0,1].
    void add(const torch::Tensor& image);
    /// Ends the file, reads it back and puts it in its place. Error, and the earlier file, when not
    /// every picture has arrived there: encoders are silent about a full disk.
    void finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace fmgs
