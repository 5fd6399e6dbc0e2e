#include <fmgs/data/check/mask_fit.h>

#include <ATen/Parallel.h>
#include <fmgs/data/check/box_fit.h>
#include <fmgs/data/file_names.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <functional>
#include <numeric>

namespace fmgs {

namespace {

using Frames = std::vector<CheckedFrame>;
using Change = std::function<CheckedFrame(const CheckedFrame&)>;

double iou_of(const torch::Tensor& a, const torch::Tensor& b) {
    const auto either = (a | b).sum().item<int64_t>();
    return either == 0
               ? 0
               : static_cast<double>((a & b).sum().item<int64_t>()) / static_cast<double>(either);
}

double mean_of(const std::vector<double>& values) {
    return values.empty() ? 0
                          : std::accumulate(values.begin(), values.end(), 0.0) /
                                static_cast<double>(values.size());
}

bool same_camera(const Camera& a, const Camera& b) {
    return torch::equal(a.rotation, b.rotation) && torch::equal(a.translation, b.translation) &&
           torch::equal(a.intrinsics, b.intrinsics) && a.width == b.width && a.height == b.height;
}

// Tries one cause after the other and keeps the best.
class Search {
  public:
    Search(const BodyViewer& viewer, const Frames& frames, const MaskFit& fit)
        : viewer_(viewer), frames_(frames), fit_(fit) {}

    // `masks`: what the masks would be, the silhouettes as they are.
    void try_masks(const std::string& text, torch::Tensor (*change)(const torch::Tensor&)) {
        std::vector<double> after;
        for (size_t i = 0; i < frames_.size(); ++i)
            after.push_back(iou_of(fit_.silhouettes[i], change(frames_[i].mask)));
        keep(text, fit_.iou, after);
    }

    // The frames as they would be.
    void try_frames(const std::string& text, const Change& change) {
        Frames changed;
        for (const auto& frame : frames_) changed.push_back(change(frame));
        keep(text, fit_.iou, fit_masks(viewer_, changed).iou);
    }

    // Frame i as it would be seen; frames without that are left out.
    void try_silhouettes(const std::string& text,
                         const std::function<torch::Tensor(size_t)>& silhouette) {
        std::vector<double> before, after;
        for (size_t i = 0; i < frames_.size(); ++i) {
            const auto seen = silhouette(i);
            if (!seen.defined()) continue;
            before.push_back(fit_.iou[i]);
            after.push_back(iou_of(seen, frames_[i].mask));
        }
        keep(text, before, after);
    }

    // Helps for certain: on average, and in most frames.
    std::optional<Cause> best() const {
        if (best_.text.empty()) return std::nullopt;
        return best_;
    }

  private:
    static constexpr double kLeastGain = 0.02;

    void keep(const std::string& text, const std::vector<double>& before,
              const std::vector<double>& after) {
        constexpr double kLeastShare = 0.7;
        size_t better = 0;
        for (size_t i = 0; i < before.size(); ++i) better += after[i] > before[i] ? 1 : 0;
        if (before.empty() ||
            static_cast<double>(better) < kLeastShare * static_cast<double>(before.size()))
            return;
        const Cause cause{text, mean_of(before), mean_of(after)};
        // What leaves the body beside its mask explains nothing. Simple causes come first; a later
        // one has to be clearly better.
        constexpr double kExplained = 0.5;
        if (cause.after > kExplained &&
            cause.after - cause.before > best_.after - best_.before + kLeastGain)
            best_ = cause;
    }

