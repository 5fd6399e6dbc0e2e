#pragma once
/// Pictures with a camera each, and poses.npz in the same world.
#include <fmgs/data/capture_reader.h>

namespace fmgs {

struct PosedPicture {
    std::string name;  ///< without its extension
    std::filesystem::path picture;
    MaskSource mask;
    SourceCamera camera;
};
/// Pictures and rows of poses.npz meet by frame_names, by frame_ids (the numbers in the names), or
/// by their order where there are as many. Pictures without a pose are left out, and counted in a
/// note. `file`: what messages name.
CaptureSource read_posed_pictures(const CaptureRequest& request, const std::string& layout,
                                  const std::filesystem::path& file,
                                  const std::vector<PosedPicture>& pictures);

}  // namespace fmgs
