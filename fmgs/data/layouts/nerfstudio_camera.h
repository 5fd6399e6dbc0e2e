#pragma once
/// The cameras of nerfstudio's and instant-ngp's transforms.json, and of nerfstudio's camera paths.
#include <fmgs/data/layouts/fields.h>
#include <fmgs/data/source_camera.h>

namespace fmgs {

/// The camera of one entry of `frames`; what it lacks stands in the whole file. Error, naming file
/// and key: no focal length, no centre, a matrix that is no rotation, a fisheye.
SourceCamera nerfstudio_camera(const Fields& all, const Fields& frame);

/// The camera of one entry of `camera_path`: camera_to_world, 16 numbers row by row, and fov, the
/// angle over the height in degrees. The pictures are render_height high and render_width wide or,
/// where that is not said, as wide as the entry's aspect makes them. Error, naming file and key: as
/// above; a matrix whose last row is not 0,0,0,1, an angle that is none, another camera_type than
/// perspective.
SourceCamera nerfstudio_path_camera(const Fields& all, const Fields& entry);

}  // namespace fmgs
