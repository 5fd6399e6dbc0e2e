#pragma once
/// Contact sheets: maps as pictures side by side.
#include <fmgs/core/types.h>

namespace fmgs {

/// One row: ground truth | color | alpha | depth | normal | normal from depth | semantics; maps
/// that were not rendered are left out, further modalities follow. Cut to the subject (true mask or
/// alpha above ½) and 8 pixels around it. [3,H',W'] in [0,1], 2 pixels of grey between the
/// pictures.
torch::Tensor sheet_row(const Frame& frame, const Maps& rendered);
/// One row: truth | color | mean absolute error over the channels, coloured from 0 to `most`
/// (colorize_error), cut as above. Needs color in both. [3,H',W'] in [0,1].
torch::Tensor error_row(const Frame& frame, const Maps& rendered, double most);
/// What the colours of error_row mean: the ramp from `most`, above, to 0, with numbers at five
/// steps. [3,height,W'].
torch::Tensor error_legend(double most, int64_t height);
/// First and last+1 index of what is set in [N] bool, `margin` further where there is room;
/// everything when nothing is.
std::pair<int64_t, int64_t> extent(const torch::Tensor& set, int64_t margin);
/// Pictures [3,H,W] side by side (or below each other), top left aligned, on grey.
torch::Tensor beside(const std::vector<torch::Tensor>& images, int64_t gap = 2);
torch::Tensor below(const std::vector<torch::Tensor>& images, int64_t gap = 2);

}  // namespace fmgs