    const BodyViewer& viewer_;
    const Frames& frames_;
    const MaskFit& fit_;
    Cause best_;
};

// Most of the picture's border is masked in most frames, as it is around a person.
bool is_background(const Frames& frames) {
    size_t count = 0;
    for (const auto& frame : frames) {
        const auto& m = frame.mask;
        const auto border = torch::cat({m[0], m[-1], m.select(1, 0), m.select(1, -1)});
        count += border.to(torch::kFloat).mean().item<double>() > 0.6 ? 1 : 0;
    }
    return 2 * count > frames.size();
}

// Neighbours in the capture are neighbours among the frames that are checked, but for the ends of
// windows, which the share of frames that must get better forgives.
void try_shifted_rows(Search& search, const BodyViewer& viewer, const Frames& frames,
                      const MaskFit& fit) {
    for (const int64_t shift : {-3, -2, -1, 1, 2, 3}) {
        search.try_silhouettes(
            fmt::format("the rows of the poses are shifted: frame i shows the pose of row i{:+d}",
                        shift),
            [&](size_t i) {
                const auto k = static_cast<size_t>(static_cast<int64_t>(i) + shift);
                if (k >= frames.size()) return torch::Tensor();
                return same_camera(frames[i].camera, frames[k].camera)
                           ? fit.silhouettes[k]
                           : viewer.silhouette(frames[k].pose, frames[i].camera);
            });
    }
}

// Poses in the order in which names sort as text, frames in the order of their numbers, or the
// other way round. `all`: every frame of the split.
void try_other_order(Search& search, const BodyViewer& viewer, const Frames& frames,
                     std::span<const Frame> all) {
    std::vector<std::string> names;
    for (const auto& frame : all) names.push_back(frame.name);
    auto by_text = names, by_number = names;
    std::sort(by_text.begin(), by_text.end());
    std::sort(by_number.begin(), by_number.end(), natural_less);
    if (by_text == by_number) return;
    const auto& other = names == by_number ? by_text : by_number;
    search.try_silhouettes(
        "the poses are in another order than the frames, whose names sort otherwise as text than "
        "by their numbers: number them with leading zeros, or give frame_names with the poses",
        [&](size_t i) {
            const auto row = std::find(other.begin(), other.end(), frames[i].name) - other.begin();
            return viewer.silhouette(all[static_cast<size_t>(row)].pose, frames[i].camera);
        });
}

// About x: y and z change their signs.
torch::Tensor half_turn(const Camera& camera) {
    return torch::diag(torch::tensor({1.0, -1.0, -1.0}, camera.rotation.options()));
}

void try_other_cameras(Search& search) {
    const auto attempt = [&](const std::string& text, void (*change)(Camera&)) {
        search.try_frames(text, [=](CheckedFrame frame) {
            change(frame.camera);
            return frame;
        });
    };
    attempt("the extrinsics are camera → world: invert them", [](Camera& camera) {
        camera.rotation = camera.rotation.t().contiguous();
        camera.translation = -torch::mv(camera.rotation, camera.translation);
    });
    attempt(
        "the cameras have OpenGL's axes (y up, z to the viewer): turn rows 2 and 3 of the "
        "extrinsics round",
        [](Camera& camera) {
            const auto turn = half_turn(camera);
            camera.rotation = torch::mm(turn, camera.rotation);
            camera.translation = torch::mv(turn, camera.translation);
        });
    attempt(
        "the people stand on their heads: the world of the poses has y up, that of the cameras y "
        "down",
        [](Camera& camera) { camera.rotation = torch::mm(camera.rotation, half_turn(camera)); });
}

void try_units(Search& search) {
    for (const double factor : {0.001, 0.01, 0.1, 10.0, 100.0}) {
        search.try_frames(
            fmt::format("the translations are not in metres: multiply them by {:g}", factor),
            [=](CheckedFrame frame) {
                frame.pose.translation = frame.pose.translation * factor;
                return frame;
            });
    }
}

// By the boxes around silhouettes and masks: how much larger, and where.
void try_sizes(Search& search, const BodyViewer& viewer, const Frames& frames, const MaskFit& fit) {
    const auto boxes = fit_boxes(fit.silhouettes, frames);
    if (!boxes) return;
    const auto attempt = [&](const BoxFit& box, const std::string& text) {
        search.try_frames(text, [&](CheckedFrame frame) {
            frame.camera = box.changed(frame.camera);
            return frame;
        });
    };
    const double pixel = viewer.pixel_size(frames[0].pose, frames[0].camera);
    const auto size = [](double scale) { return fmt::format("{:.2f} times as large", 1 / scale); };
    const auto place = [&](const BoxFit& box) {
        std::string text;
        const auto add = [&](double pixels, const char* one_way, const char* other_way) {
            const double centimetres = 100 * pixel * pixels;
            if (std::abs(pixels) < 0.1 * std::hypot(box.right, box.down)) return;
            text += fmt::format("{}{:.0f} cm too far {}", text.empty() ? "" : " and ",
                                std::abs(centimetres), centimetres < 0 ? one_way : other_way);
        };
        add(box.right, "right", "left");
        add(box.down, "down", "up");
        return text;
    };
    attempt(boxes->shifted, fmt::format("the body stands {} in the picture: its translations are "
                                        "of another joint or camera, or the "
                                        "principal point is another",
                                        place(boxes->shifted)));
    attempt(boxes->scaled,
            fmt::format("the body is drawn {} as its masks about the principal point: the focal "
                        "length is too {}, or "
                        "translations have another unit",
                        size(boxes->scaled.scale), boxes->scaled.scale < 1 ? "long" : "short"));
    attempt(boxes->both, fmt::format("the body is drawn {} as its masks, and {}: pictures of "
                                     "another crop or size than the cameras",
                                     size(boxes->both.scale), place(boxes->both)));
}

}  // namespace

MaskFit fit_masks(const BodyViewer& viewer, const Frames& frames) {
    MaskFit fit;
    fit.silhouettes.resize(frames.size());
    fit.iou.resize(frames.size());
    at::parallel_for(0, static_cast<int64_t>(frames.size()), 1, [&](int64_t begin, int64_t end) {
        const torch::NoGradGuard guard;
        for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
            fit.silhouettes[i] = viewer.silhouette(frames[i].pose, frames[i].camera);
            fit.iou[i] = iou_of(fit.silhouettes[i], frames[i].mask);
        }
    });
    fit.mean = mean_of(fit.iou);
    return fit;
}

std::optional<Cause> find_cause(const BodyViewer& viewer, const Frames& frames, const MaskFit& fit,
                                std::span<const Frame> all) {
    Search search(viewer, frames, fit);
    if (is_background(frames)) {
        search.try_masks("the masks are inverted: white is the background; invert them",
                         [](const torch::Tensor& mask) { return ~mask; });
        return search.best();  // nothing else can be told by them
    }
    search.try_masks("pictures and masks are mirrored, or the poses are: flip one of them",
                     [](const torch::Tensor& mask) { return mask.flip(1); });
    try_shifted_rows(search, viewer, frames, fit);
    try_other_order(search, viewer, frames, all);
    if (fit.mean < kPlausibleIou) {
        try_other_cameras(search);
        try_units(search);
        try_sizes(search, viewer, frames, fit);
    }
    return search.best();
}

}  // namespace fmgs
