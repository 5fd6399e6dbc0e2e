#include <fmgs/data/layouts/posed_pictures.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/file_names.h>
#include <fmgs/data/layouts/frame_set.h>
#include <fmgs/data/pose_links.h>
#include <fmt/format.h>

#include <map>

namespace fmgs {

CaptureSource read_posed_pictures(const CaptureRequest& request, const std::string& layout,
                                  const std::filesystem::path& file,
                                  const std::vector<PosedPicture>& pictures) {
    CaptureSource out;
    out.description = layout;
    FrameSet set;
    set.cameras = {""};
    set.pose_path = request.root() / "poses.npz";
    if (!is_there(set.pose_path))
        throw Error(
            fmt::format("{}: {} has cameras and no poses; expected poses.npz in its world "
                        "beside it (docs/data_layouts.md)",
                        set.pose_path.string(), file.string()));
    const auto poses = with_smpl_transl(read_poses(set.pose_path, request.rest), request.rest,
                                        set.pose_path.string());
    std::vector<std::string> names;
    for (const auto& picture : pictures) names.push_back(picture.name);
    const auto links = read_pose_links(set.pose_path, poses, names);
    if (links.names.empty() && poses.count() != static_cast<int64_t>(pictures.size()))
        throw Error(
            fmt::format("{}: {} rows of poses for {} pictures of {}; expected as many, or "
                        "frame_names in the file",
                        set.pose_path.string(), poses.count(), pictures.size(), file.string()));
    std::map<std::string, int64_t> row_of;
    for (size_t i = 0; i < links.names.size(); ++i)
        row_of[links.names[i]] = static_cast<int64_t>(i);
    std::vector<size_t> frames;
    std::vector<int64_t> rows;
    for (size_t i = 0; i < pictures.size(); ++i) {
        const auto found = row_of.find(names[i]);
        if (!links.names.empty() && found == row_of.end()) continue;
        const int64_t row = links.names.empty() ? static_cast<int64_t>(i) : found->second;
        if (!links.is_valid(row)) continue;
        frames.push_back(i);
        rows.push_back(row);
        const int64_t number = frame_number(names[i]);
        set.numbers.push_back(number < 0 ? static_cast<int64_t>(i) : number);
    }
    if (const size_t without = pictures.size() - frames.size(); without > 0)
        out.notes.push_back(fmt::format("{}: {} of {} pictures have no pose and are left out",
                                        set.pose_path.string(), without, pictures.size()));
    set.pose = [&](size_t k) {
        const auto row = rows[k];
        return SourcePose{torch::cat({poses.global_orient[row], poses.body_pose[row]}),
                          poses.transl[row], poses.betas,
                          poses.expression.defined() ? poses.expression[row] : torch::Tensor()};
    };
    set.frame = [&](size_t, size_t k) {
        const auto& picture = pictures[frames[k]];
        FrameSource frame;
        frame.name = picture.name;
        frame.picture = picture.picture;
        frame.mask = picture.mask;
        frame.folder = request.root();
        frame.camera = picture.camera;
        return frame;
    };
    add_splits(request, set, out);
    return out;
}

}  // namespace fmgs
