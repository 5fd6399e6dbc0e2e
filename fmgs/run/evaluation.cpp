#include <fmgs/run/evaluation.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/body_file.h>
#include <fmgs/data/check/overlay.h>
#include <fmgs/data/pose_links.h>
#include <fmgs/eval/sheet.h>
#include <fmgs/eval/surface.h>
#include <fmgs/raster/render.h>
#include <fmgs/run/begin.h>
#include <fmgs/run/draw.h>
#include <fmgs/run/fit_test_poses.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

namespace fmgs {
namespace {

constexpr double kErrorShown = 0.2;  // of a colour in [0,1]: what the last colour stands for

/// Whether any loss looks at labels: without one, miou says nothing.
bool trains_labels(const LossOptions& losses) {
    if (!losses.semantic.weight.zero()) return true;
    return std::any_of(losses.others.begin(), losses.others.end(), [](const auto& other) {
        const auto& [name, term] = other;
        return !term.weight.zero() && (term.map.empty() ? name : term.map) == "semantic";
    });
}

bool same_camera(const Camera& a, const Camera& b) {
    return torch::equal(a.rotation, b.rotation) && torch::equal(a.translation, b.translation) &&
           torch::equal(a.intrinsics, b.intrinsics);
}

/// ‖x₀ - 2x₁ + x₂‖ of points that are followed over frames.
class Jitter {
  public:
    void add(const torch::Tensor& places) {
        const auto x = places.to(torch::kCPU, torch::kFloat64);
        if (before_.defined()) {
            sum_ += (x - 2 * last_ + before_).norm(2, 1).mean().item<double>();
            ++count_;
        }
        before_ = last_;
        last_ = x;
    }
    double mean() const { return count_ == 0 ? NAN : sum_ / static_cast<double>(count_); }

  private:
    torch::Tensor before_, last_;
    double sum_ = 0;
    int64_t count_ = 0;
};

}  // namespace

Evaluator::Evaluator(Run& run, std::vector<std::string> presets, bool fit_test_poses)
    : run_(run), presets_(std::move(presets)), fit_(fit_test_poses) {
    for (const auto& name : presets_) preset(name);
    const auto& options = run.options.eval;
    if (!options.lpips_vgg.empty())
        networks_.vgg = read_lpips(options.lpips_vgg, "eval.lpips_vgg", LpipsNetwork::vgg);
    if (!options.lpips_alex.empty())
        networks_.alex = read_lpips(options.lpips_alex, "eval.lpips_alex", LpipsNetwork::alex);
    for (auto& parameter : run.root->parameters()) parameter.set_requires_grad(false);
    template_ = canonical_template(*run.body, run.options.avatar.subdivisions);
    untrained_ = SurfelSet(template_.mesh, run.options.avatar.surfels);
    untrained_->to(run.device);
}

std::string Evaluator::note() const {
    std::vector<std::string> missing;
    auto used = presets_;
    used.insert(used.begin(), "clean");
    for (const auto network : {LpipsNetwork::vgg, LpipsNetwork::alex}) {
        const bool wanted = std::any_of(used.begin(), used.end(), [&](const auto& name) {
            const auto& uses = preset(name).lpips;
            return std::any_of(uses.begin(), uses.end(),
                               [&](const auto& use) { return use.network == network; });
        });
        if (wanted && networks_.of(network).is_empty())
            missing.emplace_back(network == LpipsNetwork::vgg ? "eval.lpips_vgg"
                                                              : "eval.lpips_alex");
    }
    if (missing.empty()) return {};
    return fmt::format("LPIPS is left out where it needs {}, which is not set\n",
                       fmt::join(missing, " or "));
}

MetricValues Evaluator::measure(const Frame& frame, const Maps& rendered, const BodyPose& pose,
                                Confusion* confusion) const {
    auto values = evaluate_frame(rendered, frame, confusion, networks_);
    auto pictures = compared(rendered, frame);
    if (!pictures.color.defined()) return values;
    for (const auto& name : presets_) {
        const auto& how = preset(name);
        if (how.region == Preset::Region::body_box && !pictures.body_box.defined())
            pictures.body_box = projected_box(frame.camera, run_.body->posed(pose));
        for (const auto& [metric, value] : fmgs::measure(how, pictures, networks_))
            values.emplace_back(metric + "@" + name, value);
    }
    return values;
}

void Evaluator::add_surface(const std::string& split, const Frame& frame, const BodyPose& pose,
                            const torch::Tensor& moved, SplitResult& out) const {
    const auto file = find_true_mesh(run_.options.data.root, split, frame.name);
    if (file.empty() || moved.size(0) != template_.mesh.faces.size(0)) return;
    const auto truth = read_mesh(file);
    const Mesh bare{skin(template_.weights, run_.body->bones(pose), template_.mesh.vertices),
                    template_.mesh.faces};
    const auto add = [&](const Mesh& mesh, SplitMetrics& metrics) {
        const auto errors = surface_errors(mesh, truth);
        auto& values = metrics.frames.back().second;
        values.emplace_back("chamfer", errors.chamfer);
        values.emplace_back("p2s", errors.point_to_surface);
        values.emplace_back("f_1cm", errors.f_1cm);
    };
    try {
        add(carried(bare, moved), out.avatar);
        add(bare, out.bare);
    } catch (const Error& error) {
        throw Error(fmt::format("{}: {}", file.string(), error.what()));
    }
}

void Evaluator::draw_worst(const FrameList& frames, const std::vector<BodyPose>& poses,
                           SplitResult& out) const {
    std::vector<size_t> order;
    const auto quality = [&](size_t k) { return value_of(out.avatar.frames[k].second, "psnr"); };
    for (size_t k = 0; k < frames.size(); ++k) {
        if (!std::isnan(quality(k))) order.push_back(k);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return quality(a) < quality(b); });
    order.resize(std::min(order.size(), static_cast<size_t>(run_.options.eval.worst)));
    std::vector<torch::Tensor> rows;
    for (const auto k : order) {
        const auto frame = frames[k];
        rows.push_back(error_row(frame, draw(run_.avatar, frame.camera, poses[k]), kErrorShown));
        out.worst_frames.push_back(fmt::format("{} ({:.2f} dB)", frame.name, quality(k)));
    }
    if (rows.empty()) return;
    const auto sheet = below(rows);
    out.worst = beside({sheet, error_legend(kErrorShown, rows.front().size(1))}, 8);
}

