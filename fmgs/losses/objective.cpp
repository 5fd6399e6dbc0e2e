
#include <fmgs/losses/objective.h>

#include <fmgs/core/check.h>
#include <fmgs/raster/render.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace fmgs {
namespace {

// Terms that agree on all geometry columns: one posed set of surfels, one route of the render.
struct Group {
    Reach reach;
    PosedSurfels posed;
    Maps features;                   // what its terms may draw or read, uncut
    std::vector<std::string> names;  // of the route; empty: nothing to render
};

// A feature column as some route draws it. Two terms that reach a column differently need it twice:
// a channel carries the gradient of one route, and of one cut.
struct Column {
    std::string feature;
    size_t group;
    bool open;
    std::string drawn_as;
};

struct Term {
    const ObjectiveImpl::Entry* entry;
    double weight;
    size_t group;
    Surfels canonical;  // restricted to the term's own reach
    std::vector<std::pair<std::string, std::string>>
        maps;  // what the term calls a map → what its route calls it
};

void check_targets(const ObjectiveImpl::Entry& entry, const Frame& frame) {
    for (const auto& name : entry.loss->targets()) {
        if (frame.maps.contains(name)) continue;
        throw Error(fmt::format(
            "loss '{}' needs the map '{}', which frame '{}' does not have; add it to the capture "
            "or set the weight of '{}' to 0",
            entry.name, name, frame.name, entry.name));
    }
}

class Plan {
  public:
    explicit Plan(const Surfels& surfels) : surfels_(surfels) {}

    void add(const ObjectiveImpl::Entry& entry, double weight) {
        Term term{&entry, weight, group(entry.reach), surfels_.restricted(entry.reach), {}};
        const auto needs = entry.loss->needs();
        for (const auto& name : needs) term.maps.emplace_back(name, draw(term, name));
        if (!needs.empty()) term.maps.emplace_back("alpha", draw(term, "alpha"));
        terms.push_back(std::move(term));
    }

    std::vector<Group> groups;
    std::vector<Term> terms;

  private:
    size_t group(const Reach& reach) {
        for (size_t g = 0; g < groups.size(); ++g) {
            if (groups[g].reach.same_geometry(reach)) return g;
        }
        // Shaded features depend on the posed surfel: they are this route's, and the columns stay
        // open until a term's own reach cuts them.
        Reach open = reach;
        open.all_features = true;
        groups.push_back({reach, surfels_.posed(open), {}, {}});
        groups.back().features = std::exchange(groups.back().posed.features, {});
        return groups.size() - 1;
    }

    // Has the term's route draw a map; returns the name it has there.
    std::string draw(const Term& term, const std::string& name) {
        auto& group = groups[term.group];
        std::string drawn_as = is_geometry(name) ? name : column(term, name);
        if (std::find(group.names.begin(), group.names.end(), drawn_as) == group.names.end())
            group.names.push_back(drawn_as);
        return drawn_as;
    }

    std::string column(const Term& term, const std::string& feature) {
        const auto features = restricted(groups[term.group].features, term.entry->reach);
        const auto* value = features.find(feature);
        if (!value) {
            throw Error(fmt::format(
                "loss '{}' reads the map '{}', which is neither alpha, depth, normal nor a feature "
                "of the surfels",
                term.entry->name, feature));
        }
        const bool open = term.entry->reach.feature(feature);
        int64_t uses = 0;
        for (const auto& known : columns_) {
            if (known.feature != feature) continue;
            if (known.group == term.group && known.open == open) return known.drawn_as;
            ++uses;
        }
        const auto drawn_as = uses == 0 ? feature : fmt::format("{}#{}", feature, uses);
        columns_.push_back({feature, term.group, open, drawn_as});
        groups[term.group].posed.features.set(drawn_as, *value);
        return drawn_as;
    }

    const Surfels& surfels_;
    std::vector<Column> columns_;
};

// One Maps per group, from one render.
std::vector<Maps> render_groups(const std::vector<Group>& groups, const Camera& camera) {
    std::vector<Maps> maps(groups.size());
    std::vector<Route> routes;
    std::vector<size_t> owners;
    for (size_t g = 0; g < groups.size(); ++g) {
        if (groups[g].names.empty()) continue;
        routes.push_back({groups[g].posed, groups[g].names, groups[g].reach.features_only()});
        owners.push_back(g);
    }
    if (routes.empty()) return maps;
    const auto tiles = find_tiles(routes.front().surfels, camera);
    auto drawn = render(routes, camera, &tiles);
    for (size_t r = 0; r < routes.size(); ++r) maps[owners[r]] = std::move(drawn[r]);
    return maps;
}

}  // namespace

void ObjectiveImpl::add(const std::string& name, std::shared_ptr<Loss> loss, Schedule weight,
                        Reach reach) {
    for (const auto& entry : entries_) {
        if (entry.name == name)
            throw Error(fmt::format("objective: there is a loss '{}' already", name));
    }
    if (name.empty() || name.find('.') != std::string::npos) {
        throw Error(fmt::format(
            "objective: the name of a loss must not be empty or contain a dot, got '{}'", name));
    }
    register_module(name, loss);
    entries_.push_back({name, std::move(loss), std::move(weight), std::move(reach)});
}

LossReport ObjectiveImpl::forward(const Surfels& surfels, const Frame& frame, const Random& random,
                                  double progress) {
    Plan plan(surfels);
    for (const auto& entry : entries_) {
        const double weight = entry.weight.at(progress);
        if (weight == 0) continue;
        check_targets(entry, frame);
        plan.add(entry, weight);
    }
    const auto maps = render_groups(plan.groups, frame.camera);

    LossReport report;
    for (const auto& term : plan.terms) {
        Maps rendered;
        for (const auto& [name, drawn_as] : term.maps)
            rendered.set(name, maps[term.group].at(drawn_as));
        PosedSurfels posed = plan.groups[term.group].posed;
        posed.features = restricted(plan.groups[term.group].features, term.entry->reach);

        const auto value =
            term.entry->loss->forward({term.canonical, posed, rendered, frame, random,
                                       /*static_shapes=*/!surfels.position.is_cpu()});
        check_shape(value, {}, term.entry->name.c_str());
        const auto weighted = term.weight * value;
        report.total = report.total.defined() ? report.total + weighted : weighted;  // (21)
        report.terms.push_back(
            {term.entry->name, term.weight, value.detach()});  // outlives the step's graph
        for (const auto& [name, map] : rendered) {
            if (!report.rendered.contains(name))
                report.rendered.set(name, map.detach());  // likewise
        }
    }
    if (!report.total.defined())
        report.total = surfels.position.narrow(0, 0, 0).sum();  // no term: 0, and backward works
    return report;
}

}  // namespace fmgs
