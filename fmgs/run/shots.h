#pragma once
/// What is drawn of an avatar, picture by picture: whence, in which pose, how large.
#include <fmgs/data/camera_list.h>
#include <fmgs/run/draw.h>

namespace fmgs {

/// How large pictures are to be.
struct PictureSize {
    int64_t width = 0, height = 0;  ///< pixels; a height of 0: the longer side has `width`

    /// Of "N" or "WxH". Error for anything else, and for sides outside of 16 to 8192.
    static PictureSize of(const std::string& text);
    /// The camera with pictures of this size. Where their shape is another, all that it saw stays
    /// in the picture, in the middle, and there is more beside it or above and below.
    Camera applied(const Camera& camera) const;
};

/// `count` cameras on a full turn about `up` ([3], unit) through `pivot` [3]; the first is
/// `camera`.
std::vector<Camera> turntable(const Camera& camera, const torch::Tensor& pivot,
                              const torch::Tensor& up, int64_t count);

/// Cameras that read_cameras knows, or the one with which an avatar file was seen; `view` ≥ 0: only
/// this one of them. Error: as these readers, and a view that is not there.
CameraList view_cameras(const std::filesystem::path& file, int64_t view = -1);

/// The pose in which the surfels live (Fig. 4, first row: the T-pose with the legs spread), where
/// the person stood in the capture and facing its camera. As bones.
BodyPose canonical_pose(const AvatarScene& scene, const Body& body);

/// Whence an avatar is seen, and in which pose.
struct Shot {
    Camera camera;
    BodyPose pose;
    double light = 0;  ///< degrees by which the light is turned
};

/// Error when there is no memory for the largest of these pictures.
void check_room(const std::vector<Shot>& shots);

struct SequenceOptions {
    std::filesystem::path motion{};  ///< poses to follow; empty: one pose,
    bool rest = false;               ///< canonical_pose, or that of the first training frame
    MotionOptions reading{};
    /// for view_cameras; empty: the avatar's own, with one pose a turntable of `orbit` views
    std::filesystem::path camera{};
    int64_t view = -1, orbit = 48;
    /// above 0: instead of a turntable, so many pictures over a full turn of the light; with more
    /// cameras or poses than one it turns once in so many pictures
    int64_t rotate_light = 0;
    int64_t stride = 1;                 ///< every so many pictures are drawn,
    int64_t frames = INT64_MAX;         ///< at most so many
    std::optional<PictureSize> size{};  ///< none: as the cameras have it
    std::optional<double> fps{};        ///< none: of the camera path, else of the motion, else 24
};

/// Error unless `fps`, where it is given, is from 1 to 1000.
void check_rate(const SequenceOptions& options);

struct Sequence {
    std::string name;  ///< of its folder: after motion and camera; "rest", "orbit", "light"
    std::vector<Shot> shots;
    double fps = 24;                 ///< pictures a second
    std::vector<std::string> notes;  ///< what a user should know, a line each
};

/// The pictures that the options ask for. Camera k is that of pose k; a single one serves all
/// others, and of two unequal numbers the smaller counts. Cameras have the low-pass and the near
/// plane of the avatar's own. A motion of another rate than `fps`, or than that of a camera path,
/// is resampled: its speed stays. Error: as the readers; a rate outside of 1 to 1000, or with more
/// than 100,000 poses; pictures for which there is no memory.
Sequence plan_sequence(const Drawable& avatar, const SequenceOptions& options);

}  // namespace fmgs
