#pragma once
/// A small avatar with two modalities, a frame for all its losses, and options that pick terms.
#include <fmgs/losses/paper_objective.h>
#include <fmgs/losses/routes.h>

#include "support/ball.h"
#include "support/losses.h"

namespace fmgs::test {

struct Stage {
    Avatar avatar{nullptr};
    Frame frame;
    Random random{.seed = 5, .step = 11};
};

/// geometry_start: of the geometry field, fraction of the run.
inline Stage make_stage(double geometry_start = 0) {
    auto options = ball_options();
    options.geometry.start = geometry_start;
    auto& dino = options.modalities["dino"] = options.modalities.at("semantic");
    dino.channels = 6;
    Stage stage;
    stage.avatar =
        Avatar(paper_parts(BodyModel(ball_data(), torch::zeros({0}), /*star_degrees=*/0), options));
    perturb(*stage.avatar);
    stage.frame = ball_frame();
    stage.frame.maps.set("dino", uniform({6, 40, 40}, -1, 1, 7));
    return stage;
}

inline Stage& stage() {
    static Stage instance = make_stage();
    return instance;
}

/// Visits the terms of the paper: f(name, term).
template <class F>
struct EachTerm {
    F f;
    template <class T>
    void group(const std::string& name, T& term, const std::string&) {
        f(name, term);
    }
    template <class M>
    void others(M&) {}
    void renamed(const std::string&, const std::string&) {}
};

inline ObjectiveOptions only(const std::vector<std::string>& names, const std::string& routing) {
    ObjectiveOptions options;
    options.routing = routing;
    EachTerm each{[&](const std::string& name, auto& term) {
        term.weight = std::find(names.begin(), names.end(), name) != names.end() ? 1.0 : 0.0;
    }};
    options.losses.visit(each);
    return options;
}

inline Term<MapLossOptions> map_term(double weight, const std::string& type,
                                     const std::string& map = "",
                                     std::vector<std::string> reaches = {}) {
    Term<MapLossOptions> term(weight);
    term.type = type;
    term.map = map;
    term.reaches = std::move(reaches);
    return term;
}

/// The rows of the table that the paper's avatar has a loss for: lpips needs weights, blendshapes
/// and materials an avatar that has them.
inline std::vector<std::string> table_rows() {
    std::vector<std::string> names;
    for (const auto& row : routing::kRows) {
        const std::string name = row.loss;
        if (name != "lpips" && name != "blendshapes" && name != "albedo" && name != "roughness_tv")
            names.push_back(name);
    }
    return names;
}

}  // namespace fmgs::test
