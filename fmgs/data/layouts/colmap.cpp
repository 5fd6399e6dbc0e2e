// Our poses.npz in the world of a COLMAP model, or of nerfstudio's transforms.json.
#include <fmgs/data/layouts/colmap.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/file_names.h>
#include <fmgs/data/layouts/colmap_file.h>
#include <fmgs/data/layouts/layouts.h>
#include <fmgs/data/layouts/posed_pictures.h>
#include <fmgs/data/mask_folder.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

SourceCamera lens_of(const ColmapCamera& in, const std::string& what) {
    const auto& p = in.params;
    const auto square = [&] { return intrinsic_of(p[0], p[0], p[1], p[2]); };
    const auto two = [&] { return intrinsic_of(p[0], p[1], p[2], p[3]); };
    CameraNumbers out;
    std::vector<double> dist;
    if (in.model == "SIMPLE_PINHOLE") {
        out.K = square();
    } else if (in.model == "PINHOLE") {
        out.K = two();
    } else if (in.model == "SIMPLE_RADIAL") {
        out.K = square();
        dist = {p[3], 0, 0, 0};
    } else if (in.model == "RADIAL") {
        out.K = square();
        dist = {p[3], p[4], 0, 0};
    } else if (in.model == "OPENCV") {
        out.K = two();
        dist = {p[4], p[5], p[6], p[7]};
    } else if (in.model == "FULL_OPENCV") {
        out.K = two();
        dist.assign(p.begin() + 4, p.end());
    } else {
        throw Error(
            fmt::format("{}: camera {}: {} is not a pinhole with OpenCV's distortion; "
                        "undistort the pictures with `colmap image_undistorter`",
                        what, in.id, in.model));
    }
    out.dist = torch::tensor(dist, torch::kDouble);
    auto camera = make_camera(out, fmt::format("{}: camera {}", what, in.id));
    camera.width = in.width;
    camera.height = in.height;
    return camera;
}

torch::Tensor rotation_of(const std::array<double, 4>& q) {
    const auto [w, x, y, z] = q;
    return torch::tensor({1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
                          2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
                          2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)},
                         torch::kDouble)
        .reshape({3, 3});
}

}  // namespace

fs::path find_colmap(const fs::path& root) {
    for (const char* folder : {"sparse/0", "sparse", "colmap/sparse/0"}) {
        for (const char* name : {"images.bin", "images.txt"}) {
            if (is_there(root / folder / name)) return root / folder;
        }
    }
    return {};
}

std::vector<ColmapPicture> read_colmap(const fs::path& folder) {
    const bool binary = is_there(folder / "images.bin");
    const char* extension = binary ? ".bin" : ".txt";
    const auto cameras_file = folder / (std::string("cameras") + extension);
    const auto images_file = folder / (std::string("images") + extension);
    std::map<int64_t, SourceCamera> lenses;
    for (const auto& camera :
         parse_colmap_cameras(read_whole(cameras_file), binary, cameras_file.string()))
        lenses[camera.id] = lens_of(camera, cameras_file.string());
    std::vector<ColmapPicture> pictures;
    for (const auto& image :
         parse_colmap_images(read_whole(images_file), binary, images_file.string())) {
        const auto lens = lenses.find(image.camera);
        if (lens == lenses.end())
            throw Error(fmt::format("{}: '{}': there is no camera {}", images_file.string(),
                                    image.name, image.camera));
        auto camera = lens->second;
        const auto& t = image.translation;
        camera.extrinsic = extrinsic_of(rotation_of(image.quaternion),
                                        torch::tensor({t[0], t[1], t[2]}, torch::kDouble));
        pictures.push_back({image.name, camera});
    }
    std::sort(pictures.begin(), pictures.end(),
              [](const auto& a, const auto& b) { return natural_less(a.name, b.name); });
    return pictures;
}

namespace {

CaptureSource read(const CaptureRequest& request) {
    const auto folder = find_colmap(request.root());
    std::vector<std::string> notes;
    const MaskFolder masks(request.root(), notes);
    std::vector<PosedPicture> pictures;
    for (const auto& [name, camera] : read_colmap(folder)) {
        const auto stem = fs::path(name).replace_extension().string();
        const auto picture = request.root() / "images" / name;
        pictures.push_back({stem, picture, masks.of(stem, picture), camera});
    }
    auto out = read_posed_pictures(request, "COLMAP", folder, pictures);
    out.notes.insert(out.notes.end(), notes.begin(), notes.end());
    return out;
}

}  // namespace

Layout colmap_layout() {
    return {"COLMAP with our poses.npz", "sparse/",
            [](const fs::path& root) { return !find_colmap(root).empty(); }, read};
}

}  // namespace fmgs
