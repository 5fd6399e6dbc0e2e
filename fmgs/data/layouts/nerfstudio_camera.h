#pragma once
/// The cameras of nerfstudio's and instant-ngp's transforms.json.
#include <fmgs/data/layouts/fields.h>
#include <fmgs/data/source_camera.h>

namespace fmgs {

/// The camera of one entry of `frames`; what it lacks stands in the whole file. Error, naming file
/// and key: no focal length, no centre, a matrix that is no rotation, a fisheye.
SourceCamera nerfstudio_camera(const Fields& all, const Fields& frame);

}  // namespace fmgs
