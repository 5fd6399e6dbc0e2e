#include <fmgs/run/picture_sequence.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/aside_folder.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/image_io.h>
#include <fmgs/eval/colors.h>
#include <fmgs/eval/sheet.h>
#include <fmgs/run/grid.h>
#include <fmgs/run/map_values.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

constexpr const char* kGrid = "grid.png";

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
        return (file.extension() == ".png" || file.extension() == ".npy") &&
               std::all_of(stem.begin(), stem.end(), [](char c) { return c >= '0' && c <= '9'; });
    };
    if (!fs::is_directory(folder)) refuse("a file");
    for (const auto& map : fs::directory_iterator(folder)) {
        if (map.is_regular_file() && map.path().filename() == kGrid) continue;
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

/// The video of a sequence, or why there is none.
class Film {
  public:
    Film(fs::path file, double fps) : file_(std::move(file)), fps_(fps) {}

    void add(const torch::Tensor& picture) {
        if (!writer_) {
            size_ = picture.sizes().vec();
            writer_ = std::make_unique<VideoWriter>(file_, picture.size(2), picture.size(1), fps_);
        }
        one_size_ = one_size_ && picture.sizes() == size_;
        if (one_size_) writer_->add(picture);
    }
    /// Ends the file; empty, or why there is none.
    std::string finish() {
        const auto writer = std::move(writer_);
        if (fps_ < VideoWriter::kLeastRate)
            return fmt::format(
                "no video: {:g} pictures a second, and a video has at least {:g}; use a "
                "smaller --stride",
                fps_, VideoWriter::kLeastRate);
        if (!one_size_) return "no video: its pictures are of different sizes";
        if (!writer || !writer->good()) return "no video: this OpenCV has no encoder for one";
        writer->finish();
        return {};
    }

  private:
    fs::path file_;
    double fps_;
    std::unique_ptr<VideoWriter> writer_;
    std::vector<int64_t> size_;
    bool one_size_ = true;
};

/// Writes what belongs to picture k; its maps as pictures.
NamedPictures write_picture(const fs::path& folder, int64_t k, const Maps& maps,
                            const PictureOptions& options) {
    NamedPictures out;
    for (const auto& [name, map] : maps) {
        const auto picture = colorize(name, map, maps.at("alpha"));
        const auto file = folder / name / fmt::format("{:06d}.png", k);
        if (options.transparent && name != "alpha") {
            const auto seen = name == "color" ? maps.at("alpha") : picture.ne(0).any(0, true);
            write_color(file, straight_alpha(picture, seen));
        } else {
            write_color(file, picture);
        }
        out.emplace_back(name, picture);
    }
    for (const auto& name : options.values) write_map_values(folder, name, k, maps);
    return out;
}

}  // namespace

std::string write_pictures(const fs::path& folder, int64_t count,
                           const std::function<Maps(int64_t)>& draw,
                           const std::function<void(int64_t)>& shown,
                           const PictureOptions& options) {
    check_replaceable(folder);
    AsideFolder aside(folder);
    Film film(aside.path() / "video.mp4", options.fps);
    Grid grid(count);
    for (int64_t k = 0; k < count; ++k) {
        const auto maps = draw(k);
        const auto pictures = write_picture(aside.path(), k, maps, options);
        grid.add(k, pictures, maps.at("alpha"));
        std::vector<torch::Tensor> row;
        for (const auto& [name, picture] : pictures) row.push_back(picture);
        film.add(beside(row));
        shown(k + 1);
    }
    auto why_not = film.finish();
    write_color(aside.path() / kGrid, grid.picture());
    put_in_place(aside, folder);
    return why_not;
}

}  // namespace fmgs
