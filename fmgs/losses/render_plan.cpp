#include <fmgs/losses/render_plan.h>

#include <fmgs/core/check.h>
#include <fmgs/raster/render.h>
#include <fmt/format.h>

#include <algorithm>

namespace fmgs {

void RenderPlan::add(const std::string& term, const std::vector<std::string>& needs,
                     const std::vector<std::string>& looks_at, const Reach& reach,
                     bool stays_in_box) {
    const size_t g = group(reach);
    Term added{term, reach, g, restricted(groups_[g].features, reach), {}, looks_at, stays_in_box};
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

std::vector<TermView> RenderPlan::render(const Camera& camera, const std::optional<Box>& box) {
    std::vector<std::vector<size_t>> lenders;  // of each term's looks_at
    for (const auto& term : terms_) {
        auto& of_term = lenders.emplace_back();
        for (const auto& map : term.looks_at) of_term.push_back(lender(term, map));
        if (box && term.stays_in_box) continue;
        for (const auto& [name, drawn_as] : term.maps) groups_[term.group].whole.insert(drawn_as);
        for (size_t k = 0; k < of_term.size(); ++k)
            groups_[of_term[k]].whole.insert(term.looks_at[k]);
    }
    std::vector<Maps> maps(groups_.size()), parts(groups_.size());
    std::vector<Route> routes;
    std::vector<size_t> owners;
    for (size_t g = 0; g < groups_.size(); ++g) {
        if (groups_[g].names.empty()) continue;
        routes.push_back({groups_[g].posed, groups_[g].names, groups_[g].reach.features_only(),
                          groups_[g].whole});
        owners.push_back(g);
    }
    if (!routes.empty()) {
        const auto tiles = find_tiles(routes.front().surfels, camera);
        auto drawn = fmgs::render(routes, camera, &tiles, box);
        for (size_t r = 0; r < routes.size(); ++r) maps[owners[r]] = std::move(drawn[r]);
    }
    const auto seen_by = [&](const Term& term, size_t g, const std::string& map) {
        const auto& drawn = maps[g].at(map);
        if (!box || !term.stays_in_box || !groups_[g].whole.contains(map)) return drawn;
        if (!parts[g].contains(map)) parts[g].set(map, box->cut(drawn));  // one cut for all terms
        return parts[g].at(map);
    };
    std::vector<TermView> views;
    for (size_t t = 0; t < terms_.size(); ++t) {
        const auto& term = terms_[t];
        TermView view{surfels_.restricted(term.reach), groups_[term.group].posed, {}};
        view.posed.features = term.features;
        for (const auto& [name, drawn_as] : term.maps)
            view.rendered.set(name, seen_by(term, term.group, drawn_as));
        for (size_t k = 0; k < term.looks_at.size(); ++k) {
            const auto& map = term.looks_at[k];
            // it may be another route's: values only
            if (!view.rendered.contains(map))
                view.rendered.set(map, seen_by(term, lenders[t][k], map).detach());
        }
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

// The route that lends a geometry map: the term's own, or any that draws it; else its own has to.
size_t RenderPlan::lender(const Term& term, const std::string& map) {
    if (!is_geometry(map))
        throw Error(
            fmt::format("loss '{}' looks at the map '{}'; only alpha, depth and normal are lent",
                        term.name, map));
    const auto draws = [&](const Group& group) {
        return std::find(group.names.begin(), group.names.end(), map) != group.names.end();
    };
    if (!draws(groups_[term.group])) {
        const auto other = std::find_if(groups_.begin(), groups_.end(), draws);
        if (other != groups_.end()) return static_cast<size_t>(other - groups_.begin());
        draw(term, map);
    }
    return term.group;
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
    const auto& shaders = surfels_.pixel_shaders;
    const auto shader = std::find_if(shaders.begin(), shaders.end(),
                                     [&](const auto& each) { return each.first == feature; });
    int64_t uses = 0;
    for (const auto& known : columns_) {
        if (known.feature != feature) continue;
        if (known.group == term.group && known.open == open) return known.drawn_as;
        ++uses;
    }
    const auto drawn_as = uses == 0 ? feature : fmt::format("{}#{}", feature, uses);
    columns_.push_back({feature, term.group, open, drawn_as});
    auto& posed = groups_[term.group].posed;
    posed.features.set(drawn_as, *value);
    if (shader != shaders.end())  // in front of the open one of that name
        posed.pixel_shaders.insert(posed.pixel_shaders.begin(),
                                   {drawn_as, open ? shader->second : closed(shader->second)});
    return drawn_as;
}

}  // namespace fmgs
