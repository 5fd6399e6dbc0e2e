#include <fmgs/fields/hash_grid.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/random.h>
#include <fmgs/fields/hash/hash_encode.h>
#include <fmgs/fields/hash/hash_levels.h>
#include <fmgs/fields/located_points.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <limits>

namespace fmgs {
namespace {

std::vector<detail::HashLevel> levels_of(const HashGridOptions& o) {
    return detail::hash_levels(o.levels, o.base_resolution, o.finest_resolution,
                               o.log2_hashmap_size);
}

/// Rows and fractions of every point in every level.
template <class T>
void find_corners(const std::vector<detail::HashLevel>& levels, FixedPoints& at) {
    const int64_t N = at.points.size(0);
    const T* points = at.points.const_data_ptr<T>();
    int32_t* rows = at.indices.mutable_data_ptr<int32_t>();
    T* fractions = at.fractions.mutable_data_ptr<T>();
    for (const auto& level : levels) {
        for (int64_t n = 0; n < N; ++n, rows += 8, fractions += 3) {
            const auto cell = detail::hash_cell(level, points + n * 3);
            detail::hash_rows(level, cell.corner, rows);
            std::copy(cell.fraction, cell.fraction + 3, fractions);
        }
    }
}

/// The transposed list by a counting sort; it is stable, so the columns of an entry keep the order
/// of the points.
template <class T>
void find_transpose(FixedPoints& at) {
    const int64_t L = at.indices.size(0), N = at.indices.size(1);
    const int32_t* rows = at.indices.const_data_ptr<int32_t>();
    const T* fractions = at.fractions.const_data_ptr<T>();
    int32_t* row_offsets = at.row_offsets.mutable_data_ptr<int32_t>();
    int32_t* columns = at.columns.mutable_data_ptr<int32_t>();
    T* weights = at.values.mutable_data_ptr<T>();
    const int64_t entries = at.row_offsets.size(0) - 1;
    for (int64_t k = 0; k < L * N * 8; ++k) ++row_offsets[rows[k] + 1];
    for (int64_t e = 0; e < entries; ++e) row_offsets[e + 1] += row_offsets[e];
    std::vector<int32_t> next(row_offsets, row_offsets + entries);
    for (int64_t k = 0; k < L * N; ++k) {
        T w[8];
        detail::trilinear(fractions + k * 3, w);
        for (int64_t c = 0; c < 8; ++c) {
            const int32_t place = next[static_cast<size_t>(rows[k * 8 + c])]++;
            columns[place] = static_cast<int32_t>(k % N);
            weights[place] = w[c];
        }
    }
}

}  // namespace

HashGridImpl::HashGridImpl(const HashGridOptions& options, const torch::Tensor& box, uint64_t seed)
    : options_(options) {
    check_grid(options, "hash grid");
    check_shape(box, {2, 3}, "box of the hash grid");
    const auto levels = levels_of(options);
    const int64_t entries = levels.back().start + levels.back().entries;
    table_ = register_parameter("table",
                                torch::empty({entries, options.features_per_level})
                                    .uniform_(-1e-4, 1e-4, Random{seed}.generator("hash_grid")));
    box_ = register_buffer("box", box.to(table_.options().requires_grad(false)).clone());
    if (!box_.isfinite().all().item<bool>() || !(box_[1] > box_[0]).all().item<bool>()) {
        throw Error(
            "box of the hash grid: expected finite corners with upper above lower on each axis");
    }
}

GridLayout HashGridImpl::layout() const {
    const std::lock_guard lock(layout_mutex_);
    if (const TensorStamp now(box_); !(now == layout_stamp_)) {
        const auto corners = box_.to(torch::kCPU, torch::kDouble).contiguous();
        std::copy_n(corners.const_data_ptr<double>(), 6, layout_box_.begin());
        layout_stamp_ = now;
    }
    return {options_, layout_box_};
}

torch::Tensor HashGridImpl::to_unit(const torch::Tensor& x) const {
    check_shape(x, {-1, 3}, "points of the hash grid");
    return (x - box_[0]) / (box_[1] - box_[0]);
}

FixedPoints HashGridImpl::locate(const torch::Tensor& points) const {
    torch::NoGradGuard guard;  // fixed points are constants by definition
    const int64_t N = points.size(0), L = options_.levels;
    if (N * L * 8 > std::numeric_limits<int32_t>::max()) {
        throw Error(
            fmt::format("hash grid: {} points in {} levels do not fit 32-bit indices", N, L));
    }
    FixedPoints at;
    at.points = to_unit(points.to(box_.options())).contiguous().cpu();
    const auto integers = at.points.options().dtype(torch::kInt32);
    at.indices = torch::empty({L, N, 8}, integers);
    at.fractions = torch::empty({L, N, 3}, at.points.options());
    at.row_offsets = torch::zeros({entries() + 1}, integers);
    at.columns = torch::empty({L * N * 8}, integers);
    at.values = torch::empty({L * N * 8}, at.points.options());
    AT_DISPATCH_FLOATING_TYPES(at.points.scalar_type(), "HashGrid::locate", [&] {
        find_corners<scalar_t>(levels_of(options_), at);
        find_transpose<scalar_t>(at);
    });
    for (auto* x :
         {&at.points, &at.indices, &at.fractions, &at.row_offsets, &at.columns, &at.values})
        *x = x->to(box_.device());
    at.layout = layout();
    return at;
}

torch::Tensor HashGridImpl::forward(const FixedPoints& at) {
    if (!at.points.defined())
        throw Error("HashGrid: fixed points: got none; find them with locate(points)");
    if (!(at.layout == layout())) {
        throw Error(
            "HashGrid: fixed points: expected those of a grid with the same options and box; find "
            "them with this grid's locate(points)");
    }
    return detail::hash_encode(table_, at.points, options_,
                               {at.indices, at.fractions, at.row_offsets, at.columns, at.values});
}

torch::Tensor HashGridImpl::forward(const LocatedPoints& at) { return forward(at.in(*this)); }

torch::Tensor HashGridImpl::forward(const torch::Tensor& x) {
    return detail::hash_encode(table_, to_unit(x), options_, {});
}

void check_grid(const HashGridOptions& o, const std::string& path) {
    check_ranges(o, path);
    if (o.finest_resolution < o.base_resolution) {
        throw Error(
            fmt::format("{}.finest_resolution: expected at least base_resolution, {}, got {}", path,
                        o.base_resolution, o.finest_resolution));
    }
    if (o.levels * (int64_t{1} << o.log2_hashmap_size) > std::numeric_limits<int32_t>::max()) {
        throw Error(fmt::format(
            "{}.log2_hashmap_size: {} levels of 2^{} entries do not fit 32-bit indices; lower it",
            path, o.levels, o.log2_hashmap_size));
    }
}

torch::Tensor padded_box(const torch::Tensor& vertices, double padding) {
    check_shape(vertices, {-1, 3}, "vertices");
    if (vertices.size(0) == 0) throw Error("padded_box: vertices: expected at least one, got none");
    const auto lower = std::get<0>(vertices.min(0)), upper = std::get<0>(vertices.max(0));
    const auto margin = padding * (upper - lower);
    return torch::stack({lower - margin, upper + margin});
}

}  // namespace fmgs
