#pragma once
/// Walking, as far as it tells the rate of a motion.
#include <fmgs/core/body.h>

#include <optional>

namespace fmgs {

/// Steps of one kind, one after the other.
struct Walk {
    int64_t steps = 0;           ///< in a row
    double length = 0;           ///< metres: how far the ankles are apart, mean over the steps
    double frames_per_step = 0;  ///< from one crossing of the legs to the next
    /// The rate, poses a second, at which people take steps of this length.
    double natural_fps() const;
};

/// The longest walk in the motion, or nothing where nobody walks. A step is what lies between two
/// crossings of the ankles along the way that the body faces, with the ankles at least 0.2 m apart
/// in between; a walk is at least four steps in a row whose lengths and times differ by less than
/// 40 % from their median. Translations are not looked at, so that walking in place counts, too.
/// `up`: [3] unit. Nothing, too, for a body without SMPL's legs.
std::optional<Walk> find_walk(const std::vector<BodyPose>& poses, const Body& body,
                              const torch::Tensor& up);

/// Steps a second over steps a second of people whose steps are as long: 1 at the natural rate.
double pace(const Walk& walk, double fps);

}  // namespace fmgs
