#pragma once
/// The paper's objective (eq. 21) as a list of terms, from options that a configuration file can
/// hold.
#include <fmgs/avatar.h>
#include <fmgs/core/config/range.h>
#include <fmgs/losses/depth_ranking.h>
#include <fmgs/losses/lpips.h>
#include <fmgs/losses/map_losses.h>
#include <fmgs/losses/objective.h>
#include <fmgs/losses/photometric.h>

namespace fmgs {

/// A loss without options of its own.
struct NoOptions {
    template <class V>
    void visit(V&) {}
};

/// One term: what every term has, and the options of its own loss.
template <class Own = NoOptions>
struct Term : Own {
    Schedule weight;
    std::vector<std::string> reaches;  ///< empty: the row of the routing table

    explicit Term(Schedule w = 1.0) : weight(std::move(w)) {}
    template <class V>
    void visit(V& v) {
        v("weight", weight, Range::at_least(0), "a number, or a schedule [[at, value], ...]");
        v("reaches", reaches, "columns that it may move; empty: its row of the routing table");
        Own::visit(v);
    }
};

/// The terms and their weights.
struct LossOptions {
    Term<PhotometricOptions> photometric{1.0};
    Term<LpipsOptions> lpips{0.0};
    Term<> mask{1.0};
    Term<DepthRankingOptions> depth_ranking{0.02};
    Term<> normal_consistency{0.01};
    Term<> normal{0.05};
    Term<> normal_tv{0.005};
    Term<> semantic{0.1};
    Term<> semantic_smoothness{Schedule({{0.0, 0.0}, {0.13, 0.01}})};
    Term<> iso_position{1.0};
    Term<> iso_covariance{0.0};
    Term<> skin{0.1};
    Term<> blendshapes{1e3};
    Term<> albedo{0.0};
    Term<> roughness_tv{Schedule({{0.0, 0.0}, {0.1, 0.02}})};
    std::map<std::string, Term<MapLossOptions>> others;  ///< on modalities of one's own, by name

    template <class V>
    void visit(V& v) {
        v.group("photometric", photometric, "L_c (13)");
        v.group("lpips", lpips, "LPIPS within the box of the mask (3DGS-Avatar: 0.01)");
        v.group("mask", mask, "L_m (14)");
        v.group("depth_ranking", depth_ranking, "L_d (15, 16)");
        v.group("normal_consistency", normal_consistency, "L_sn (18)");
        v.group("normal", normal, "L_n (18)");
        v.group("normal_tv", normal_tv, "L_tv (17)");
        v.group("semantic", semantic, "L_s (19)");
        v.group("semantic_smoothness", semantic_smoothness, "L_reg (20)");
        v.group("iso_position", iso_position, "L_iso, of centres");
        v.group("iso_covariance", iso_covariance, "L_iso, of covariances");
        v.group("skin", skin, "L_skin");
        v.group("blendshapes", blendshapes,
                "mean square of what is learned of blendshapes (avatar.blendshapes)");
        v.group("albedo", albedo,
                "L1 of the albedo to priors/albedo (avatar.appearance: material)");
        v.group("roughness_tv", roughness_tv,
                "mean square of the roughness' differences (avatar.appearance: material)");
        v.others(others);
        v.renamed("depth", "depth_ranking");
        v.renamed("normal_self", "normal_consistency");
        v.renamed("normal_prior", "normal");
        v.renamed("semantic_region", "semantic_smoothness");
    }
};

struct ObjectiveOptions {
    std::string routing = "measured";
    std::string static_shapes = "auto";
    LossOptions losses = {};

    template <class V>
    void visit(V& v) {
        v("routing", routing,
          "which loss reaches which attribute: measured, strict, literal or off (losses/routes.h)");
        v("static_shapes", static_shapes,
          "losses mask pixels instead of picking them: true, false, or auto (not on a CPU)");
        v.group("losses", losses, "the terms; further ones, on modalities of your own, by name");
        v.renamed("photometric", "losses.photometric");
        v.renamed("depth_ranking", "losses.depth_ranking");
        v.renamed("depth_rank", "losses.depth_ranking");
    }
};

/// Eq. 21 for an avatar of these parts. A term whose weight is 0 throughout is not constructed.
/// Error: an unknown type, routing, column, or modality, a name that check_name refuses; the
/// message names the key.
Objective paper_objective(const AvatarParts& parts, const ObjectiveOptions& options = {});

}  // namespace fmgs
