#pragma once
/// camera.pkl of PeopleSnapshot and of those who prepared it.
#include <fmgs/data/layouts/fields.h>
#include <fmgs/data/source_camera.h>

namespace fmgs {

/// camera_f, camera_c, camera_k, width, height; camera_rt and camera_t, or R and t.
SourceCamera snapshot_camera(const Fields& in);
/// The same camera for pictures that were stored at another size, as this one is.
SourceCamera fit_to_picture(SourceCamera camera, const std::filesystem::path& picture);

}  // namespace fmgs
