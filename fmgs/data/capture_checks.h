#pragma once
/// What has to hold of a capture before its pictures are opened, whatever its layout.
#include <fmgs/data/capture_poses.h>
#include <fmgs/data/capture_reader.h>

namespace fmgs {

/// The betas and joints of the poses have to go with the body in `file`.
void check_body_sizes(const std::vector<SplitSource>& splits, const BodyData& body,
                      const std::string& file);

/// Error when a person is further from the camera, betas are larger or joints turn further than
/// metres, SMPL's shapes and radians allow; it says which units were probably meant.
void check_units(const std::vector<SplitSource>& splits);

/// One avatar, one body: the train split's betas (zeros where it has none), to which the
/// translations of splits with others are moved so that joint 0 stays where it was. Returns them,
/// [B]; `directions`: how many zeros.
torch::Tensor unify_betas(std::vector<SplitSource>& splits, const RestJoints& rest,
                          int64_t directions, std::vector<std::string>& notes);

}  // namespace fmgs
