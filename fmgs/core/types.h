#pragma once
/// Plain values that every part of the library speaks: Camera, Maps, BodyPose, Frame.
#include <fmgs/core/tensor_dict.h>

namespace fmgs {

/// A pinhole camera, OpenCV axes (x right, y down, z forward), metres and pixels. The tensors may
/// require a gradient.
struct Camera {
    torch::Tensor rotation;     ///< [3,3] world → camera
    torch::Tensor translation;  ///< [3] world → camera, metres
    torch::Tensor intrinsics;  ///< [4] fx fy cx cy, pixels; the centre of the first pixel is at 0.5
    int64_t width = 0;         ///< pixels
    int64_t height = 0;        ///< pixels
    double near = 0.2;         ///< metres; nothing closer is drawn
    double low_pass = 0.35;    ///< σ of the least that a surfel spreads over, pixels (2DGS: √½)

    /// Camera centre in the world, [3] metres.
    torch::Tensor center() const;
    /// World points [N,3] → camera frame [N,3].
    torch::Tensor to_camera(const torch::Tensor& points) const;
    /// The same view at `factor` times the resolution; sizes are rounded and intrinsics follow the
    /// rounded sizes.
    Camera scaled(double factor) const;
    /// The same camera carried around `axis` [3] (unit) through `pivot` [3], right-handed by
    /// `angle` radians; it sees the pivot where it saw it.
    Camera orbit(const torch::Tensor& pivot, const torch::Tensor& axis, double angle) const;
    /// The camera at `eye` whose optical axis meets `target`, with `up` upwards in its picture ([3]
    /// each, world, metres); focal length in pixels, principal point in the middle. Error when up
    /// is along the line of sight.
    static Camera look_at(const torch::Tensor& eye, const torch::Tensor& target,
                          const torch::Tensor& up, double focal, int64_t width, int64_t height);
    Camera to(torch::Device device) const;
    Camera to(torch::Dtype dtype) const;
};

/// Maps by name. One name serves the target, the render, the surfel feature and the column of the
/// routing table. Names with a fixed meaning: color [3,H,W] in [0,1] on black; alpha, mask [1,H,W]
/// in [0,1]; depth [1,H,W] metres; normal [3,H,W] unit, camera frame, facing the viewer; semantic
/// logits [K,H,W], or labels [H,W] int64 as a target.
using Maps = TensorDict;

/// Joint rotations and a translation: SMPL's θ as matrices. Or the bones of any rig.
struct BodyPose {
    torch::Tensor rotations;  ///< [J,3,3] local to the parent joint; row 0 is the root orientation
    torch::Tensor translation;  ///< [3] metres, added after the root rotation about joint 0
    /// [J,4,4] rest → observed transforms, translation included; where defined, they are taken
    /// instead of rotations and translation.
    torch::Tensor bones{};

    BodyPose to(torch::Device device) const;
    BodyPose to(torch::Dtype dtype) const;
};

/// One picture of a capture with what is known about it.
struct Frame {
    /// row of the PoseTable; -1: none. A held-out camera of a training frame has that frame's row.
    int64_t index = -1;
    std::string name;
    Camera camera;
    BodyPose pose;
    /// supervision: color, mask and priors (depth prior: right only up to order; semantic: labels
    /// [H,W])
    Maps maps;
    Maps truth;  ///< exact maps, for evaluation only; losses never see it

    Frame to(torch::Device device) const;
    /// Camera, pose and floating-point maps; labels stay integers.
    Frame to(torch::Dtype dtype) const;
};

}  // namespace fmgs
