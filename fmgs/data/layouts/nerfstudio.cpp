// nerfstudio's and instant-ngp's transforms.json, with our poses.npz in its world.
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/file_names.h>
#include <fmgs/data/layouts/fields.h>
#include <fmgs/data/layouts/layouts.h>
#include <fmgs/data/layouts/nerfstudio_camera.h>
#include <fmgs/data/layouts/posed_pictures.h>
#include <fmgs/data/mask_folder.h>
#include <fmt/format.h>

#include <algorithm>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

CaptureSource read(const CaptureRequest& request) {
    const auto root = request.root();
    const Fields all(root / "transforms.json");
    const auto frames = all.at("frames");
    std::vector<std::string> notes;
    const MaskFolder masks(root, notes);
    std::vector<PosedPicture> pictures;
    for (int64_t i = 0; i < frames.size(); ++i) {
        const auto frame = frames.at(i);
        fs::path file = fs::path(frame.at("file_path").text()).lexically_normal();
        if (!file.has_extension()) file += ".png";  // Blender's
        auto stem = fs::path(file).replace_extension();
        if (*stem.begin() == "images") stem = stem.lexically_relative("images");
        const auto mask = frame.has("mask_path") ? MaskSource{{root / frame.at("mask_path").text()}}
                                                 : masks.of(stem.string(), root / file);
        pictures.push_back({stem.string(), root / file, mask, nerfstudio_camera(all, frame)});
    }
    std::sort(pictures.begin(), pictures.end(),
              [](const auto& a, const auto& b) { return natural_less(a.name, b.name); });
    auto out = read_posed_pictures(request, "nerfstudio", root / "transforms.json", pictures);
    out.notes.insert(out.notes.end(), notes.begin(), notes.end());
    return out;
}

}  // namespace

Layout nerfstudio_layout() {
    return {"nerfstudio with our poses.npz", "transforms.json",
            [](const fs::path& root) { return is_there(root / "transforms.json"); }, read};
}

}  // namespace fmgs
