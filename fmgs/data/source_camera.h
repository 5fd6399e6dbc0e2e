#pragma once
/// Cameras as a capture's files have them: in double precision, with lens distortion.
#include <fmgs/core/types.h>

#include <mutex>

namespace fmgs {

/// A camera of stored pictures.
struct SourceCamera {
    torch::Tensor intrinsic;        ///< [3,3] double, pixels; centre of the first pixel at 0.5
    torch::Tensor extrinsic;        ///< [4,4] double, world → camera, OpenCV axes, metres
    torch::Tensor distortion;       ///< [n] double, OpenCV's order k1 k2 p1 p2 k3 …; or undefined
    int64_t width = 0, height = 0;  ///< of the stored pictures; 0: as the pictures are

    /// Without its distortion, which is taken out of the pictures.
    Camera camera() const;
};

/// Where a file puts the centre of its first pixel.
enum class PixelCenter {
    half,    ///< (0.5, 0.5), as here: PeopleSnapshot, COLMAP, fitters with cx = W/2
    integer  ///< (0, 0): OpenCV's calibrations, so ZJU-MoCap and EasyMocap
};

/// What a file says of a camera, of which any shape is taken that has the right count of numbers.
struct CameraNumbers {
    torch::Tensor K;     ///< 9
    torch::Tensor R, t;  ///< 9 and 3, metres; undefined: the camera is the world
    torch::Tensor dist;  ///< 0, 4, 5, 8, 12 or 14; undefined: none
    PixelCenter center = PixelCenter::half;
};
/// Error, naming `what`, when the last row of K is not 0,0,1, the focal lengths are not positive, R
/// is no rotation (transposed matrices, mirrors and scales show there), or a number is not finite.
/// A rotation that is rounded is made one.
SourceCamera make_camera(const CameraNumbers& numbers, const std::string& what);

/// Error, naming `what`, for a count of coefficients that OpenCV's model does not have, and for a
/// tilted sensor.
void check_distortion(const torch::Tensor& distortion, const std::string& what);
/// The rotation nearest to R [3,3]. Error when that is further away than rounding to 3 digits.
torch::Tensor nearest_rotation(const torch::Tensor& R, const std::string& what);
/// [4,4] double.
torch::Tensor extrinsic_of(const torch::Tensor& R, const torch::Tensor& t);
/// [3,3] double.
torch::Tensor intrinsic_of(double fx, double fy, double cx, double cy);

/// Takes lens distortion out of the maps of one camera; the intrinsics stay. What lies outside of
/// the distorted picture is 0.
class Undistortion {
  public:
    /// Of a camera with distortion.
    Undistortion(const SourceCamera& camera, int64_t height, int64_t width);

    torch::Tensor linear(const torch::Tensor& x) const;  ///< [C,H,W]
    /// [1,H,W] of 0 and 1: a pixel is in when at least half of what it shows is, so that masks do
    /// not grow.
    torch::Tensor mask(const torch::Tensor& x) const;
    /// [C,H,W]: the mean of the valid ones where at least half is valid, else 0. valid: [1,H,W]
    torch::Tensor valid(const torch::Tensor& x, const torch::Tensor& valid) const;
    torch::Tensor nearest(const torch::Tensor& x) const;  ///< [H,W] labels

  private:
    friend class Undistortions;
    SourceCamera camera_;
    torch::Tensor grid_;  // [1,H,W,2]
};

/// The last few of them: frames of one camera follow each other.
class Undistortions {
  public:
    /// Null for a camera without distortion. May be called by several threads.
    std::shared_ptr<const Undistortion> of(const SourceCamera& camera, int64_t height,
                                           int64_t width);

  private:
    std::mutex mutex_;
    std::vector<std::shared_ptr<const Undistortion>> last_;
};

}  // namespace fmgs
