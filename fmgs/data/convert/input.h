#pragma once
/// What is to be converted, as a layout would read it.
#include <fmgs/data/capture_reader.h>
#include <fmgs/data/convert.h>

namespace fmgs::detail {

/// A capture in any layout, a folder of pictures or a video, with the poses and masks of the
/// options. Frames without them are left out and counted in `report`. rest: of options.body.
CaptureSource read_input(const ConvertOptions& options, const RestJoints& rest,
                         ConvertReport& report);

}  // namespace fmgs::detail
