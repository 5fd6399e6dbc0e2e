#include <fmgs/losses/objective.h>

#include <fmgs/core/check.h>
#include <fmgs/core/names.h>
#include <fmgs/losses/mask_box.h>
#include <fmgs/losses/render_plan.h>
#include <fmgs/losses/routes.h>
#include <fmt/format.h>

#include <algorithm>

//   (21) L = L_c + λ_m L_m + λ_d L_d + λ_n L_norm + λ_s L_s + λ_reg L_reg + λ_skin L_skin
//            + λ_iso L_iso
//
//   (13) L_c    = (1-λ)·|I - Ī| + λ·(1 - SSIM(I, Ī))                losses/photometric.cpp
//   (14) L_m    = BCE(α, M̄)                                         losses/mask.cpp
//   (15) order  = sign(D̄(x₁) - D̄(x₂))                               losses/depth_ranking.cpp
//   (16) L_d    = mean |tanh(α (D(x₁) - D(x₂))) - order|            losses/depth_ranking.cpp
//   (17) L_tv   = mean ‖N - N'‖₁ of neighbours                      losses/normal.cpp
//   (18) L_norm = ‖N - N̂‖₁ + (1 - N·N̄) + L_tv                       losses/normal.cpp
//   (19) L_s    = CE(S, S̄)                                          losses/map_losses.cpp
//   (20) L_reg  = mean ‖f_i - f_j‖² within a class                  losses/semantic.cpp
//        L_skin, L_iso                                              losses/skin.cpp, losses/iso.cpp
//
// Which of them may move what (§4.5) is a table, losses/routes.h; which there are and how much they
// weigh is a list, losses/paper_objective.cpp. Here they are evaluated, each on surfels and maps
// that are cut by its own reach.

namespace fmgs {
namespace {

void check_targets(const ObjectiveImpl::Entry& entry, const Frame& frame) {
    for (const auto& name : entry.loss->targets()) {
        if (frame.maps.contains(name)) continue;
        throw Error(fmt::format(
            "loss '{}' needs the map '{}', which frame '{}' does not have; add it to the capture "
            "or set the weight of '{}' to 0",
            entry.name, name, frame.name, entry.name));
    }
}

// Of all terms, those that are off now included: a typing error shows in the first step.
void check_columns(const std::vector<ObjectiveImpl::Entry>& entries,
                   const std::vector<std::string>& known) {
    for (const auto& entry : entries) {
        for (const auto& column : entry.reach.features)
            check_known(fmt::format("the reach of loss '{}'", entry.name), "column", column, known);
    }
}

// Held-out pixels are black in the rendering as they are in the targets: no loss learns from them.
void hide(const torch::Tensor& seen, Maps& rendered) {
    for (const auto* name : {"color", "alpha"})
        if (const auto* map = rendered.find(name)) rendered.set(name, *map * seen);
}

}  // namespace

void ObjectiveImpl::add(const std::string& name, std::shared_ptr<Loss> loss, Schedule weight,
                        Reach reach) {
    if (!has_row(name)) check_name("loss", name);
    if (std::any_of(entries_.begin(), entries_.end(),
                    [&](const Entry& entry) { return entry.name == name; }))
        throw Error(fmt::format("objective: there is a loss '{}' already", name));
    if (!loss) throw Error(fmt::format("objective: the loss '{}' is null", name));
    reach.check();
    register_module(name, loss);
    entries_.push_back({name, std::move(loss), std::move(weight), std::move(reach)});
}

LossReport ObjectiveImpl::forward(const Surfels& surfels, const Frame& frame, const Random& random,
                                  double progress) {
    RenderPlan plan(surfels);
    std::vector<const Entry*> active;
    for (const auto& entry : entries_) {
        if (entry.weight.at(progress) == 0) continue;
        check_targets(entry, frame);
        plan.add(entry.name, entry.loss->needs(), entry.loss->looks_at(), entry.reach,
                 entry.loss->stays_in_mask());
        active.push_back(&entry);
    }
    check_columns(entries_, plan.columns());
    const bool is_static = static_shapes.value_or(!surfels.position.is_cpu());
    const auto box = is_static ? std::nullopt : mask_box(frame);
    const auto inside = box ? cut(frame, *box) : frame;
    const auto views = plan.render(frame.camera, box);  // (10)–(12), (1)

    LossReport report;
    for (size_t k = 0; k < active.size(); ++k) {
        const auto& [name, loss, schedule, reach] = *active[k];
        auto [canonical, posed, rendered] = views[k];
        const auto& picture = loss->stays_in_mask() ? inside : frame;
        if (const auto* seen = picture.maps.find("seen")) hide(*seen, rendered);
        const auto value =
            loss->forward({canonical, posed, rendered, picture, random, is_static});  // (13)–(20)
        check_shape(value, {}, name.c_str());
        const double weight = schedule.at(progress);
        const auto weighted = weight * value;
        report.total = report.total.defined() ? report.total + weighted : weighted;  // (21)
        // what is reported outlives the step and must not hold its graph
        report.terms.push_back({name, weight, value.detach()});
        for (const auto& [map_name, map] : rendered) {
            const auto* known = report.rendered.find(map_name);
            if (!known || known->numel() < map.numel())
                report.rendered.set(map_name, map.detach());  // likewise
        }
    }
    if (!report.total.defined())
        report.total = surfels.position.narrow(0, 0, 0).sum();  // no term: 0, and backward works
    return report;
}

}  // namespace fmgs
