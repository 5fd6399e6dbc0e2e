#pragma once
/// The files of one frame, written for the neutral layout.
#include <fmgs/data/convert/form.h>

namespace fmgs::detail {

/// Writes pictures, masks, priors and exact maps of frames into a folder. Files are copied where
/// nothing changes them. May be used by several threads.
class FrameWriter {
  public:
    /// Writes priors.json where there are priors. `masks`: whether there are any.
    FrameWriter(std::filesystem::path output, const OpenCapture& capture, bool masks);

    /// Reads all of the frame's files first, and so finds what is missing or damaged.
    void write(const PlacedFrame& placed) const;

  private:
    void write_mask(const PlacedFrame& placed, const Frame& frame) const;
    void write_priors(const FrameSource& source, const Frame& frame) const;
    void write_truth(const PlacedFrame& placed, const Frame& frame) const;

    std::filesystem::path output_;
    FrameReading full_, bare_;
    bool masks_;
    bool maps_;  ///< priors as arrays of our conventions, since a lens changes some of them
};

}  // namespace fmgs::detail
