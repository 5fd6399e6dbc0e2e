#include <fmgs/data/fits/fit.h>

namespace fmgs::detail {

// The special ones first: many of them would pass for rows of poses, too.
const std::vector<FitLayout>& fit_layouts() {
    static const std::vector<FitLayout> kLayouts{
        kMeshcapade, kGvhmr,   kGlamr,        kSamBody, kTram, kRomp,         kPhalp, kWham,
        kVibe,       kRecords, kWildMetadata, kNested,  kRows, kRowsPerFrame, kBones, kBareArray};
    return kLayouts;
}

}  // namespace fmgs::detail
