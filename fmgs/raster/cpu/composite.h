#pragma once
/// The CPU backend's compositing of one tile: plain pointers, no torch, one build per instruction
/// set.
#include <fmgs/raster/surfel_math.h>

namespace fmgs::raster {

/// Which build of the tile functions to run.
enum class InstructionSet { portable, avx2, avx512 };

/// The best this machine runs.
InstructionSet best_instruction_set();

/// What forward and backward share. Pixels of the tile: x0 ≤ x < x1, y0 ≤ y < y1.
template <class T>
struct Tile {
    const Projected<T>* surfels;  ///< [N]
    const int32_t* indices;       ///< [count] surfels of this tile, front to back
    int64_t count;
    const T* features;       ///< [N,channels]
    const int32_t* channel;  ///< [channels] channels ordered by route, then those of no route
    const int32_t* begin;    ///< [routes+2] first ordered channel of each route and of no route
    int64_t channels, routes;
    int32_t x0, y0, x1, y1;
    int64_t width, height;  ///< of the image, pixels
    T* transmittance;       ///< [H,W] final
    int32_t* last;          ///< [H,W] position in `indices` of the last contributor, -1 without
    T* workspace;           ///< at least workspace_size() long
};

/// Draws the tile. Writes every pixel of it, except where image is null.
template <class T>
struct ForwardTile : Tile<T> {
    T* image;  ///< [channels,H,W]
    T* alpha;  ///< [H,W]
    T* depth;  ///< [H,W]
};

/// Gradient sums of each surfel of the tile. A null cotangent counts as zero and costs nothing.
template <class T>
struct BackwardTile : Tile<T> {
    const T* const* grad_image;  ///< [channels] pointers to [H,W], ordered by route
    const T* const* grad_alpha;  ///< [routes] pointers to [H,W]
    const T* const* grad_depth;  ///< [routes] pointers to [H,W]
    bool needs_features;         ///< fill the feature part of the slots
    T* slots;  ///< [count, routes·kSums + channels] sums, then dL/df of the ordered channels
    uint8_t* touched;  ///< [count] set to 1 where the slot was written, else to 0
};

constexpr int64_t kCacheLine = 64;  ///< bytes; the workspace begins on such a boundary

/// Elements of the workspace a tile of edge `size` needs.
int64_t workspace_size(int64_t size, int64_t channels, int64_t routes);

template <class T>
struct TileFunctions {
    void (*forward)(const ForwardTile<T>&);
    void (*backward)(const BackwardTile<T>&);
};

/// What draws tiles.
struct TileBackend {
    TileFunctions<float> single;
    TileFunctions<double> twofold;
};

/// The tile functions of an instruction set; the portable ones where the build lacks it.
TileBackend tile_backend(InstructionSet set = best_instruction_set());

// One per source file composite_<set>.cpp.
namespace portable {
TileFunctions<float> functions_float();
TileFunctions<double> functions_double();
}  // namespace portable
namespace avx2 {
TileFunctions<float> functions_float();
TileFunctions<double> functions_double();
}  // namespace avx2
namespace avx512 {
TileFunctions<float> functions_float();
TileFunctions<double> functions_double();
}  // namespace avx512

}  // namespace fmgs::raster
