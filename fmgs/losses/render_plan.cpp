#include <fmgs/losses/render_plan.h>

#include <fmgs/core/check.h>
#include <fmgs/raster/render.h>
#include <fmt/format.h>

#include <algorithm>

namespace fmgs {

void RenderPlan::add(const std::string& term, const std::vector<std::string>& needs,
                     const Reach& reach) {
    const size_t g = group(reach);
    Term added{term, reach, g, restricted(groups_[g].features, reach), {}};
    for (const auto& map : needs) added.maps.emplace_back(map, draw(added, map));
    if (!needs.empty()) added.maps.emplace_back("alpha", draw(added, "alpha"));
    terms_.push_back(std::move(added));
}

std::vector<std::string> RenderPlan::columns() const {
    auto names = Reach::fixed_columns();
    for (const auto& [name, value] : groups_.empty() ? surfels_.features : groups_[0].features)
        names.push_back(name);
    for (const auto& [name, value] : surfels_.latents) names.push_back(name + ".latent");
    return names;
}

std::vector<TermView> RenderPlan::render(const Camera& camera) const {
    std::vector<Maps> maps(groups_.size());
    std::vector<Route> routes;
    std::vector<size_t> owners;
    for (size_t g = 0; g < groups_.size(); ++g) {
        if (groups_[g].names.empty()) continue;
        routes.push_back({groups_[g].posed, groups_[g].names, groups_[g].reach.features_only()});
        owners.push_back(g);
    }
    if (!routes.empty()) {
        const auto tiles = find_tiles(routes.front().surfels, camera);
        auto drawn = fmgs::render(routes, camera, &tiles);
        for (size_t r = 0; r < routes.size(); ++r) maps[owners[r]] = std::move(drawn[r]);
    }
    std::vector<TermView> views;
    for (const auto& term : terms_) {
        TermView view{surfels_.restricted(term.reach), groups_[term.group].posed, {}};
        view.posed.features = term.features;
        for (const auto& [name, drawn_as] : term.maps)
            view.rendered.set(name, maps[term.group].at(drawn_as));
        views.push_back(std::move(view));
    }
    return views;
}

size_t RenderPlan::group(const Reach& reach) {
    for (size_t g = 0; g < groups_.size(); ++g) {
        if (groups_[g].reach.same_geometry(reach)) return g;
    }
    Reach geometry = reach;
    geometry.all_features = true;  // each term cuts them by its own reach
    Group added{reach, {}, surfels_.posed(geometry), {}};
    std::swap(added.features, added.posed.features);
    groups_.push_back(std::move(added));
    return groups_.size() - 1;
}

// Has the term's route draw a map; returns the name it has there.
std::string RenderPlan::draw(const Term& term, const std::string& map) {
    std::string drawn_as = is_geometry(map) ? map : column(term, map);
    auto& names = groups_[term.group].names;
    if (std::find(names.begin(), names.end(), drawn_as) == names.end()) names.push_back(drawn_as);
    return drawn_as;
}

std::string RenderPlan::column(const Term& term, const std::string& feature) {
    const auto* value = term.features.find(feature);
    if (!value)
        throw Error(fmt::format(
            "loss '{}' reads the map '{}', which is neither alpha, depth, normal nor a feature of "
            "the surfels",
            term.name, feature));
    const bool open = term.reach.feature(feature);
    int64_t uses = 0;
    for (const auto& known : columns_) {
        if (known.feature != feature) continue;
        if (known.group == term.group && known.open == open) return known.drawn_as;
        ++uses;
    }
    const auto drawn_as = uses == 0 ? feature : fmt::format("{}#{}", feature, uses);
    columns_.push_back({feature, term.group, open, drawn_as});
    groups_[term.group].posed.features.set(drawn_as, *value);
    return drawn_as;
}

}  // namespace fmgs
