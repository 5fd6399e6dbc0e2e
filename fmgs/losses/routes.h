#pragma once
/// Which loss may reach which attribute of the observed surfel (§4.5): the one table. It is
/// executed, by cutting the gradient, in one function: Surfels::restricted / posed in
/// core/surfels.cpp. docs/gradient_routing.md explains it.
#include <fmgs/core/surfels.h>

#include <map>

namespace fmgs {

namespace routing {

/// `X`: the gradient may reach. `_`: it may not. `o`: the paper names neither scale nor opacity,
/// and `literal` opens them. `m`: the paper closes it, `measured` opens it.
enum class Cell { _, X, o, m };
using enum Cell;

struct Row {
    const char* loss;
    Cell position, rotation, scale, opacity, skinning;  ///< skinning: weights and bones
    const char* feature;  ///< the one feature column that is open, or none
    bool rendered;        ///< reads maps: `off` lets it reach everything
};

// clang-format off
inline constexpr Row kRows[] = {
    // loss                  position rotation scale opacity skinning  feature             rendered    paper
    {"photometric",          X,       X,       X,    X,      X,        "color",            true},   // all
    {"lpips",                X,       X,       X,    X,      X,        "color",            true},   // all
    {"mask",                 X,       X,       X,    X,      X,        "",                 true},   // all
    {"depth_ranking",        X,       _,       o,    o,      X,        "",                 true},   // (1) blocks rotation
    {"normal_consistency",   m,       X,       o,    o,      m,        "",                 true},   // (2), docs/gradient_routing.md
    {"normal",               m,       X,       o,    o,      m,        "",                 true},   // (2), docs/gradient_routing.md
    {"normal_tv",            _,       X,       o,    o,      _,        "",                 true},   // (2)
    {"semantic",             _,       _,       o,    o,      _,        "semantic",         true},   // (3) blocks both
    {"semantic_smoothness",  _,       _,       _,    _,      _,        "semantic.latent",  false},  // eq. 20
    {"iso_position",         X,       _,       _,    _,      X,        "",                 false},
    {"iso_covariance",       X,       X,       X,    _,      X,        "",                 false},  // reads no centre: position is w(μ′)'s
    {"skin",                 _,       _,       _,    _,      _,        "",                 false},  // reads the skinning itself
    {"blendshapes",          _,       _,       _,    _,      _,        "",                 false},  // reads the blendshapes themselves
    {"albedo",               _,       _,       o,    o,      _,        "albedo",           true},   // as (3)
    {"roughness_tv",         _,       _,       o,    o,      _,        "roughness",        true},   // as (3)
};
// clang-format on

// A row that opens skinning opens position, too (Reach::check): the weights are w(μ′), so whoever
// moves them moves μ′. Cutting that path alone would take a second evaluation of the skinning
// field.
//
// The other cuts of the library, each where it is made:
//   N̂, the normal of the rendered depth (losses/normal.cpp): it is a function of position, which
//   (2) closes; live where the row of normal_consistency opens it (`measured`, `off`). view
//   direction and the position that a field is told (avatar.cpp): colour must not move surfels or
//   turn bones to change what it sees. pose encoder input (avatar.cpp): the bones are the only path
//   to θ_p. class of a surfel in L_reg (losses/semantic.cpp): an argmax, which has no gradient.
//   values in a LossReport (losses/objective.cpp): they outlive the step and must not hold its
//   graph. alpha and depth of a route that reaches features only (raster/render.cpp), and a map
//   that a loss only looks at (losses/render_plan.cpp): they are another route's. normal and place
//   of what a light shades (fields/material.cpp), unless shape_from_shading; and the light itself
//   where the colour is closed (fields/environment_light.cpp).

}  // namespace routing

/// Has the table a row for this loss?
bool has_row(const std::string& loss);

/// A routing table by name, ready to use.
struct RoutingTable {
    std::map<std::string, Reach> rows;  ///< loss → reach

    /// The row of `loss`, with the feature column it opens replaced by `feature` (unless that is
    /// empty). Error naming the nearest when there is no such row.
    Reach reach(const std::string& loss, const std::string& feature = "") const;
};

/// "measured" (the default; `o` closed, `m` open), "strict" (both closed), "literal" (`o` open, `m`
/// closed: the printed rules), or "off": every rendered row reaches everything, the paper's Fig. 5
/// baseline. Error for any other name.
RoutingTable routing_table(const std::string& name);

}  // namespace fmgs
