#pragma once
/// BVH: a skeleton and its motion as text. No torch in here, so that it fuzzes fast.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fmgs::detail {

struct BvhJoint {
    std::string name;
    int64_t parent = -1;             ///< comes before its children
    std::array<double, 3> offset{};  ///< from the parent at rest, in the file's unit
    /// In the order of the file: 0, 1, 2 for the place along x, y, z; 3, 4, 5 for the angle about
    /// them, degrees.
    std::vector<int> channels;
    int64_t first_channel = 0;    ///< column of the first of them
    bool has_end = false;         ///< whether an End Site follows
    std::array<double, 3> end{};  ///< its offset
};

struct Bvh {
    std::vector<BvhJoint> joints;  ///< the root first
    int64_t columns = 0;           ///< channels of all joints
    int64_t frames = 0;
    double frame_time = 0;       ///< seconds
    std::vector<double> values;  ///< frames × columns, all finite
};

/// Error, with `what` and the line in front: not a BVH, more than one skeleton, an unknown channel,
/// a frame that is cut off.
Bvh parse_bvh(std::string_view text, const std::string& what);

}  // namespace fmgs::detail
