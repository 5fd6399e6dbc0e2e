#include <fmgs/data/convert.h>

#include <ATen/Parallel.h>
#include <fmgs/core/check.h>
#include <fmgs/core/io/aside_folder.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/convert/frame_writer.h>
#include <fmgs/data/convert/input.h>
#include <fmgs/data/file_names.h>
#include <fmt/format.h>

#include <algorithm>
#include <mutex>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

// Whether `path` is `folder` or lies in it.
bool is_within(const fs::path& path, const fs::path& folder) {
    const auto inner = fs::weakly_canonical(path), outer = fs::weakly_canonical(folder);
    for (auto at = inner; !at.empty(); at = at.parent_path()) {
        if (at == outer) return true;
        if (at == at.parent_path()) break;
    }
    return false;
}

void check_output(const ConvertOptions& options) {
    const auto& folder = options.output;
    if (folder.empty()) throw Error("--out: expected the folder of the new capture, got nothing");
    const auto name = folder.string();
    for (const auto& input : {options.input, options.fit, options.masks, fs::path(options.body)}) {
        if (!input.empty() && is_there(folder) && is_within(input, folder))
            throw Error(fmt::format("{}: {} lies in it, and is read; give another --out", name,
                                    input.string()));
    }
    if (!is_there(folder)) return;
    if (!fs::is_directory(folder))
        throw Error(fmt::format("{}: expected a new folder, there is a file", name));
    if (fs::is_empty(folder)) return;
    if (!options.overwrite)
        throw Error(fmt::format(
            "{}: holds files already; give another --out, or --overwrite to replace a capture",
            name));
    const std::vector<std::string> known = {"cameras.npz", "poses.npz",    "images",
                                            "masks",       "priors",       "gt",
                                            "test_view",   "novel_motion", "splits"};
    for (const auto& entry : fs::directory_iterator(folder)) {
        const auto file = entry.path().filename().string();
        if (std::find(known.begin(), known.end(), file) == known.end())
            throw Error(fmt::format(
                "{}: expected a capture that is to be replaced, it also holds {}; give another "
                "--out",
                name, file));
    }
}

// Feature priors that lie beside normals, depth and labels: a folder with an .npy for each frame.
std::map<std::string, std::string> find_features(const fs::path& root,
                                                 const std::vector<FrameSource>& frames,
                                                 std::vector<std::string>& notes) {
    std::map<std::string, std::string> out;
    const fs::path priors = root / "priors";
    PriorFormat format;
    if (is_there(priors / "priors.json")) format = read_prior_format(priors / "priors.json");
    for (const auto& name : list_folders(priors)) {
        const bool known = name == format.normal_folder || name == format.depth_folder ||
                           name == format.seg_folder || name == "color" || name == "mask";
        if (known || list_files(priors / name, ".npy").empty()) continue;
        const auto lacks = [&](const FrameSource& frame) {
            return !is_there(priors / name / (frame.name + ".npy"));
        };
        if (std::any_of(frames.begin(), frames.end(), lacks))
            notes.push_back(fmt::format("{}: not an .npy for each train frame; left out",
                                        (priors / name).string()));
        else
            out[name] = "priors/" + name;
    }
    return out;
}

/// Frames one after the other (of videos) and side by side; the first that fails stops all.
class Work {
  public:
    Work(const detail::FrameWriter& writer, const std::vector<detail::PlacedFrame>& frames,
         const std::function<void(int64_t, int64_t)>& progress)
        : writer_(writer), frames_(frames), progress_(progress) {}

    void run() {
        for (size_t i = 0; i < frames_.size(); ++i)
            if (frames_[i].source->video_frame >= 0) write(i);
        at::parallel_for(
            0, static_cast<int64_t>(frames_.size()), 1, [&](int64_t begin, int64_t end) {
                for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
                    if (frames_[i].source->video_frame < 0) write(i);
            });
        if (failed_) std::rethrow_exception(failed_);
    }

  private:
    void write(size_t i) {
        {
            const std::lock_guard lock(mutex_);
            if (failed_) return;
        }
        try {
            writer_.write(frames_[i]);
            const std::lock_guard lock(mutex_);
            if (progress_) progress_(++done_, static_cast<int64_t>(frames_.size()));
        } catch (...) {
            const std::lock_guard lock(mutex_);
            if (!failed_) failed_ = std::current_exception();
        }
    }

    const detail::FrameWriter& writer_;
    const std::vector<detail::PlacedFrame>& frames_;
    const std::function<void(int64_t, int64_t)>& progress_;
    std::mutex mutex_;
    std::exception_ptr failed_;
    int64_t done_ = 0;
};

}  // namespace

ConvertReport convert(const ConvertOptions& options,
                      const std::function<void(int64_t, int64_t)>& progress) {
    check_output(options);
    ConvertReport report;
    const RestJoints rest(options.body);
    auto source = detail::read_input(options, rest, report);
    const CaptureOptions how{.root = options.input.string(), .body = options.body};
    CaptureParts parts;
    parts.priors = is_there(options.input / "priors");
    const auto features = find_features(options.input, source.splits.front().frames, report.notes);
    const auto capture = open_capture(std::move(source), how, features, parts, rest);
    report.description = capture.source.description;
    const auto& notes = capture.source.notes;
    report.notes.insert(report.notes.end(), notes.begin(), notes.end());
    for (const auto& split : capture.source.splits)
        report.frames.emplace_back(split.name, static_cast<int64_t>(split.frames.size()));
    const auto& reading = capture.reading;
    report.priors = !reading.normal.empty() && !reading.depth.empty() && !reading.semantic.empty();

    const auto frames = detail::place_frames(capture.source);
    report.pictures = static_cast<int64_t>(frames.size());
    AsideFolder aside(options.output);
    const detail::FrameWriter writer(aside.path(), capture, report.masks);
    Work(writer, frames, progress).run();
    detail::write_arrays(aside.path(), capture);
    check_output(options);  // again: it may have been filled meanwhile
    aside.put_in_place();
    return report;
}

}  // namespace fmgs
