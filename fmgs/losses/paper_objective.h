#pragma once
/// The paper's objective (eq. 21) as a list of adds, from options that a configuration file can
/// hold.
#include <fmgs/avatar.h>
#include <fmgs/losses/depth_ranking.h>
#include <fmgs/losses/objective.h>
#include <fmgs/losses/photometric.h>

namespace fmgs {

/// One term. The terms of the paper are known by name: photometric, mask, depth_ranking,
/// normal_consistency, normal, normal_tv, semantic, semantic_smoothness, iso_position,
/// iso_covariance, skin. Any other name needs a type.
struct LossTermOptions {
    Schedule weight = 1.0;
    std::string type = {};  ///< empty: the name; or l1, l2, cosine, cross_entropy, a paper's term
    std::string map = {};   ///< empty: the name, or "semantic"; only map and semantic terms read it
    std::vector<std::string> reaches = {};  ///< empty: the row of the routing table

    template <class V>
    void visit(V& v) {
        v("weight", weight, "a number, or a schedule [[at, value], ...], at a fraction of the run");
        v("type", type,
          "empty: the term's name; for a modality of your own l1, l2, cosine or cross_entropy");
        v("map", map, "the map that a modality's term reads; empty: the term's name");
        v("reaches", reaches,
          "columns the gradient may reach: position, rotation, scale, opacity, skinning, color, a "
          "modality, "
          "MODALITY.latent, or everything; empty: the row of the routing table");
    }
};

struct ObjectiveOptions {
    std::string routing = "measured";
    std::map<std::string, LossTermOptions> losses = {
        {"photometric", {.weight = 1.0}},
        {"mask", {.weight = 1.0}},
        {"depth_ranking", {.weight = 0.02}},
        {"normal_consistency", {.weight = 0.01}},
        {"normal", {.weight = 0.05}},
        {"normal_tv", {.weight = 0.005}},
        {"semantic", {.weight = 0.1}},
        {"iso_position", {.weight = 1.0}},
        {"iso_covariance", {.weight = 0.0}},
        {"skin", {.weight = 0.1}},
        {"semantic_smoothness", {.weight = Schedule({{0.0, 0.0}, {0.13, 0.01}})}},
    };
    PhotometricOptions photometric;
    DepthRankingOptions depth_ranking;

    template <class V>
    void visit(V& v) {
        v("routing", routing,
          "which loss reaches which attribute: measured, strict, literal or off (losses/routes.h)");
        v.groups("losses", losses, "the terms of the objective by name");
        v.group("photometric", photometric);
        v.group("depth_ranking", depth_ranking);
        v.renamed("depth_rank", "depth_ranking");
        v.renamed("losses.depth", "losses.depth_ranking");
        v.renamed("losses.normal_self", "losses.normal_consistency");
        v.renamed("losses.normal_prior", "losses.normal");
        v.renamed("losses.semantic_region", "losses.semantic_smoothness");
    }
};

/// Eq. 21 for an avatar of these parts. A term whose weight is 0 throughout is not constructed.
/// Error: an unknown type, routing, column, or modality; the message names the key.
Objective paper_objective(const AvatarParts& parts, const ObjectiveOptions& options = {});

}  // namespace fmgs
