#pragma once
/// PeopleSnapshot subjects in InstantAvatar's layout, and our neutral layout, which extends it
/// (docs/data_layouts).
#include <fmgs/data/capture.h>

namespace fmgs {

/// cameras.npz, images/, masks/, poses/{anim_nerf_,}{train,test}.npz or poses.npz,
/// splits/{train,test}.txt; priors/, gt/, test_view/ and novel_motion/ where they exist. Without
/// splits/*.txt: the known frame ranges of the published subjects, or all images as train frames,
/// in the order of the numbers in their names. Row i of a pose file belongs to the i-th name of its
/// split, or to the name in its frame_names.
Capture read_people_snapshot(const CaptureOptions& options,
                             const std::map<std::string, std::string>& modalities,
                             const CaptureParts& parts);

/// The splits that this folder has, train first.
std::vector<std::string> people_snapshot_splits(const std::filesystem::path& root);

}  // namespace fmgs
