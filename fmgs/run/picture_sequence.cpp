#include <fmgs/run/picture_sequence.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/aside_folder.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/image_io.h>
#include <fmgs/eval/colors.h>
#include <fmgs/eval/sheet.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

/// Error unless the folder is one that an earlier call wrote, which a new one may replace.
void check_replaceable(const fs::path& folder) {
    if (!is_there(folder)) return;
    const auto refuse = [&](const fs::path& what) {
        throw Error(
            fmt::format("{}: expected a new folder or one of an earlier render, which is replaced; "
                        "it holds {}; "
                        "give another --out",
                        folder.string(), what.string()));
    };
    const auto numbered = [](const fs::path& file) {
        const auto stem = file.stem().string();
        return file.extension() == ".png" &&
               std::all_of(stem.begin(), stem.end(), [](char c) { return c >= '0' && c <= '9'; });
    };
    if (!fs::is_directory(folder)) refuse("a file");
    for (const auto& map : fs::directory_iterator(folder)) {
        if (!map.is_directory()) refuse(map.path().filename());
        for (const auto& picture : fs::directory_iterator(map)) {
            if (!numbered(picture.path())) refuse(fs::relative(picture.path(), folder));
        }
    }
}

/// Puts pictures and video in their places; a video of an earlier call goes with its pictures.
void put_in_place(AsideFolder& aside, const fs::path& folder) {
    std::vector<std::pair<fs::path, fs::path>> videos;  // beside the pictures → where it belongs
    for (const char* extension : {".mp4", ".avi"}) {
        videos.emplace_back(aside.path().string() + extension, folder.string() + extension);
        const auto made = aside.path() / (std::string("video") + extension);
        if (fs::exists(made)) fs::rename(made, videos.back().first);
    }
    aside.put_in_place();
    for (const auto& [made, place] : videos)
        fs::exists(made) ? fs::rename(made, place) : void(fs::remove(place));
}

}  // namespace

std::string write_pictures(const fs::path& folder, int64_t count, double fps,
                           const std::function<Maps(int64_t)>& draw,
                           const std::function<void(int64_t)>& shown) {
    check_replaceable(folder);
    AsideFolder aside(folder);
    std::unique_ptr<VideoWriter> video;
    for (int64_t k = 0; k < count; ++k) {
        std::vector<torch::Tensor> row;
        const auto maps = draw(k);
        for (const auto& [name, map] : maps) {
            const auto picture = colorize(name, map, maps.at("alpha"));
            fs::create_directories(aside.path() / name);
            write_color(aside.path() / name / fmt::format("{:06d}.png", k), picture);
            row.push_back(picture);
        }
        const auto all = beside(row);
        if (!video)
            video = std::make_unique<VideoWriter>(aside.path() / "video.mp4", all.size(2),
                                                  all.size(1), fps);
        video->add(all);
        shown(k + 1);
    }
    std::string why_not;
    if (video && video->good()) {
        video->finish();
    } else if (fps < VideoWriter::kLeastRate) {
        why_not = fmt::format(
            "no video: {:g} pictures a second, and a video has at least {:g}; use a "
            "smaller --stride",
            fps, VideoWriter::kLeastRate);
    } else {
        why_not = "no video: this OpenCV has no encoder for one";
    }
    video.reset();
    put_in_place(aside, folder);
    return why_not;
}

}  // namespace fmgs