SplitResult Evaluator::measure(const std::string& split, const std::function<void()>& progress) {
    using Clock = std::chrono::steady_clock;
    const auto& frames = run_.capture.splits.at(split);
    const auto& modalities = run_.options.avatar.modalities;
    const bool labels =
        modalities.count("semantic") && trains_labels(run_.options.objective.losses);
    Confusion confusion(labels ? modalities.at("semantic").channels : 1);
    SplitResult out{.name = fit_ ? split + "_fitted" : split};
    std::vector<torch::Tensor> rows;
    std::vector<BodyPose> poses;
    Jitter jitter, bare_jitter;
    bool one_camera = true;
    for (const auto& frame : frames) {
        const auto taken = take(run_, frame);
        const auto pose = fit_ ? fit_test_pose(run_, taken) : taken.pose;
        const auto start = Clock::now();
        const auto posed = posed_surfels(run_.avatar, taken.camera, pose);
        const auto rendered = draw(posed, taken.camera);
        if (!poses.empty()) {  // the first one warms up
            out.seconds += std::chrono::duration<double>(Clock::now() - start).count();
            ++out.drawn;
        }
        const torch::NoGradGuard guard;
        const auto bare =
            template_surfels(*run_.body, *untrained_, run_.options.avatar.subdivisions, pose)
                .posed();
        const auto bare_maps =
            render(bare, taken.camera, {"alpha", "depth", "normal"}).to(torch::kCPU);
        out.avatar.frames.emplace_back(
            frame.name, measure(frame, rendered, pose, labels ? &confusion : nullptr));
        out.bare.frames.emplace_back(frame.name, evaluate_frame(bare_maps, frame));
        add_surface(split, frame, pose, posed.center - bare.center, out);
        one_camera &= same_camera(frame.camera, frames.heads().front().camera);
        jitter.add(posed.center);
        bare_jitter.add(bare.center);
        if (poses.size() % std::max<size_t>(1, frames.size() / 4) == 0)
            rows.push_back(sheet_row(frame, rendered));
        poses.push_back(pose);
        if (progress) progress();
    }
    out.avatar.whole = {{"miou", confusion.mean_iou()},
                        {"jitter", one_camera ? jitter.mean() : NAN}};
    out.bare.whole = {{"jitter", one_camera ? bare_jitter.mean() : NAN}};
    out.sheet = below(rows);
    draw_worst(frames, poses, out);
    return out;
}

SplitMetrics pose_errors(const Run& run) {
    const auto& file = run.options.eval.true_poses;
    const auto body = body_on_cpu(run);
    const auto heads = run.capture.splits.at("train").heads();
    const auto truth = read_pose_file(file, {.body = body.get()}).with_smpl_transl(body->joints());
    std::vector<std::string> pictures;
    for (const auto& head : heads) pictures.push_back(head.name);
    const auto links = read_pose_links(file, truth, pictures);
    if (links.names.empty() && truth.count() != static_cast<int64_t>(heads.size()))
        throw Error(
            fmt::format("eval.true_poses: {}: expected a row for each of the {} train "
                        "frames, or frame_names, got {} rows",
                        file, heads.size(), truth.count()));
    SplitMetrics out;
    const torch::NoGradGuard guard;
    for (size_t k = 0; k < heads.size(); ++k) {
        auto row = static_cast<int64_t>(k);
        if (!links.names.empty()) {
            const auto at = std::find(links.names.begin(), links.names.end(), heads[k].name);
            if (at == links.names.end())
                throw Error(fmt::format("eval.true_poses: {}: there is no row for frame '{}'", file,
                                        heads[k].name));
            row = at - links.names.begin();
        }
        const auto wanted = joint_places(*body, truth.pose(row, body->joint_count()));
        const auto error = [&](const BodyPose& pose) {
            return 1000 * (joint_places(*body, pose.to(torch::kCPU)) - wanted)
                              .norm(2, 1)
                              .mean()
                              .item<double>();
        };
        out.frames.emplace_back(heads[k].name,
                                MetricValues{{"joint_mm", error(take(run, heads[k]).pose)},
                                             {"joint_mm_given", error(heads[k].pose)}});
    }
    return out;
}

}  // namespace fmgs
