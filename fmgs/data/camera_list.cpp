#include <fmgs/data/camera_list.h>

#include <fmgs/core/check.h>
#include <fmgs/data/camera_file.h>
#include <fmgs/data/layouts/nerfstudio_camera.h>
#include <fmt/format.h>

#include <algorithm>

namespace fmgs {

namespace {

std::vector<SourceCamera> read_sources(const Fields& all, const std::filesystem::path& path) {
    std::vector<SourceCamera> out;
    if (all.has("frames")) {
        const auto frames = all.at("frames");
        for (int64_t i = 0; i < frames.size(); ++i)
            out.push_back(nerfstudio_camera(all, frames.at(i)));
    } else if (all.has("camera_path")) {
        const auto entries = all.at("camera_path");
        for (int64_t i = 0; i < entries.size(); ++i)
            out.push_back(nerfstudio_path_camera(all, entries.at(i)));
    } else if (all.has("intrinsic")) {
        const auto file = read_camera_file(path);
        const int64_t count = std::max(file.intrinsic.size(0), file.extrinsic.size(0));
        for (int64_t i = 0; i < count; ++i) out.push_back(file.camera(i, count));
    } else {
        throw Error(
            fmt::format("{}: expected cameras: our cameras.npz (intrinsic, extrinsic, width, "
                        "height), nerfstudio's transforms.json (frames) or its camera path "
                        "(camera_path); got {}",
                        path.string(), all.value.description()));
    }
    return out;
}

}  // namespace

CameraList read_cameras(const std::filesystem::path& path) {
    const Fields all(path);
    CameraList out;
    for (const auto& source : read_sources(all, path)) {
        if (source.width == 0 || source.height == 0)
            throw Error(fmt::format(
                "{}: expected the size of the pictures (width and height; in transforms.json w "
                "and h), found none",
                path.string()));
        out.cameras.push_back(source.camera());
    }
    if (out.cameras.empty())
        throw Error(fmt::format("{}: expected cameras, found none", path.string()));
    if (all.has("camera_path") && all.has("fps")) {
        out.fps = all.number("fps");
        if (!(*out.fps > 0 && *out.fps <= 1000))
            throw Error(
                fmt::format("{}: fps: expected a number more than 0 and at most 1000, got {}",
                            path.string(), *out.fps));
    }
    return out;
}

}  // namespace fmgs
