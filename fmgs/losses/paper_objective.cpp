#include <fmgs/losses/paper_objective.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/names.h>
#include <fmgs/losses/blendshapes.h>
#include <fmgs/losses/iso.h>
#include <fmgs/losses/mask.h>
#include <fmgs/losses/normal.h>
#include <fmgs/losses/roughness.h>
#include <fmgs/losses/routes.h>
#include <fmgs/losses/semantic.h>
#include <fmgs/losses/skin.h>
#include <fmgs/raster/render.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace fmgs {
namespace {

template <class L>
std::shared_ptr<Loss> on_map(const std::string& map) {
    return std::make_shared<L>(map);
}

/// The loss of a term of one's own.
std::shared_ptr<Loss> map_loss(const std::string& name, const std::string& type,
                               const std::string& map) {
    static const std::map<std::string, std::shared_ptr<Loss> (*)(const std::string&)> kTypes = {
        {"l1", on_map<MapL1Loss>},
        {"l2", on_map<MapL2Loss>},
        {"cosine", on_map<MapCosineLoss>},
        {"cross_entropy", on_map<CrossEntropyLoss>},
        {"smoothness", on_map<SemanticSmoothnessLoss>}};
    std::vector<std::string> terms, types;
    for (const auto& row : routing::kRows) terms.emplace_back(row.loss);
    for (const auto& [known, make] : kTypes) types.push_back(known);
    if (type.empty()) check_known("losses", "term", name, terms);  // a slip of the pen, it seems
    check_known(fmt::format("losses.{}.type", name), "type", type, types);
    return kTypes.at(type)(map);
}

/// Adds terms to an objective, each with the reach of its options or of the table.
class Terms {
  public:
    Terms(const AvatarParts& parts, const RoutingTable& table) : table_(table) {
        if (parts.appearance) modalities_ = parts.appearance->layer_names();
        for (const auto& [name, field] : parts.features) modalities_.push_back(name);
    }

    /// A term of the paper: a loss made of `arguments`.
    template <class L, class Own, class... Arguments>
    void add(const std::string& name, const Term<Own>& term, const Arguments&... arguments) {
        const auto row = table_.reach(name);
        if (term.weight.zero()) return;
        put(name, std::make_shared<L>(arguments...), term.weight, term.reaches, row);
    }

    /// What a term of the paper may move.
    template <class Own>
    Reach reach(const std::string& name, const Term<Own>& term) const {
        return term.reaches.empty() ? table_.reach(name) : read_reach(name, term.reaches);
    }

    /// A term of one's own, on a map or modality.
    void add_other(const std::string& name, const Term<MapLossOptions>& term) {
        check_name("loss", name);
        if (term.weight.zero()) return;
        const auto map = term.map.empty() ? name : term.map;
        put(name, map_loss(name, term.type, map), term.weight, term.reaches,
            term.type == "smoothness" ? table_.reach("semantic_smoothness", map + ".latent")
                                      : map_reach(map));
    }

    /// Is there a modality or a layer of the appearance of this name?
    bool has_map(const std::string& map) const {
        return std::find(modalities_.begin(), modalities_.end(), map) != modalities_.end();
    }

    Objective objective;

  private:
    void put(const std::string& name, std::shared_ptr<Loss> loss, const Schedule& weight,
             const std::vector<std::string>& reaches, const Reach& row) {
        for (const auto& map : loss->needs()) check_map(name, map);
        if (reaches.empty()) {
            for (const auto& column : row.features)
                check_map(name, column.substr(0, column.find('.')));
        }
        objective->add(name, std::move(loss), weight,
                       reaches.empty() ? row : read_reach(name, reaches));
    }

    /// A loss on a map of the paper follows that map's row; one on a modality of one's own follows
    /// `semantic`.
    Reach map_reach(const std::string& map) const {
        if (map == "color") return table_.reach("photometric");
        if (map == "alpha") return table_.reach("mask");
        if (map == "depth") return table_.reach("depth_ranking");
        if (map == "normal") return table_.reach("normal");
        return table_.reach("semantic", map);
    }

