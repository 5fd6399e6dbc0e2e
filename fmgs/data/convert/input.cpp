#include <fmgs/data/convert/input.h>

#include <fmgs/core/body_model.h>
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/convert/fit_links.h>
#include <fmgs/data/file_names.h>
#include <fmgs/data/image_io.h>
#include <fmgs/data/picture_header.h>
#include <fmgs/data/video_reader.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

namespace fmgs::detail {

namespace fs = std::filesystem;

namespace {

using Names = std::vector<std::string>;

PoseFile read_fit(const ConvertOptions& options, const RestJoints& rest) {
    PoseFileOptions how{.person = options.person, .mhr_folder = options.mhr};
    if (!rest.has_body()) return read_pose_file(options.fit, how);
    const BodyModel body(*rest.body(options.fit.string()), torch::zeros({0}));
    how.body = body.get();
    return read_pose_file(options.fit, how);
}

// The camera that the fit was made with, which is where its world begins.
SourceCamera camera_of(const PoseFile& fit, int64_t row, MapSize size, const std::string& what) {
    torch::Tensor f;
    try {
        f = fit.camera->intrinsics_of(row, size.width, size.height).to(torch::kDouble);
    } catch (const Error& error) {
        throw Error(fmt::format("{}: {}; is it the fit of other pictures?", what, error.what()));
    }
    const auto at = [&](int64_t i) { return f[i].item<double>(); };
    return {intrinsic_of(at(0), at(1), at(2), at(3)),
            torch::eye(4, torch::kDouble),
            {},
            size.width,
            size.height};
}

// Leaves out those frames of which `keep` says no, counted, the first ones by name.
template <class Keep>
void leave_out(std::vector<FrameSource>& frames, const std::string& why, ConvertReport& report,
               Keep&& keep) {
    Names out;
    const size_t all = frames.size();
    std::erase_if(frames, [&](FrameSource& frame) {
        if (keep(frame)) return false;
        out.push_back(frame.name);
        return true;
    });
    if (out.empty()) return;
    report.left_out += static_cast<int64_t>(out.size());
    std::string first;
    for (size_t k = 0; k < std::min<size_t>(out.size(), 3); ++k)
        first += fmt::format("{}'{}'", k ? ", " : "", out[k]);
    report.notes.push_back(fmt::format("{} of {} frames {} and are left out: {}{}", out.size(), all,
                                       why, first, out.size() > 3 ? ", …" : ""));
}

bool take_mask(const fs::path& folder, FrameSource& frame) {
    for (const auto& name : {frame.name, fs::path(frame.name).filename().string()}) {
        const auto file = find_mask(folder, name);
        if (!is_there(file)) continue;
        frame.mask = {{file}, MaskSource::Says::person, 0};
        return true;
    }
    return false;
}

void take_masks(const fs::path& folder, std::vector<FrameSource>& frames, ConvertReport& report) {
    if (!is_there(folder) || !fs::is_directory(folder))
        throw Error(fmt::format("{}: expected a folder of masks", folder.string()));
    leave_out(frames, fmt::format("have no mask in {}", folder.string()), report,
              [&](FrameSource& frame) { return take_mask(folder, frame); });
}

void check_some_left(const std::vector<FrameSource>& frames, const ConvertOptions& options) {
    if (!frames.empty()) return;
    if (options.masks.empty())
        throw Error(fmt::format("{}: no frame to train on is left", options.input.string()));
    throw Error(fmt::format(
        "{}: no mask belongs to a frame that has a pose; expected the names of the pictures",
        options.masks.string()));
}

// Whether an alpha channel says anything: one that is the same everywhere is none.
bool has_alpha(const fs::path& picture) {
    if (!read_picture_header(picture).alpha) return false;
    const auto values = read_channels(picture);
    const auto alpha = values[values.size(0) - 1];
    return (alpha != alpha[0][0]).any().item<bool>();
}

// As many masks as a video has frames are its masks in their order, whatever their names count
// from.
bool take_masks_in_order(const fs::path& folder, std::vector<FrameSource>& frames) {
    if (!is_there(folder) || !fs::is_directory(folder)) return false;
    const auto stems = list_pictures(folder);
    if (stems.size() != frames.size()) return false;
    for (size_t k = 0; k < stems.size(); ++k)
        frames[k].mask.files = {find_picture(folder, stems[k])};
    return true;
}

// Masks of pictures that belong to no capture.
void find_masks(const ConvertOptions& options, bool is_video, std::vector<FrameSource>& frames,
                ConvertReport& report) {
    if (is_video && take_masks_in_order(options.masks, frames)) return;
    if (!options.masks.empty()) return take_masks(options.masks, frames, report);
    if (is_video || !has_alpha(frames.front().picture)) {
        report.masks = false;
        for (auto& frame : frames) frame.mask = {{}, MaskSource::Says::everything, 0};
        return;
    }
    leave_out(frames, "have no alpha channel, which is the mask of the first one,", report,
              [](FrameSource& frame) {
                  frame.mask = {{}, MaskSource::Says::alpha, 0};
                  return read_picture_header(frame.picture).alpha;
              });
}

// The train split of frames that have nothing but a fit.
CaptureSource with_fit(const ConvertOptions& options, const RestJoints& rest,
                       const std::string& what, bool is_video, std::vector<FrameSource> frames,
                       const std::function<MapSize(const FrameSource&)>& size_of,
                       ConvertReport& report) {
    if (options.fit.empty())
        throw Error(
            fmt::format("{}: {} has no poses; give a fit of it (ROMP, WHAM, 4D-Humans, GVHMR, "
                        "…): --fit FILE",
                        options.input.string(), what));
    SplitSource train{"train", options.fit, read_fit(options, rest), {}};
    const auto& fit = train.poses;
    const auto fit_name = options.fit.string();
    report.notes.insert(report.notes.end(), fit.notes.begin(), fit.notes.end());
    if (!fit.camera)
        throw Error(
            fmt::format("{}: {} says nothing of a camera, and {} has none; give a fit that does "
                        "(ROMP, WHAM, 4D-Humans, GVHMR, …), or cameras.npz and poses.npz beside "
                        "images/ (docs/data_layouts.md)",
                        fit_name, fit.layout, what));
    Names names;
    for (const auto& frame : frames) names.push_back(frame.name);
    const auto rows =
        link_fit(fit, fit_name, names, is_video ? FramesOf::video : FramesOf::folder, report.notes);
    for (size_t k = 0; k < frames.size(); ++k) frames[k].row = rows[k];
    find_masks(options, is_video, frames, report);
    leave_out(frames, fmt::format("have no pose in {}", fit_name), report,
              [](const FrameSource& frame) { return frame.row >= 0; });
    check_some_left(frames, options);
    for (auto& frame : frames) frame.camera = camera_of(fit, frame.row, size_of(frame), fit_name);
    report.notes.push_back(fmt::format("{}: the camera is the fit's, {}; its space is the world",
                                       fit_name, fit.camera->origin));
    train.frames = std::move(frames);
    return {fmt::format("{} with a fit by {}", what, fit.layout), {std::move(train)}, {}};
}

CaptureSource read_folder(const ConvertOptions& options, const RestJoints& rest,
                          ConvertReport& report) {
    std::vector<FrameSource> frames;
    Names names;
    try {
        names = list_pictures(options.input);
    } catch (const Error&) {
        std::string known;
        for (const auto& layout : layouts())
            known += fmt::format("{}{}", known.empty() ? "" : ", ", layout.files);
        throw Error(fmt::format(
            "{}: expected a capture (a folder with {}), a folder of pictures (.png, .jpg) or a "
            "video{}",
            options.input.string(), known,
            is_there(options.input / "images") ? "; give its folder images/" : ""));
    }
    for (const auto& name : names) {
        FrameSource frame;
        frame.name = name;
        frame.picture = find_picture(options.input, name);
        frame.folder = options.input;
        frames.push_back(std::move(frame));
    }
    return with_fit(
        options, rest, "a folder of pictures", false, std::move(frames),
        [](const FrameSource& frame) { return stored_size(frame.picture); }, report);
}

CaptureSource read_video(const ConvertOptions& options, const RestJoints& rest,
                         ConvertReport& report) {
    if (is_picture(options.input))
        throw Error(
            fmt::format("{}: expected a capture, a folder of pictures or a video, got one "
                        "picture; give its folder",
                        options.input.string()));
    VideoReader video(options.input);
    const MapSize size{video.height(), video.width()};
    std::vector<FrameSource> frames(static_cast<size_t>(video.count()));
    if (frames.empty())
        throw Error(
            fmt::format("{}: no frame of this video can be decoded", options.input.string()));
    for (size_t k = 0; k < frames.size(); ++k) {
        frames[k].name = fmt::format("{:06d}", k);
        frames[k].picture = options.input;
        frames[k].video_frame = static_cast<int64_t>(k);
        frames[k].folder = options.input;
    }
    return with_fit(
        options, rest, "a video", true, std::move(frames),
        [size](const FrameSource&) { return size; }, report);
}

std::string stem_of(const FrameSource& frame) { return fs::path(frame.name).filename().string(); }

// Of the splits whose pictures lie with those of the train split: others have poses of their own.
std::vector<SplitSource*> fitted_splits(CaptureSource& source) {
    std::vector<SplitSource*> out;
    for (auto& split : source.splits) {
        if (split.frames.front().folder == source.splits.front().frames.front().folder)
            out.push_back(&split);
    }
    return out;
}

void replace_poses(const ConvertOptions& options, const RestJoints& rest, CaptureSource& source,
                   ConvertReport& report) {
    const auto fit = read_fit(options, rest);
    const auto what = options.fit.string();
    report.notes.insert(report.notes.end(), fit.notes.begin(), fit.notes.end());
    std::map<std::string, std::set<std::string>> frames_of;  // name → with their cameras
    const auto splits = fitted_splits(source);
    for (const auto* split : splits)
        for (const auto& frame : split->frames) frames_of[stem_of(frame)].insert(frame.name);
    Names names;
    for (const auto& [name, frames] : frames_of) {
        names.push_back(name);
        if (fit.camera && frames.size() > 1)
            throw Error(fmt::format(
                "{}: {} is a fit before one camera, and '{}' is there before {}; expected poses in "
                "the world of the capture",
                what, fit.layout, name, frames.size()));
    }
    std::sort(names.begin(), names.end(), natural_less);
    const auto rows = link_fit(fit, what, names, FramesOf::capture, report.notes);
    std::map<std::string, int64_t> row_of;
    for (size_t k = 0; k < names.size(); ++k) row_of[names[k]] = rows[k];
    FrameReading reading;
    reading.decoders = make_decoders();
    for (auto* split : splits) {
        split->pose_path = options.fit;
        split->poses = fit;
        leave_out(split->frames, fmt::format("of split {} have no pose in {}", split->name, what),
                  report, [&](FrameSource& frame) {
                      frame.row = row_of.at(stem_of(frame));
                      return frame.row >= 0;
                  });
        for (auto& frame : split->frames) {
            if (!fit.camera) break;
            const auto size = frame_camera(frame, reading);
            frame.camera = camera_of(fit, frame.row, {size.height, size.width}, what);
        }
    }
    if (fit.camera)
        report.notes.push_back(
            fmt::format("{}: the cameras are the fit's, {}, not the capture's; pictures stay as "
                        "they are",
                        what, fit.camera->origin));
}

CaptureSource read_layout(const ConvertOptions& options, const RestJoints& rest,
                          ConvertReport& report) {
    const CaptureOptions how{.root = options.input.string(),
                             .body = options.body,
                             .splits = options.splits,
                             .camera = options.camera};
    const CaptureParts all;
    auto source = layout_of(options.input).read({how, all, rest});
    if (!options.fit.empty()) replace_poses(options, rest, source, report);
    for (auto& split : source.splits) {
        // People have the pictures of some cameras only.
        if (split.name != "train")
            leave_out(split.frames, fmt::format("of split {} have no picture", split.name), report,
                      [](const FrameSource& frame) { return is_there(frame.picture); });
        if (!options.masks.empty() && !split.frames.empty())
            take_masks(options.masks, split.frames, report);
    }
    check_some_left(source.splits.front().frames, options);
    std::erase_if(source.splits, [](const SplitSource& split) { return split.frames.empty(); });
    return source;
}

}  // namespace

CaptureSource read_input(const ConvertOptions& options, const RestJoints& rest,
                         ConvertReport& report) {
    if (!is_there(options.input))
        throw Error(
            fmt::format("{}: there is no such capture, folder or video", options.input.string()));
    if (options.person >= 0 && options.fit.empty())
        throw Error(fmt::format("--person {}: expected a fit of several persons, --fit FILE",
                                options.person));
    if (!fs::is_directory(options.input)) return read_video(options, rest, report);
    return find_layout(options.input) ? read_layout(options, rest, report)
                                      : read_folder(options, rest, report);
}

}  // namespace fmgs::detail
