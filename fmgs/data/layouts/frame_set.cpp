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
    std::map<size_t, int64_t> row_of;
    std::vector<SourcePose> poses;
    for (const auto& pick : picks) {
        for (const auto& at : pick.frames) {
            if (!row_of.emplace(at.frame, static_cast<int64_t>(poses.size())).second) continue;
            poses.push_back(set.pose(at.frame));
        }
    }
    const RestJoints rest(request.options.body);
    const auto rows = pose_rows(poses, set.place, rest, set.pose_path.string());
    for (const auto& pick : picks) {
        SplitSource split{pick.name, set.pose_path, rows, {}};
        for (const auto& at : pick.frames) {
            auto frame = set.frame(at.camera, at.frame);
            frame.row = row_of.at(at.frame);
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
