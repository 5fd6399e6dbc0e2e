#include <fmgs/fields/located_points.h>

#include <fmgs/core/check.h>

namespace fmgs {

struct LocatedPoints::Found {
    torch::Tensor centers;
    std::mutex mutex;
    TensorStamp stamp;               // of the centres that `grids` belong to
    std::vector<FixedPoints> grids;  // one for each layout, device and type
};

LocatedPoints::LocatedPoints(const torch::Tensor& centers) : found_(std::make_shared<Found>()) {
    check_shape(centers, {-1, 3}, "centres of the located points");
    found_->centers = centers;
}

const torch::Tensor& LocatedPoints::centers() const {
    if (!found_) throw Error("located points: got none; make them from the centres [N,3]");
    return found_->centers;
}

FixedPoints LocatedPoints::in(const HashGridImpl& grid) const {
    const auto& points = centers();
    const auto layout = grid.layout();
    const auto& box = grid.box();
    const std::lock_guard lock(found_->mutex);
    auto& grids = found_->grids;
    if (const TensorStamp now(points); !(now == found_->stamp)) {
        grids.clear();
        found_->stamp = now;
    }
    for (const auto& at : grids) {
        if (at.layout == layout && at.points.device() == box.device() &&
            at.points.scalar_type() == box.scalar_type())
            return at;
    }
    grids.push_back(grid.locate(points));
    return grids.back();
}

}  // namespace fmgs
