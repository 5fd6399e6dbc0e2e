#pragma once
/// What the CPU backend builds once per instruction set: projection, compositing of one tile, and
/// the gradients of surfels; plain pointers, no torch.
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

/// Where the slots of a surfel lie: one for each tile that its box meets, row by row, and so for
/// tile (x,y) the slot base + y·width + x.
struct SlotPlace {
    int64_t base, width;
    int64_t of(int64_t x, int64_t y) const { return base + y * width + x; }
};

/// Gradient sums of each surfel of the tile. A null cotangent counts as zero and costs nothing.
template <class T>
struct BackwardTile : Tile<T> {
    const T* const* grad_image;  ///< [channels] pointers to [H,W], ordered by route
    const T* const* grad_alpha;  ///< [routes] pointers to [H,W]
    const T* const* grad_depth;  ///< [routes] pointers to [H,W]
    bool needs_features;         ///< fill the feature part of the slots
    int64_t column, row;         ///< of the tile
    const SlotPlace* places;     ///< [N]
    T* slots;          ///< [P, routes·kSums + channels] sums, then dL/df of the ordered channels
    uint8_t* touched;  ///< [P] set to 1 where a slot is written
};

/// The surfels of a call.
template <class T>
struct SurfelRows {
    const T *center, *tangents, *opacity;  ///< [N,3], [N,3,2], [N,1]
    const T* intrinsics;                   ///< fx fy cx cy
    T near, low_pass;
    int64_t width, height;
};

/// From the sums of the slots to gradients.
template <class T>
struct SlotRows {
    const int64_t* start;  ///< [N+1] into [P], slots of each surfel
    const T* slots;        ///< [P, routes·kSums + channels]; what lies up to a pack behind is read
    const uint8_t* touched;  ///< [P] the slot was written
    const int32_t* channel;  ///< [channels] which a slot's are
    int64_t n, channels, routes;
    T *center, *tangents, *opacity;  ///< [routes,N,…] out
    T* features;                     ///< [N,channels] out; null, if not needed
    T* workspace;                    ///< slot_workspace_size() long
};

constexpr int64_t kCacheLine = 64;  ///< bytes; the workspace begins on such a boundary

/// Elements of the workspace a tile of edge `size` needs.
int64_t workspace_size(int64_t size, int64_t channels, int64_t routes);

/// Elements of SlotRows::workspace.
int64_t slot_workspace_size(int64_t channels, int64_t routes);

template <class T>
struct TileFunctions {
    void (*forward)(const ForwardTile<T>&);
    void (*backward)(const BackwardTile<T>&);
};

template <class T>
struct RowFunctions {
    /// Projects the surfels [first, last) to out[0…].
    void (*project)(const SurfelRows<T>&, int64_t first, int64_t last, Projected<T>* out);
    /// Adds up the slots of the surfels [first, last), each in their order, and writes their
    /// gradients; that of the intrinsics is added to intrinsics[4].
    void (*gather)(const SurfelRows<T>&, const SlotRows<T>&, int64_t first, int64_t last,
                   T* intrinsics);
};

template <class T>
struct CpuFunctions : TileFunctions<T>, RowFunctions<T> {};

/// What draws tiles.
struct TileBackend {
    CpuFunctions<float> single;
    CpuFunctions<double> twofold;
};

/// The tile functions of an instruction set; the portable ones where the build lacks it.
TileBackend tile_backend(InstructionSet set = best_instruction_set());

// One of each per source file composite_<set>.cpp and surfel_packs_<set>.cpp.
namespace portable {
TileFunctions<float> functions_float();
TileFunctions<double> functions_double();
RowFunctions<float> rows_float();
RowFunctions<double> rows_double();
}  // namespace portable
namespace avx2 {
TileFunctions<float> functions_float();
TileFunctions<double> functions_double();
RowFunctions<float> rows_float();
RowFunctions<double> rows_double();
}  // namespace avx2
namespace avx512 {
TileFunctions<float> functions_float();
TileFunctions<double> functions_double();
RowFunctions<float> rows_float();
RowFunctions<double> rows_double();
}  // namespace avx512

}  // namespace fmgs::raster
