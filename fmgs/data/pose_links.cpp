#include <fmgs/data/pose_links.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/npz_reader.h>
#include <fmgs/data/file_names.h>
#include <fmt/format.h>

#include <algorithm>

namespace fmgs {

PoseLinks read_pose_links(const std::filesystem::path& file, const PoseFile& poses,
                          const std::vector<std::string>& pictures) {
    PoseLinks out{poses.names, {}};
    const NpzReader npz(file);
    const auto rows = [&](const char* key) {
        const auto shape = npz.header(key).shape;
        if (shape != std::vector<int64_t>{poses.count()})
            throw Error(fmt::format("{}: {}: expected [{}], one per row of poses, got {}",
                                    file.string(), key, poses.count(), shape_text(shape)));
        return npz.tensor(key).to(torch::kLong).contiguous();
    };
    if (npz.contains("valid")) {
        const auto valid = rows("valid");
        for (int64_t i = 0; i < valid.size(0); ++i)
            out.valid.push_back(valid[i].item<int64_t>() != 0);
    }
    if (!out.names.empty()) return out;
    for (const auto id : poses.frame_ids) {
        const auto is_it = [&](const auto& name) { return frame_number(name) == id; };
        const auto found = std::find_if(pictures.begin(), pictures.end(), is_it);
        if (found == pictures.end())
            throw Error(fmt::format("{}: frame_ids: no picture has the number {} in its name",
                                    file.string(), id));
        out.names.push_back(*found);
    }
    return out;
}

}  // namespace fmgs
