#pragma once
/// The level rule of the hash grid (tiny-cuda-nn's) and the arithmetic of one point in one level.
/// Host and device, C++17, free of torch; the levels themselves are found on the host.
///   scale s_l = base·g^l − 1, g = (finest/base)^(1/(levels−1)); resolution r_l = ⌈s_l⌉ + 1
///   vertices per axis; entries min(round_up(r_l³, 8), 2^log2_hashmap_size); row x + y·r + z·r²
///   where r³ fits, else x ^ y·p₁ ^ z·p₂ in uint32, modulo the entries of the level; position in
///   the level x·s_l + 0.5 for x in the unit cube.
#include <fmgs/core/host_device.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace fmgs::detail {

/// S: double on the host; a kernel takes the type of its points, as double is slow there.
template <class S>
struct HashLevelOf {
    S scale = 0;              ///< s_l
    uint32_t resolution = 0;  ///< r_l
    int64_t start = 0;        ///< first row of the level in the table
    uint32_t entries = 0;     ///< rows of the level
    bool dense = false;       ///< every vertex has its own row
};
using HashLevel = HashLevelOf<double>;

inline std::vector<HashLevel> hash_levels(int64_t levels, int64_t base_resolution,
                                          int64_t finest_resolution, int64_t log2_hashmap_size) {
    const double growth =
        levels > 1 ? std::exp(std::log(double(finest_resolution) / double(base_resolution)) /
                              double(levels - 1))
                   : 1.0;
    const int64_t limit = int64_t{1} << log2_hashmap_size;
    std::vector<HashLevel> result(static_cast<size_t>(levels));
    int64_t start = 0;
    for (int64_t l = 0; l < levels; ++l) {
        auto& level = result[static_cast<size_t>(l)];
        level.scale = double(base_resolution) * std::pow(growth, double(l)) - 1;
        // The finest scale is a whole number in exact arithmetic; rounding must not add a vertex.
        level.resolution = static_cast<uint32_t>(std::ceil(level.scale * (1 - 1e-12))) + 1;
        const int64_t cells = int64_t{level.resolution} * level.resolution * level.resolution;
        level.dense = cells <= limit;
        level.entries = static_cast<uint32_t>(std::min((cells + 7) / 8 * 8, limit));
        level.start = start;
        start += level.entries;
    }
    return result;
}

/// Where a point lies in a level: its cell and the fraction inside it.
template <class T>
struct HashCell {
    uint32_t corner[3];
    T fraction[3];
};

/// unit: [3]; clamped to [0,1], NaN to 0.
template <class S, class T>
FMGS_HD HashCell<T> hash_cell(const HashLevelOf<S>& level, const T* unit) {
    HashCell<T> cell;
    for (int k = 0; k < 3; ++k) {
        const T x = unit[k] > 0 ? (unit[k] < 1 ? unit[k] : T(1)) : T(0);
        const T position = x * T(level.scale) + T(0.5);
#ifdef __CUDA_ARCH__
        const T floor = std::floor(position);
        cell.corner[k] = static_cast<uint32_t>(floor);
#else  // std::floor is a call on a plain x86-64; on a GPU this would take more registers
        cell.corner[k] = static_cast<uint32_t>(position);
        const T floor = static_cast<T>(cell.corner[k]);
#endif
        cell.fraction[k] = position - floor;
    }
    return cell;
}

/// Table rows of the eight corners; corner c adds bit 0 to x, bit 1 to y and bit 2 to z.
template <class S>
FMGS_HD void hash_rows(const HashLevelOf<S>& level, const uint32_t* corner, int32_t* rows) {
    const uint32_t stride_y = level.dense ? level.resolution : 2654435761u;
    const uint32_t stride_z = level.dense ? level.resolution * level.resolution : 805459861u;
    for (uint32_t c = 0; c < 8; ++c) {
        const uint32_t x = corner[0] + (c & 1), y = (corner[1] + (c >> 1 & 1)) * stride_y,
                       z = (corner[2] + (c >> 2)) * stride_z;
        // The vertices just outside the upper faces wrap around, as in tiny-cuda-nn. Hashed levels
        // have 2^k rows.
        uint32_t row = level.dense ? x + y + z : (x ^ y ^ z) & (level.entries - 1);
        if (row >= level.entries) row %= level.entries;
        rows[c] = static_cast<int32_t>(level.start + row);
    }
}

/// The eight trilinear weights of a fraction [3].
template <class T>
FMGS_HD void trilinear(const T* f, T* weights) {
    const T xy[4] = {(1 - f[0]) * (1 - f[1]), f[0] * (1 - f[1]), (1 - f[0]) * f[1], f[0] * f[1]};
    for (int c = 0; c < 8; ++c) weights[c] = xy[c & 3] * (c & 4 ? f[2] : 1 - f[2]);
}

/// Adds to out [3] the gradient of Σ_c w_c · value_c with respect to a point of the unit cube;
/// value: [8]. The weights are products of three linear factors.
template <class T>
FMGS_HD void add_trilinear_gradient(const T* value, const T* fraction, T scale, T* out) {
    for (int axis = 0; axis < 3; ++axis) {
        const int u = (axis + 1) % 3, v = (axis + 2) % 3;
        const T fu = fraction[u], fv = fraction[v];
        const int bit = 1 << axis, bu = 1 << u, bv = 1 << v;
        const T slope = (1 - fu) * (1 - fv) * (value[bit] - value[0]) +
                        fu * (1 - fv) * (value[bit | bu] - value[bu]) +
                        (1 - fu) * fv * (value[bit | bv] - value[bv]) +
                        fu * fv * (value[bit | bu | bv] - value[bu | bv]);
        out[axis] += slope * scale;
    }
}

/// Does the input move when its coordinate does? Clamped ones and NaN do not.
template <class T>
FMGS_HD bool moves(T unit) {
    return unit >= 0 && unit <= 1;
}

}  // namespace fmgs::detail
