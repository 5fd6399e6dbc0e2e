#pragma once
/// How an appearance that can be lit otherwise is made.
#include <fmgs/core/config/range.h>

#include <cstdint>

namespace fmgs {

struct MaterialOptions {
    int64_t light_rows = 16;  ///< H of the light's picture [H,2H]
    double warm_up = 0.1;     ///< share of the training in which the light does not count
    bool srgb = true;
    bool deferred = false;
    bool shape_from_shading = false;

    template <class V>
    void visit(V& v) {
        v("light_rows", light_rows, Range::of(4, 32),
          "rows of the learned light's picture of all directions; it has twice as many columns");
        v("warm_up", warm_up, Range::of(0, 1),
          "share of the training at whose end shading starts: until then colour is albedo");
        v("srgb", srgb, "pictures are sRGB, as photographs are; false: they are linear in light");
        v("deferred", deferred, "shade pixels of composited materials, not surfels");
        v("shape_from_shading", shape_from_shading,
          "shading moves the surfels, too, as far as a loss may");
    }
};

}  // namespace fmgs
