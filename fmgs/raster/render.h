#pragma once
/// The only way from surfels to maps: world → camera, one rasterization, normalisation.
#include <fmgs/core/box.h>
#include <fmgs/core/surfels.h>
#include <fmgs/raster/rasterize.h>

#include <optional>
#include <set>
#include <string_view>

namespace fmgs {

/// Is this the name of a map that follows from where the surfels are: alpha, depth or normal? All
/// other names are features of the surfels.
bool is_geometry(std::string_view map);

/// The tiles of these surfels in this camera (no gradient).
Tiles find_tiles(const PosedSurfels& surfels, const Camera& camera);

/// One route of a routed render: the surfels with that route's gradients, and the maps it wants.
struct Route {
    PosedSurfels surfels;
    std::vector<std::string> names;  ///< "alpha", "depth", "normal", or any feature of the surfels
    bool features_only = false;  ///< no gradient to the geometry: rides along with the other routes
    std::set<std::string> whole;  ///< of `names`, those of which a box will not do
};

/// Renders the named maps: alpha [1,H,W]; depth [1,H,W] = Σwz / max(α, 1e-6), metres; normal
/// [3,H,W] = Σwn normalised (0 where nothing is drawn), camera frame, each surfel's normal flipped
/// towards the camera; any other name: Σ w f, [C,H,W] on black, or what
/// a pixel shader of the surfels makes of it. In depth and normal surfels that
/// face away count by surfels.far_side of their opacity: a second pass, with the α of its own.
/// Error when a name is neither of
/// these nor a feature, and for tiles of another camera. `tiles` as found by find_tiles for the
/// same surfels and camera. Surfels and camera are of one dtype and device.
Maps render(const PosedSurfels& surfels, const Camera& camera,
            const std::vector<std::string>& names, const Tiles* tiles = nullptr);

/// The same for several routes in one pass: routes have equal values (Surfels::posed with different
/// reaches). Returns one Maps per route. A map takes its gradient from the route that names it; a
/// map that two routes name is drawn for each. With a box, only what lies in it is returned of maps
/// that are not in route.whole: the same numbers, and a gradient that costs what the box has.
std::vector<Maps> render(const std::vector<Route>& routes, const Camera& camera,
                         const Tiles* tiles = nullptr, const std::optional<Box>& box = {});

}  // namespace fmgs
