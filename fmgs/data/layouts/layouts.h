#pragma once
/// The layouts of captures that there are, one file each.
#include <fmgs/data/capture_reader.h>

namespace fmgs {

Layout neutral_layout();  ///< and InstantAvatar's of PeopleSnapshot, which it extends
Layout zju_mocap_layout();
Layout arah_layout();
Layout arah_snapshot_layout();
Layout humannerf_wild_layout();
Layout humannerf_layout();
Layout neuman_layout();
Layout nerfstudio_layout();
Layout colmap_layout();
Layout people_snapshot_layout();
Layout anim_nerf_layout();
Layout easymocap_layout();
Layout x_humans_layout();
Layout dress4d_layout();

}  // namespace fmgs
