#include <fmgs/losses/routes.h>

#include <fmgs/core/check.h>
#include <fmgs/core/names.h>
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace fmgs {

bool has_row(const std::string& loss) {
    return std::any_of(std::begin(routing::kRows), std::end(routing::kRows),
                       [&](const routing::Row& row) { return loss == row.loss; });
}

RoutingTable routing_table(const std::string& name) {
    if (name != "measured" && name != "strict" && name != "literal" && name != "off") {
        throw Error(
            fmt::format("routing: expected measured, strict, literal or off, got '{}'", name));
    }
    const auto open = [&](routing::Cell cell) {
        return cell == routing::X || (cell == routing::o && name == "literal") ||
               (cell == routing::m && name == "measured");
    };
    RoutingTable table;
    for (const auto& row : routing::kRows) {
        Reach reach{.position = open(row.position),
                    .rotation = open(row.rotation),
                    .scale = open(row.scale),
                    .opacity = open(row.opacity),
                    .skinning = open(row.skinning),
                    .features = {}};
        if (*row.feature) reach.features.insert(row.feature);
        table.rows[row.loss] = name == "off" && row.rendered ? Reach::everything() : reach;
    }
    return table;
}

Reach RoutingTable::reach(const std::string& loss, const std::string& feature) const {
    std::vector<std::string> known;
    for (const auto& [name, row] : rows) known.push_back(name);
    check_known("routing table", "row", loss, known);
    Reach reach = rows.at(loss);
    if (!feature.empty()) reach.features = {feature};
    return reach;
}

}  // namespace fmgs
