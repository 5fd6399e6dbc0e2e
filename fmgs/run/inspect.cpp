#include <fmgs/run/inspect.h>

#include <fmgs/core/config/config.h>
#include <fmgs/data/check/coverage.h>
#include <fmgs/data/check/overlay.h>
#include <fmgs/eval/colors.h>
#include <fmgs/eval/sheet.h>
#include <fmgs/run/begin.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/types.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace fmgs {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::array kSectors = {"front", "front left", "left",  "back left",
                                 "back",  "back right", "right", "front right"};
constexpr std::array kPriors = {"normal", "depth", "semantic"};

/// What is said, as text and for programs.
class Report {
  public:
    void title(const std::string& name) { text += name + "\n"; }
    void line(const std::string& what) { text += "  " + what + "\n"; }
    std::string text;
    Json json;
};

/// The splits, train first.
std::vector<std::string> split_order(const Capture& capture) {
    std::vector<std::string> names = {"train"};
    for (const auto& [name, frames] : capture.splits)
        if (name != "train") names.push_back(name);
    return names;
}

void report_capture(const Run& run, Report& out) {
    out.title(run.capture.description);
    out.json["root"] = run.options.data.root;
    out.json["description"] = run.capture.description;
    out.json["notes"] = run.capture.notes;
    for (const auto& note : run.capture.notes) out.line("note: " + note);
    for (const auto& [name, frames] : run.capture.splits) {
        const auto& camera = frames.heads().front().camera;
        out.json["splits"][name] = {
            {"frames", frames.size()}, {"width", camera.width}, {"height", camera.height}};
    }
}

/// Whether training would begin.
bool report_check(const Findings& found, Report& out) {
    out.title("Checked");
    for (const auto& line : found.lines) out.line(line);
    for (const auto& warning : found.warnings) out.line("warning: " + warning);
    for (const auto& problem : found.problems) out.line("problem: " + problem);
    out.json["check"] = {
        {"lines", found.lines}, {"warnings", found.warnings}, {"problems", found.problems}};
    return found.problems.empty();
}

void report_coverage(const Run& run, const Body& body, Report& out) {
    out.title("Seen from (frames), and how far poses leave those of training");
    const auto train = run.capture.splits.at("train").heads();
    for (const auto& name : split_order(run.capture)) {
        const auto& frames = run.capture.splits.at(name);
        const auto counts = view_sectors(body, frames.heads());
        std::vector<std::string> views;
        for (size_t i = 0; i < counts.size(); ++i) {
            if (counts[i] > 0) views.push_back(fmt::format("{} {}", kSectors[i], counts[i]));
        }
        auto text = fmt::format("{}: {}", name, fmt::join(views, ", "));
        auto& json = out.json["coverage"][name];
        for (size_t i = 0; i < counts.size(); ++i) json["views"][kSectors[i]] = counts[i];
        if (name != "train") {
            const auto reach = pose_reach(body, train, frames.heads());
            json["pose_outside_degrees"] = {{"median", reach.median},
                                            {"largest", reach.largest},
                                            {"joint", reach.joint},
                                            {"frame", reach.frame}};
            if (reach.joint >= 0)
                text += fmt::format(
                    "; {:.0f}° outside in the median frame, {:.0f}° at most (joint {}, '{}')",
                    reach.median, reach.largest, reach.joint, reach.frame);
        }
        out.line(text);
    }
}

void report_missing(const Run& run, const Maps& maps, Report& out) {
    out.json["missing"] = Json::array();
    bool titled = false;
    for (const char* prior : kPriors) {
        if (maps.contains(prior)) continue;
        if (!std::exchange(titled, true)) out.title("Missing");
        out.json["missing"].push_back(prior);
        out.line(fmt::format(
            "{} priors: extract_priors {} --{} NETWORK makes them; without them set the losses "
            "that "
            "need them to 0, as training says",
            prior, run.options.data.root, std::string_view(prior) == "semantic" ? "seg" : prior));
    }
}

/// Rows and columns of the picture that body or mask fill, with a margin.
struct Cut {
    int64_t top, bottom, left, right;

    torch::Tensor of(const torch::Tensor& picture) const {
        return picture.slice(1, top, bottom).slice(2, left, right);
    }
};
Cut cut_to(const torch::Tensor& shown) {
    const auto range = [](const torch::Tensor& any) -> std::pair<int64_t, int64_t> {
        const auto at = any.nonzero();
        const int64_t size = any.size(0), margin = size / 20;
        if (at.numel() == 0) return {0, size};
        return {std::max<int64_t>(0, at.min().item<int64_t>() - margin),
                std::min(size, at.max().item<int64_t>() + 1 + margin)};
    };
    const auto [top, bottom] = range(shown.any(1));
    const auto [left, right] = range(shown.any(0));
    return {top, bottom, left, right};
}

torch::Tensor draw_row(const Frame& frame, const Body& body, const BodyViewer& viewer) {
    constexpr int64_t kHeight = 480;
    const auto mask = frame.maps.at("mask");
    std::vector<torch::Tensor> pictures = {draw_over(frame.maps.at("color"), body, viewer, frame),
                                           draw_beside(mask, viewer, frame)};
    for (const char* prior : kPriors) {
        if (const auto* map = frame.maps.find(prior))
            pictures.push_back(colorize(prior, *map, mask));
    }
    const auto cut = cut_to((mask[0] >= 0.5) | viewer.silhouette(frame.pose, frame.camera));
    for (auto& picture : pictures) {
        picture = cut.of(picture);
        picture = shrink_area(picture, (picture.size(1) + kHeight - 1) / kHeight);
    }
    return beside(pictures);
}

}  // namespace

Inspection inspect(const Run& run, int64_t count) {
    const torch::NoGradGuard guard;
    const auto body = body_on_cpu(run);
    Inspection out;
    Report report;
    report_capture(run, report);
    out.sound = report_check(check_capture(*body, run.capture), report);
    report_coverage(run, *body, report);
    report_missing(run, run.capture.splits.at("train").front().maps, report);

    const BodyViewer viewer(*body);
    std::vector<torch::Tensor> rows;
    for (const auto& name : split_order(run.capture)) {
        const auto& frames = run.capture.splits.at(name);
        const auto shown = std::min<size_t>(static_cast<size_t>(count), frames.size());
        std::vector<std::string> drawn;
        for (size_t k = 0; k < shown; ++k) {
            const auto frame = frames[k * frames.size() / shown];
            rows.push_back(draw_row(frame, *body, viewer));
            drawn.push_back(frame.name);
        }
        report.json["sheet"].push_back({{"split", name}, {"frames", drawn}});
    }
    out.sheet = below(rows);
    out.text = report.text;
    out.json = report.json.dump(1) + "\n";
    return out;
}

}  // namespace fmgs
