#include <ATen/Parallel.h>
#include <fmgs/core/check.h>
#include <fmgs/core/mesh.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>

namespace fmgs {
namespace {

using Point = std::array<double, 3>;
using Hit = std::pair<double, int64_t>;  // squared distance, index: ties go to the smaller index

double square_distance(const Point& a, const Point& b) {
    double sum = 0;
    for (int k = 0; k < 3; ++k) sum += (a[k] - b[k]) * (a[k] - b[k]);
    return sum;
}

// A balanced k-d tree laid out in one index array: the median of a range is its node.
class Tree {
  public:
    explicit Tree(std::vector<Point> points)
        : points_(std::move(points)), order_(points_.size()), axis_(points_.size()) {
        std::iota(order_.begin(), order_.end(), int64_t{0});
        build(0, static_cast<int64_t>(order_.size()));
    }

    // The nearest `count` points to point `query`, itself left out, into hits[0..count), nearest
    // first.
    void nearest(int64_t query, int64_t count, Hit* hits) const {
        std::fill(
            hits, hits + count,
            Hit{std::numeric_limits<double>::infinity(), std::numeric_limits<int64_t>::max()});
        search(0, static_cast<int64_t>(order_.size()), query, count, hits);
    }

  private:
    void build(int64_t begin, int64_t end) {
        if (end - begin < 2) return;
        Point low = points_[order_[begin]], high = low;
        for (int64_t i = begin; i < end; ++i) {
            for (int k = 0; k < 3; ++k) {
                low[k] = std::min(low[k], points_[order_[i]][k]);
                high[k] = std::max(high[k], points_[order_[i]][k]);
            }
        }
        int axis = 0;
        for (int k = 1; k < 3; ++k) {
            if (high[k] - low[k] > high[axis] - low[axis]) axis = k;
        }
        const int64_t middle = begin + (end - begin) / 2;
        std::nth_element(order_.begin() + begin, order_.begin() + middle, order_.begin() + end,
                         [&](int64_t a, int64_t b) {
                             return std::pair(points_[a][axis], a) < std::pair(points_[b][axis], b);
                         });
        axis_[middle] = axis;
        build(begin, middle);
        build(middle + 1, end);
    }

    void search(int64_t begin, int64_t end, int64_t query, int64_t count, Hit* hits) const {
        if (begin >= end) return;
        const int64_t middle = begin + (end - begin) / 2, index = order_[middle];
        const Point& p = points_[query];
        if (index != query) {
            const Hit hit{square_distance(p, points_[index]), index};
            if (hit < hits[count - 1]) {
                auto* place = std::upper_bound(hits, hits + count, hit);
                std::move_backward(place, hits + count - 1, hits + count);
                *place = hit;
            }
        }
        if (end - begin < 2) return;
        const double side = p[axis_[middle]] - points_[index][axis_[middle]];
        const bool left = side < 0;
        left ? search(begin, middle, query, count, hits)
             : search(middle + 1, end, query, count, hits);
        // `<=`: an equally near point on the other side may have the smaller index.
        if (side * side <= hits[count - 1].first) {
            left ? search(middle + 1, end, query, count, hits)
                 : search(begin, middle, query, count, hits);
        }
    }

    std::vector<Point> points_;
    std::vector<int64_t> order_;
    std::vector<int> axis_;  // by position in order_
};

}  // namespace

torch::Tensor nearest_neighbours(const torch::Tensor& points, int64_t k) {
    check_shape(points, {-1, 3}, "points");
    const int64_t count = points.size(0);
    if (k < 0 || k >= std::max<int64_t>(count, 1)) {
        throw Error(fmt::format(
            "nearest_neighbours: expected 0 <= k < {} (the number of points), got {}", count, k));
    }
    const auto x = points.to(torch::kCPU, torch::kDouble).contiguous();
    if (!x.isfinite().all().item<bool>())
        throw Error("nearest_neighbours: the points are not all finite");
    std::vector<Point> copy(count);
    for (int64_t i = 0; i < count; ++i)
        std::copy_n(x.data_ptr<double>() + 3 * i, 3, copy[i].begin());
    auto out = torch::empty({count, k}, torch::kLong);
    if (k == 0) return out.to(points.device());
    const Tree tree(std::move(copy));
    auto* target = out.data_ptr<int64_t>();
    at::parallel_for(0, count, 1024, [&](int64_t begin, int64_t end) {
        std::vector<Hit> hits(k);
        for (int64_t i = begin; i < end; ++i) {
            tree.nearest(i, k, hits.data());
            for (int64_t j = 0; j < k; ++j) target[i * k + j] = hits[j].second;
        }
    });
    return out.to(points.device());
}

}  // namespace fmgs
