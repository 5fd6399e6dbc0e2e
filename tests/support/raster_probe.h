#pragma once
/// What the tests of the rasterizer ask of a drawing: a scalar of all its outputs, gradients, the
/// operator's own inputs.
#include <fmgs/raster/cpu/rasterize_cpu.h>

#include "support/reference_raster.h"
#include "support/scenes.h"
#include "support/test.h"

namespace fmgs::test {

/// The instruction sets that this machine runs.
inline std::vector<raster::InstructionSet> instruction_sets() {
    std::vector<raster::InstructionSet> sets;
    for (const auto set : {raster::InstructionSet::portable, raster::InstructionSet::avx2,
                           raster::InstructionSet::avx512}) {
        if (set <= raster::best_instruction_set()) sets.push_back(set);
    }
    return sets;
}

/// A scalar that depends on every output with fixed random weights.
inline torch::Tensor probe(const Raster& out, uint64_t seed = 5) {
    auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
    torch::Tensor sum = torch::zeros({}, out.image.options());
    for (const auto& x : {out.image, out.alpha, out.depth})
        sum = sum + (x * torch::randn(x.sizes(), generator, torch::kDouble).to(x.dtype())).sum();
    return sum;
}

inline std::vector<torch::Tensor> gradients(const torch::Tensor& y,
                                            const std::vector<torch::Tensor>& x) {
    return torch::autograd::grad({y}, x, {}, /*retain_graph=*/false, /*create_graph=*/false,
                                 /*allow_unused=*/true);
}

inline double worst_distance(const std::vector<torch::Tensor>& a,
                             const std::vector<torch::Tensor>& b) {
    double worst = 0;
    for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, distance(a[i], b[i]));
    return worst;
}

inline raster::RasterizeInputs operator_inputs(const Scene& s, int64_t tile_size) {
    const auto tiles = s.tiles(tile_size);
    return {s.center.unsqueeze(0),
            s.tangents.unsqueeze(0),
            s.opacity.unsqueeze(0),
            s.features,
            torch::zeros({s.features.size(1)}, torch::kLong),
            s.intrinsics,
            tiles.offsets,
            tiles.indices,
            s.width,
            s.height,
            tile_size,
            s.near,
            s.low_pass};
}

}  // namespace fmgs::test
