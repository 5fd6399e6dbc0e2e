#pragma once
/// Writes a capture in the layout that read_capture reads.
#include <fmgs/data/capture.h>

namespace fmgs {

/// Writes splits train and test into images/, masks/, poses/, splits/ and cameras.npz; priors of
/// train frames into priors/{normal, depth,seg} in Sapiens' conventions with priors.json, further
/// maps as priors/<name>/<frame>.npy; truth into gt/; test_view and novel_motion as sub-captures.
/// Pictures have 8 bits, depth priors 16 (relative, divided by the frame's largest value if that is
/// above 1), exact depth is in millimetres, poses are axis-angle. Frame names must be unique within
/// a folder.
///
/// Everything is written into a folder beside and renamed at the end. Error, and nothing changed,
/// when `folder` holds anything already or a frame lacks color or mask.
void write_capture(const std::filesystem::path& folder, const Capture& capture);

}  // namespace fmgs
