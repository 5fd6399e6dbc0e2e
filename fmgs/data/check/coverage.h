#pragma once
/// From where a person was seen, and in which poses.
#include <fmgs/core/body.h>

#include <array>
#include <span>

namespace fmgs {

/// How many frames see the person from where: eight sectors of 45 degrees about the body's own up
/// axis (y at rest), the first around its front, then towards its left.
std::array<int64_t, 8> view_sectors(const Body& body, std::span<const Frame> frames);

/// How far poses leave what training saw: per frame the largest angle, in degrees, by which a
/// component of a joint's axis-angle (root left out) lies outside its range over the train frames.
struct PoseReach {
    double median = 0, largest = 0;  ///< degrees
    int64_t joint = -1;              ///< of the largest
    std::string frame;
};
PoseReach pose_reach(const Body& body, std::span<const Frame> train, std::span<const Frame> others);

}  // namespace fmgs
