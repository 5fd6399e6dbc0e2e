#include <fmgs/data/layouts/frame_set.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

#include <map>

namespace fmgs {

SourcePose read_smpl_pose(const Fields& in) {
    return {torch::cat({in.angles("global_orient", 1), in.angles("body_pose", 23)}),
            in.numbers("transl", {3}),
            {}};
}

void add_splits(const CaptureRequest& request, const FrameSet& set, CaptureSource& out) {
    if (set.numbers.empty())
        throw Error(
            fmt::format("{}: expected at least one frame with a pose", set.pose_path.string()));
    const auto picks = pick_splits(request, set.cameras, set.numbers, set.listed, out.notes);
    std::map<size_t, SourcePose> read;
    for (const auto& pick : picks) {
        // Of each split by itself: where betas differ from frame to frame, those of held-out
        // frames are not the avatar's.
        SplitSource split{pick.name, set.pose_path, {}, {}};
        std::map<size_t, int64_t> row_of;
        std::vector<SourcePose> poses;
        for (const auto& at : pick.frames) {
            auto frame = set.frame(at.camera, at.frame);
            const auto [row, is_new] = row_of.emplace(at.frame, static_cast<int64_t>(poses.size()));
            if (is_new) {
                const auto found = read.find(at.frame);
                poses.push_back(found != read.end()
                                    ? found->second
                                    : read.emplace(at.frame, set.pose(at.frame)).first->second);
            }
            frame.row = row->second;
            split.frames.push_back(std::move(frame));
        }
        split.poses = pose_rows(poses, set.place, request.rest, set.pose_path.string());
        out.splits.push_back(std::move(split));
    }
}

std::string center_note(PixelCenter center, const std::string& who) {
    return fmt::format("{}: principal points are taken to count from the {} of the first pixel{}",
                       who, center == PixelCenter::half ? "corner" : "centre",
                       center == PixelCenter::half ? "" : "; half a pixel was added to them");
}

}  // namespace fmgs
