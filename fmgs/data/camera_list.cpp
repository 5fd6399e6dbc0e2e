#include <fmgs/data/camera_list.h>

#include <fmgs/core/check.h>
#include <fmgs/data/camera_file.h>
#include <fmgs/data/layouts/nerfstudio_camera.h>
#include <fmt/format.h>

#include <algorithm>

namespace fmgs {

namespace {

std::vector<SourceCamera> read_sources(const std::filesystem::path& path) {
    std::vector<SourceCamera> out;
    const Fields all(path);
    if (all.has("frames")) {
        const auto frames = all.at("frames");
        for (int64_t i = 0; i < frames.size(); ++i)
            out.push_back(nerfstudio_camera(all, frames.at(i)));
    } else if (all.has("intrinsic")) {
        const auto file = read_camera_file(path);
        const int64_t count = std::max(file.intrinsic.size(0), file.extrinsic.size(0));
        for (int64_t i = 0; i < count; ++i) out.push_back(file.camera(i, count));
    } else {
        throw Error(
            fmt::format("{}: expected cameras: our cameras.npz (intrinsic, extrinsic, width, "
                        "height) or nerfstudio's transforms.json (frames); got {}",
                        path.string(), all.value.description()));
    }
    return out;
}

}  // namespace

std::vector<Camera> read_cameras(const std::filesystem::path& path) {
    std::vector<Camera> out;
    for (const auto& source : read_sources(path)) {
        if (source.width == 0 || source.height == 0)
            throw Error(fmt::format(
                "{}: expected the size of the pictures (width and height; in transforms.json w "
                "and h), found none",
                path.string()));
        out.push_back(source.camera());
    }
    if (out.empty()) throw Error(fmt::format("{}: expected cameras, found none", path.string()));
    return out;
}

}  // namespace fmgs
