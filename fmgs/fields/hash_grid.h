#pragma once
/// A multi-resolution hash grid (Müller et al. 2022) over a box, with tiny-cuda-nn's level rule;
/// float or double.
#include <fmgs/core/config/range.h>
#include <fmgs/core/parameter_group.h>
#include <fmgs/core/tensor_stamp.h>
#include <torch/nn/module.h>

#include <array>
#include <memory>
#include <mutex>
#include <vector>

namespace fmgs {

struct HashGridOptions {
    int64_t levels = 16;
    int64_t features_per_level = 2;
    int64_t base_resolution = 16;  ///< resolution of the coarsest level
    int64_t finest_resolution = 2048;
    int64_t log2_hashmap_size = 16;

    bool operator==(const HashGridOptions&) const = default;

    template <class V>
    void visit(V& v) {
        v("levels", levels, Range::of(1, 32), "resolution levels");
        v("features_per_level", features_per_level, Range::of(1, 16), "features per level");
        v("base_resolution", base_resolution, Range::of(1, 65536),
          "resolution of the coarsest level");
        v("finest_resolution", finest_resolution, Range::of(1, 65536),
          "resolution of the finest level");
        v("log2_hashmap_size", log2_hashmap_size, Range::of(3, 26),
          "log2 of the table size of a level");
        v.renamed("features", "features_per_level");
        v.renamed("base", "base_resolution");
        v.renamed("finest", "finest_resolution");
        v.renamed("log2_entries", "log2_hashmap_size");
    }
};

/// Error "PATH.key: …" for options of which no grid can be made.
void check_grid(const HashGridOptions& options, const std::string& path);

/// Where the corners of a point are: grids of equal layouts find the same.
struct GridLayout {
    HashGridOptions options;
    std::array<double, 6> box{};  ///< lower and upper corner

    bool operator==(const GridLayout&) const = default;
};

class LocatedPoints;

/// Points that never move, with their 8 corners per level found once, and, for a GPU, the matrix of
/// trilinear weights transposed, as compressed sparse rows: a row per entry of the table, a column
/// per point. So its backward is a gather: parallel, deterministic, without atomics. Not a
/// parameter, never saved. Level-major, because the table of one level fits in the second
/// cache and the table of all levels does not.
struct FixedPoints {
    /// [N,3] in the unit cube
    torch::Tensor points;
    /// [L,N,8] int32 rows of the table; corner c adds bit 0 to x, bit 1 to y, bit 2 to z
    torch::Tensor indices;
    /// [L,N,3] position inside the cell; the trilinear weights follow from it
    torch::Tensor fractions;
    /// [entries+1] int32 into columns and values
    torch::Tensor row_offsets;
    /// [N·L·8] int32 points that read an entry, rising within its row
    torch::Tensor columns;
    /// [N·L·8] trilinear weights
    torch::Tensor values;
    /// of the grid that found them; another one refuses them
    GridLayout layout{};

    int64_t size() const { return points.defined() ? points.size(0) : 0; }
};

class HashGridImpl : public torch::nn::Module, public ParameterGroups {
  public:
    /// box: [2,3] lower and upper corner; inputs are clamped to it. Table initialised uniformly in
    /// ±1e-4 from `seed`.
    HashGridImpl(const HashGridOptions& options, const torch::Tensor& box, uint64_t seed = 0);

    int64_t width() const { return options_.levels * options_.features_per_level; }
    /// What FixedPoints of this grid fit. Reads the box back from a GPU when it has changed, else
    /// nothing.
    GridLayout layout() const;
    /// Finds the corners of points [N,3] once; the search runs on the CPU wherever the grid is.
    FixedPoints locate(const torch::Tensor& points) const;
    /// [N,width]; gradient to the table only. Error when `at` was located by a grid of other
    /// options or with another box.
    torch::Tensor forward(const FixedPoints& at);
    /// The same at points that look after their corners themselves (fields/located_points.h).
    torch::Tensor forward(const LocatedPoints& at);
    /// x: [N,3]. Returns [N,width]; gradients to the table and to x.
    torch::Tensor forward(const torch::Tensor& x);

    const HashGridOptions& options() const { return options_; }
    const torch::Tensor& box() const { return box_; }  ///< [2,3] lower and upper corner
    /// Rows of the table: Σ_l min(round_up(r_l³, 8), 2^log2_hashmap_size).
    int64_t entries() const { return table_.size(0); }
    std::string parameter_group(const std::string&) const override { return "volume"; }

  private:
    torch::Tensor to_unit(const torch::Tensor& x) const;

    HashGridOptions options_;
    torch::Tensor table_, box_;  // parameter [entries,features]; buffer
    // The box as numbers, and the box that they were read from.
    mutable std::mutex layout_mutex_;
    mutable TensorStamp layout_stamp_;
    mutable std::array<double, 6> layout_box_{};
};
TORCH_MODULE(HashGrid);

/// The canonical box of the volumes: min and max of vertices [V,3], padded on each side by
/// `padding` of the extent. [2,3].
torch::Tensor padded_box(const torch::Tensor& vertices, double padding = 0.1);

}  // namespace fmgs
