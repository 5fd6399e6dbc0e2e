#pragma once
/// A capture as it is understood, for people to look at before they train.
#include <fmgs/data/check/capture_check.h>
#include <fmgs/run/run.h>

namespace fmgs {

struct Inspection {
    std::string text;     ///< for people
    std::string json;     ///< the same for programs
    torch::Tensor sheet;  ///< [3,H,W] in [0,1]
    bool sound = true;    ///< whether training would begin
};

/// What was recognised, how body, masks and priors go together, from where the person was seen and
/// how far other splits leave the poses of training, what is missing; and `count` frames of each
/// split drawn: the body's outline and joints over the picture, body beside mask, the priors.
Inspection inspect(const Run& run, int64_t count);

}  // namespace fmgs
