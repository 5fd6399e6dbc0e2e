#include <fmgs/run/begin.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/data/check/capture_check.h>
#include <fmgs/data/file_names.h>
#include <fmgs/losses/render_plan.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <array>
#include <set>

namespace fmgs {

namespace {

TensorDict copied(const TensorDict& tensors) {
    TensorDict out;
    for (const auto& [name, tensor] : tensors) out.set(name, tensor.detach().clone());
    return out;
}

using Entries = std::vector<const ObjectiveImpl::Entry*>;

/// What every term sees of one frame.
std::vector<TermView> views_of(const Entries& entries, const Surfels& surfels,
                               const Camera& camera) {
    RenderPlan plan(surfels);
    for (const auto* entry : entries)
        plan.add(entry->name, entry->loss->needs(), entry->loss->looks_at(), entry->reach);
    return plan.render(camera);
}

/// Frames by what is wrong with them.
class Problems {
  public:
    void add(const std::string& what, const std::string& frame) {
        auto& frames = frames_[what];
        if (frames.empty()) order_.push_back(what);
        frames.push_back(frame);
    }
    void raise() const {
        if (order_.empty()) return;
        std::string text = "the capture and the losses do not fit:";
        for (const auto& what : order_)
            text += fmt::format("\n  {} (frame {})", what, some_of(frames_.at(what)));
        throw Error(text);
    }

  private:
    std::map<std::string, std::vector<std::string>> frames_;
    std::vector<std::string> order_;
};

void try_frame(const ObjectiveImpl& objective, const Entries& entries,
               const std::vector<TermView>& views, const Frame& frame, Problems& problems) {
    const bool is_static = objective.static_shapes.value_or(!views[0].posed.center.is_cpu());
    for (size_t k = 0; k < entries.size(); ++k) {
        const auto& entry = *entries[k];
        bool complete = true;
        for (const auto& map : entry.loss->targets()) {
            if (frame.maps.contains(map)) continue;
            problems.add(
                fmt::format("loss '{0}' needs the map '{1}', which is not there; add it to "
                            "the capture or set losses.{0}.weight=0",
                            entry.name, map),
                frame.name);
            complete = false;
        }
        if (!complete) continue;
        const auto& [canonical, posed, rendered] = views[k];
        try {
            const auto value =
                entry.loss->forward({canonical, posed, rendered, frame, Random{0, 0}, is_static});
            check_shape(value, {}, "its value");
            if (!value.isfinite().item<bool>())
                problems.add(fmt::format("loss '{}' is not finite", entry.name), frame.name);
        } catch (...) {
            problems.add(
                fmt::format("loss '{}': {}", entry.name, message_of(std::current_exception())),
                frame.name);
        }
    }
}

/// Options that a resumed run may have otherwise though they belong to the avatar: how it trains,
/// not what it is.
bool may_change(const std::string& key) {
    static const std::set<std::string> kTraining = {
        "avatar.appearance.material.warm_up", "avatar.appearance.material.shape_from_shading",
        "avatar.appearance.view_noise",       "avatar.encoder.noise",
        "avatar.encoder.noise_share",         "avatar.geometry.start",
        "avatar.pose_projection.sigmas",      "avatar.skinning.prefit",
        "avatar.skinning.prefit_steps",       "avatar.skinning.prefit_points",
        "avatar.skinning.prefit_shell"};
    return kTraining.contains(key) || key.starts_with("avatar.template.offsets.") ||
           !(key.starts_with("avatar.") || key.starts_with("modalities."));
}

/// `learned`: the vertices of its template are those that the run found.
void check_body(const TensorDict& before, const TensorDict& after, bool learned) {
    for (const auto& [name, tensor] : after) {
        if (learned && name == "shaped") continue;
        if (torch::equal(tensor, before.at(name))) continue;
        throw Error(fmt::format(
            "the body ({}) is not the one that this run was begun with: data.body, the betas of "
            "the "
            "capture and avatar.star_degrees stay as they were; start a new run for another",
            name));
    }
}

/// "key: old → new" of all that differs.
std::string changes(const RunOptions& before, const RunOptions& now) {
    auto old = flattened(before);
    auto all = flattened(now);
    for (const auto& [key, value] : old) all.try_emplace(key, "none");
    std::string text;
    for (const auto& [key, value] : all) {
        const auto found = old.find(key);
        const auto earlier = found == old.end() ? "none" : found->second;
        if (earlier == value) continue;
        if (!may_change(key))
            throw Error(
                fmt::format("{}: this run was begun with {}, got {}: what an avatar is made "
                            "of stays; start a new run for another",
                            key, earlier, value));
        text += fmt::format("{}: {} before, {} from here on\n", key, earlier, value);
    }
    return text;
}

}  // namespace

void try_losses(const Run& run, Objective& objective, const FrameList& frames) {
    const torch::NoGradGuard guard;
    Entries entries;
    for (const auto& entry : objective->entries())
        if (!entry.weight.zero()) entries.push_back(&entry);
    if (entries.empty()) return;
    const auto owned = named_tensors(*objective);
    const auto before = copied(owned);
    std::map<std::array<int64_t, 2>, std::vector<TermView>> views;
    Problems problems;
    for (const auto& frame : frames) {
        const std::array<int64_t, 2> size = {frame.camera.height, frame.camera.width};
        const auto taken = take(run, frame);
        if (!views.contains(size)) {
            const auto surfels = run.avatar.ptr()->forward(taken.camera, taken.pose);
            views[size] = views_of(entries, surfels, taken.camera);
        }
        try_frame(*objective, entries, views[size], taken, problems);
    }
    copy_tensors(before, owned, "losses");
    problems.raise();
}

BodyModel body_on_cpu(const Run& run) {
    return BodyModel(std::dynamic_pointer_cast<BodyModelImpl>(run.body->clone(torch::kCPU)));
}

std::string check_body_and_frames(const Run& run) {
    const auto found = check_capture(*body_on_cpu(run), run.capture);
    std::string text, problems;
    for (const auto& line : found.lines) text += line + "\n";
    for (const auto& warning : found.warnings) text += fmt::format("warning: {}\n", warning);
    for (const auto& problem : found.problems) {
        problems += "\n  " + problem;
        text += fmt::format("warning: {}\n", problem);
    }
    if (problems.empty() || run.options.data.check == "off") return text;
    throw Error(
        fmt::format("{}: nothing good can be learned from this capture:{}\n`inspect {}` draws it; "
                    "data.check=off "
                    "trains all the same",
                    run.options.data.root, problems, run.options.data.root));
}

std::string changed_options(const Run& run, const RunFolder& folder) {
    auto before = read_options({folder.root.string()});
    before.output = run.options.output;  // the folder may have been moved
    return changes(before, run.options);
}

TrainState resume(const Run& run, const Checkpoint& checkpoint, const TensorDict& model,
                  const TensorDict& moments) {
    const auto body = named_tensors(*run.body);
    const auto made = copied(body);
    const auto state = load_checkpoint(checkpoint.folder, model, &moments);
    check_body(made, body, run.options.avatar.shape.type == "offsets");
    return state;
}

}  // namespace fmgs
