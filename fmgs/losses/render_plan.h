#pragma once
/// Who draws what: terms that agree on geometry share a route, and all routes one render.
#include <fmgs/core/box.h>
#include <fmgs/core/surfels.h>

#include <optional>
#include <set>

namespace fmgs {

/// What one term of the objective sees: the same values as any other, its own gradients.
struct TermView {
    Surfels canonical;   ///< restricted to the term's reach
    PosedSurfels posed;  ///< posed with the term's reach
    Maps rendered;       ///< the maps that the term needs, and alpha when there is one
};

/// Takes in what every term needs, then poses once per geometry reach (eqs. 10–12), finds tiles
/// once and renders all routes in one pass (eq. 1).
class RenderPlan {
  public:
    /// `surfels` must outlive the plan.
    explicit RenderPlan(const Surfels& surfels) : surfels_(surfels) {}

    /// Error, naming the term: a map that is neither alpha, depth, normal nor a feature.
    /// looks_at: geometry maps of which values will do; a route that draws them anyway lends them.
    /// stays_in_box: the box that is given to render will do.
    void add(const std::string& term, const std::vector<std::string>& needs,
             const std::vector<std::string>& looks_at, const Reach& reach,
             bool stays_in_box = false);
    /// What a reach may name: the fixed columns, the features and the latents of the surfels.
    std::vector<std::string> columns() const;
    /// One view per term, in the order of add; maps of a term that stays in the box are cut to it.
    std::vector<TermView> render(const Camera& camera, const std::optional<Box>& box = {});

  private:
    // Terms that agree on all geometry columns.
    struct Group {
        Reach reach;
        Maps features;  // of the posed surfel, uncut
        // its features are the columns that the route draws, each cut as one of its terms wants
        PosedSurfels posed;
        std::vector<std::string> names;  // of the route; empty: nothing to render
        std::set<std::string> whole;     // of them, those that somebody sees whole
    };
    // A feature as some route draws it. Two terms that reach a feature differently need it twice: a
    // channel carries the gradient of one route, and of one cut.
    struct Column {
        std::string feature;
        size_t group;
        bool open;
        std::string drawn_as;
    };
    struct Term {
        std::string name;
        Reach reach;
        size_t group;
        Maps features;                                          // cut by the term's own reach
        std::vector<std::pair<std::string, std::string>> maps;  // its word → the route's word
        std::vector<std::string> looks_at;
        bool stays_in_box;
    };

    size_t group(const Reach& reach);
    size_t lender(const Term& term, const std::string& map);
    std::string draw(const Term& term, const std::string& map);
    std::string column(const Term& term, const std::string& feature);

    const Surfels& surfels_;
    std::vector<Group> groups_;
    std::vector<Column> columns_;
    std::vector<Term> terms_;
};

}  // namespace fmgs