    void check_map(const std::string& term, const std::string& map) const {
        if (map == "color" || is_geometry(map) || has_map(map)) return;
        throw Error(fmt::format(
            "losses.{}: it reads the map '{}', but the avatar has no such modality (it has: {}); "
            "add modalities.{} or set losses.{}.weight to 0",
            term, map,
            modalities_.empty() ? "none" : fmt::format("{}", fmt::join(modalities_, ", ")), map,
            term));
    }

    Reach read_reach(const std::string& term, const std::vector<std::string>& columns) const {
        auto known = Reach::fixed_columns();
        known.emplace_back("color");
        for (const auto& name : modalities_) {
            known.push_back(name);
            known.push_back(name + ".latent");
        }
        const auto key = fmt::format("losses.{}.reaches", term);
        for (const auto& column : columns) check_known(key, "column", column, known);
        try {
            return Reach::of(columns);
        } catch (const Error& error) {
            throw Error(fmt::format("{}: {}", key, error.what()));
        }
    }

    const RoutingTable& table_;
    std::vector<std::string> modalities_;
};

}  // namespace

Objective paper_objective(const AvatarParts& parts, const ObjectiveOptions& options) {
    check_ranges(options.losses, "losses");
    const auto table = routing_table(options.routing);
    const auto& l = options.losses;
    const auto& surfels = parts.surfels;
    const auto& body = parts.body;

    Terms terms(parts, table);
    terms.add<PhotometricLoss>("photometric", l.photometric, l.photometric);         // (13)
    terms.add<LpipsLoss>("lpips", l.lpips, l.lpips);                                 // not printed
    terms.add<MaskLoss>("mask", l.mask);                                             // (14)
    terms.add<DepthRankingLoss>("depth_ranking", l.depth_ranking, l.depth_ranking);  // (15), (16)
    terms.add<NormalTvLoss>("normal_tv", l.normal_tv);                               // (17)
    // its target N̂ is a function of position
    const auto moves = terms.reach("normal_consistency", l.normal_consistency).position;
    terms.add<NormalConsistencyLoss>("normal_consistency", l.normal_consistency, moves);  // (18)
    terms.add<NormalLoss>("normal", l.normal);                                            // (18)
    terms.add<SemanticLoss>("semantic", l.semantic);                                      // (19)
    terms.add<SemanticSmoothnessLoss>("semantic_smoothness", l.semantic_smoothness);      // (20)
    terms.add<IsoPositionLoss>("iso_position", l.iso_position, surfels);                  // L_iso
    terms.add<IsoCovarianceLoss>("iso_covariance", l.iso_covariance, surfels);            // L_iso
    if (const auto own = std::dynamic_pointer_cast<SkinningTableImpl>(parts.skinning))
        terms.add<SkinningTableLoss>("skin", l.skin, own);  // L_skin
    else
        terms.add<SkinLoss>("skin", l.skin, parts.skinning, body);  // L_skin
    if (parts.blendshapes && parts.blendshapes->penalty().defined())
        terms.add<BlendshapeLoss>("blendshapes", l.blendshapes, parts.blendshapes);
    terms.add<MapL1Loss>("albedo", l.albedo, std::string("albedo"));
    if (terms.has_map("roughness")) terms.add<RoughnessTvLoss>("roughness_tv", l.roughness_tv);
    for (const auto& [name, term] : l.others) terms.add_other(name, term);

    if (options.static_shapes == "true" || options.static_shapes == "false") {
        terms.objective->static_shapes = options.static_shapes == "true";
    } else if (options.static_shapes != "auto") {
        throw Error(fmt::format("static_shapes: expected auto, true or false, got '{}'",
                                options.static_shapes));
    }
    return terms.objective;  // (21)
}

}  // namespace fmgs
