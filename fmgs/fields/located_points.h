#pragma once
/// Points that stay where they are, and where they lie in each hash grid that asks.
#include <fmgs/fields/hash_grid.h>

namespace fmgs {

/// Corners are found when a grid first asks for them and kept for all grids of its layout; they are
/// found again when the centres or the grid's box were written, moved to another device or
/// converted. So there is nothing to refresh after a load or a to(). Copies share what was found. A
/// cache: never saved.
class LocatedPoints {
  public:
    LocatedPoints() = default;
    /// centers: [N,3], metres. The tensor stays the caller's and is looked at in every use.
    explicit LocatedPoints(const torch::Tensor& centers);

    int64_t size() const { return centers().size(0); }
    /// [N,3]. Error when these points are none.
    const torch::Tensor& centers() const;
    /// The corners in this grid; nothing is read back from a GPU unless they have to be found.
    FixedPoints in(const HashGridImpl& grid) const;

  private:
    struct Found;
    std::shared_ptr<Found> found_;
};

}  // namespace fmgs
