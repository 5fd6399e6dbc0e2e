
#include <fmgs/losses/paper_objective.h>

#include <fmgs/core/check.h>
#include <fmgs/losses/map_losses.h>
#include <fmgs/losses/mask.h>
#include <fmgs/losses/normal.h>
#include <fmgs/losses/regularizers.h>
#include <fmgs/losses/routes.h>
#include <fmgs/losses/semantic.h>
#include <fmgs/raster/render.h>
#include <fmt/format.h>

#include <functional>

namespace fmgs {
namespace {

// What a term may be made of, by type.
struct Builder {
    std::string type, row;  // row of the routing table
    std::string feature;    // the feature column it opens, or none
    std::function<std::shared_ptr<Loss>()> make;
};

std::vector<Builder> builders(const AvatarParts& parts, const ObjectiveOptions& options,
                              const std::string& map, bool live_normals) {
    // A loss on a map of the paper follows that map's row; one on a modality of one's own follows
    // `semantic`.
    const std::map<std::string, std::string> rows = {{"color", "photometric"},
                                                     {"alpha", "mask"},
                                                     {"depth", "depth_ranking"},
                                                     {"normal", "normal"}};
    const auto found = rows.find(map);
    const std::string row = found == rows.end() ? "semantic" : found->second;
    const std::string feature = found == rows.end() ? map : "";
    return {
        {"photometric", "photometric", "",
         [&] { return std::make_shared<PhotometricLoss>(options.photometric); }},  // (13)
        {"mask", "mask", "", [] { return std::make_shared<MaskLoss>(); }},         // (14)
        {"depth_ranking", "depth_ranking", "",
         [&] { return std::make_shared<DepthRankingLoss>(options.depth_ranking); }},  // (16)
        {"normal_consistency", "normal_consistency", "",
         [=] { return std::make_shared<NormalConsistencyLoss>(live_normals); }},             // (18)
        {"normal", "normal", "", [] { return std::make_shared<NormalLoss>(); }},             // (18)
        {"normal_tv", "normal_tv", "", [] { return std::make_shared<NormalTvLoss>(); }},     // (17)
        {"semantic", "semantic", map, [=] { return std::make_shared<SemanticLoss>(map); }},  // (19)
        {"semantic_smoothness", "semantic_smoothness", map + ".latent",
         [=] { return std::make_shared<SemanticSmoothnessLoss>(map); }},  // (20)
        {"iso_position", "iso_position", "",
         [&] { return std::make_shared<IsoPositionLoss>(parts.surfels->neighbours()); }},
        {"iso_covariance", "iso_covariance", "",
         [&] { return std::make_shared<IsoCovarianceLoss>(parts.surfels->neighbours()); }},
        {"skin", "skin", "",
         [&] {
             return std::make_shared<SkinLoss>(parts.skinning, parts.body->canonical(),
                                               parts.body->weights());
         }},
        {"l1", row, feature, [=] { return std::make_shared<MapL1Loss>(map); }},
        {"l2", row, feature, [=] { return std::make_shared<MapL2Loss>(map); }},
        {"cosine", row, feature, [=] { return std::make_shared<MapCosineLoss>(map); }},
        {"cross_entropy", row, feature, [=] { return std::make_shared<CrossEntropyLoss>(map); }},
    };
}

bool has_modality(const AvatarParts& parts, const std::string& name) {
    return std::any_of(parts.features.begin(), parts.features.end(),
                       [&](const auto& f) { return f.first == name; });
}

std::string modality_names(const AvatarParts& parts) {
    std::string names;
    for (const auto& [name, field] : parts.features) names += (names.empty() ? "" : ", ") + name;
    return names.empty() ? "none" : names;
}

void check_map(const AvatarParts& parts, const std::string& term, const std::string& map) {
    if (map == "color" || is_geometry(map) || has_modality(parts, map)) return;
    throw Error(fmt::format(
        "losses.{}: it reads the map '{}', but the avatar has no such modality (it has: {}); add "
        "modalities.{} or set "
        "losses.{}.weight to 0",
        term, map, modality_names(parts), map, term));
}

Reach read_reach(const AvatarParts& parts, const std::string& term,
                 const std::vector<std::string>& columns) {
    static const std::set<std::string> fixed = {"position", "rotation", "scale",     "opacity",
                                                "skinning", "color",    "everything"};
    for (const auto& column : columns) {
        const auto dot = column.rfind(".latent");
        if (fixed.count(column) || has_modality(parts, column)) continue;
        if (dot != std::string::npos && dot + 7 == column.size() &&
            has_modality(parts, column.substr(0, dot)))
            continue;
        throw Error(fmt::format(
            "losses.{}.reaches: there is no column '{}'; there are position, rotation, scale, "
            "opacity, skinning, color, "
            "everything, the modalities ({}) and MODALITY.latent",
            term, column, modality_names(parts)));
    }
    try {
        return Reach::of(columns);
    } catch (const Error& error) {
        throw Error(fmt::format("losses.{}.reaches: {}", term, error.what()));
    }
}

}  // namespace

Objective paper_objective(const AvatarParts& parts, const ObjectiveOptions& options) {
    const auto table = routing_table(options.routing);
    Objective objective;
    for (const auto& [name, term] : options.losses) {
        if (term.weight.zero()) continue;
        const std::string type = term.type.empty() ? name : term.type;
        const bool semantic = type == "semantic" || type == "semantic_smoothness";
        const std::string map = !term.map.empty() ? term.map : semantic ? "semantic" : name;
        const auto choices = builders(parts, options, map, table.live_depth_normals);
        const auto builder = std::find_if(choices.begin(), choices.end(),
                                          [&](const auto& b) { return b.type == type; });
        if (builder == choices.end()) {
            std::string types;
            for (const auto& choice : choices) types += (types.empty() ? "" : ", ") + choice.type;
            throw Error(
                fmt::format("losses.{}.type: expected one of {}; got '{}'", name, types, type));
        }
        const bool reads_map =
            semantic || type == "l1" || type == "l2" || type == "cosine" || type == "cross_entropy";
        if (reads_map) check_map(parts, name, map);
        objective->add(name, builder->make(), term.weight,
                       term.reaches.empty() ? table.reach(builder->row, builder->feature)
                                            : read_reach(parts, name, term.reaches));
    }
    return objective;
}

}  // namespace fmgs
