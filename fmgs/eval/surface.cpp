#include <fmgs/eval/surface.h>

#include <ATen/Parallel.h>
#include <fmgs/core/check.h>
#include <fmgs/core/random.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace fmgs {
namespace {

using Vector = std::array<double, 3>;

Vector minus(const double* a, const double* b) { return {a[0] - b[0], a[1] - b[1], a[2] - b[2]}; }
double dot(const Vector& a, const Vector& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
Vector cross(const Vector& a, const Vector& b) {
    return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

/// Squared distance of p to the segment from a to b.
double to_segment(const double* p, const double* a, const double* b) {
    const auto along = minus(b, a), to = minus(p, a);
    const double length = dot(along, along);
    const double t = length > 0 ? std::clamp(dot(along, to) / length, 0.0, 1.0) : 0;
    const Vector rest = {to[0] - t * along[0], to[1] - t * along[1], to[2] - t * along[2]};
    return dot(rest, rest);
}

/// Squared distance of p to a triangle: to its plane where p lies above it, else to its sides.
double to_triangle(const double* p, const double* corners) {
    const double *a = corners, *b = corners + 3, *c = corners + 6;
    const auto n = cross(minus(b, a), minus(c, a));
    const double area = dot(n, n);
    const auto left_of = [&](const double* from, const double* to) {
        return dot(cross(minus(to, from), minus(p, from)), n) >= 0;
    };
    if (area > 0 && left_of(a, b) && left_of(b, c) && left_of(c, a)) {
        const double height = dot(minus(p, a), n);
        return height * height / area;
    }
    return std::min({to_segment(p, a, b), to_segment(p, b, c), to_segment(p, c, a)});
}

torch::Tensor sampled(const Mesh& mesh, int64_t count, const char* purpose) {
    const auto samples = sample_surface(mesh, count, Random{0}.generator(purpose));
    return interpolate(samples, mesh.faces, mesh.vertices);
}

Mesh on_cpu(const Mesh& mesh) {
    return {mesh.vertices.to(torch::kCPU, torch::kFloat64), mesh.faces.to(torch::kCPU)};
}

}  // namespace

SurfaceDistance::SurfaceDistance(const Mesh& mesh) {
    const auto [vertices, faces] = on_cpu(mesh);
    check_shape(vertices, {-1, 3}, "vertices");
    check_shape(faces, {-1, 3}, "faces");
    if (faces.size(0) == 0) throw Error("surface: expected at least one face, got none");
    if ((faces < 0).any().item<bool>() || (faces >= vertices.size(0)).any().item<bool>())
        throw Error(fmt::format("surface: a face names a vertex that is not there; there are {}",
                                vertices.size(0)));
    corners_ = vertices.index({faces}).contiguous();
    if (!corners_.isfinite().all().item<bool>()) throw Error("surface: a vertex is not finite");
    const auto low = std::get<0>(corners_.flatten(0, 1).min(0)),
               high = std::get<0>(corners_.flatten(0, 1).max(0));
    const double extent = (high - low).max().item<double>();
    // About as many cells along the longest side as triangles along it.
    constexpr double kMost = 96;
    const double along = std::clamp(std::sqrt(static_cast<double>(faces.size(0))), 1.0, kMost);
    side_ = std::max(extent / along, 1e-9);
    for (int d = 0; d < 3; ++d) {
        low_[d] = low[d].item<double>();
        size_[d] = 1 + static_cast<int64_t>((high[d].item<double>() - low_[d]) / side_);
    }
    const auto* x = corners_.data_ptr<double>();
    const auto each_cell = [&](int64_t f, const auto& visit) {
        int64_t from[3], to[3];
        for (int d = 0; d < 3; ++d) {
            const auto [least, most] =
                std::minmax({x[9 * f + d], x[9 * f + 3 + d], x[9 * f + 6 + d]});
            from[d] = cell(d, least);
            to[d] = cell(d, most);
        }
        for (int64_t i = from[0]; i <= to[0]; ++i)
            for (int64_t j = from[1]; j <= to[1]; ++j)
                for (int64_t k = from[2]; k <= to[2]; ++k)
                    visit(static_cast<size_t>((i * size_[1] + j) * size_[2] + k));
    };
    first_.assign(static_cast<size_t>(size_[0] * size_[1] * size_[2]) + 1, 0);
    for (int64_t f = 0; f < faces.size(0); ++f) each_cell(f, [&](size_t c) { ++first_[c + 1]; });
    for (size_t c = 1; c < first_.size(); ++c) first_[c] += first_[c - 1];
    triangles_.resize(static_cast<size_t>(first_.back()));
    auto next = first_;
    for (int64_t f = 0; f < faces.size(0); ++f)
        each_cell(f, [&](size_t c) { triangles_[static_cast<size_t>(next[c]++)] = f; });
}

int64_t SurfaceDistance::cell(int axis, double coordinate) const {
    const double at = std::floor((coordinate - low_[axis]) / side_);
    return static_cast<int64_t>(std::clamp(at, 0.0, static_cast<double>(size_[axis] - 1)));
}

double SurfaceDistance::nearest(const double* p) const {
    const auto* x = corners_.data_ptr<double>();
    int64_t at[3];
    double outside = 0;  // squared distance to the grid's box
    for (int d = 0; d < 3; ++d) {
        at[d] = cell(d, p[d]);
        const double high = low_[d] + side_ * static_cast<double>(size_[d]);
        outside += std::pow(std::max({0.0, low_[d] - p[d], p[d] - high}), 2);
    }
    double best = std::numeric_limits<double>::infinity();
    const int64_t most = std::max({size_[0], size_[1], size_[2]});
    // Shells of cells around the point's own, or the one nearest to it. Beyond shell r lies
    // nothing that is nearer than r cells to the point's projection onto the box.
    for (int64_t r = 0; r <= most; ++r) {
        if (best <= outside + std::pow(static_cast<double>(std::max<int64_t>(0, r - 1)) * side_, 2))
            break;
        for (int64_t i = std::max<int64_t>(0, at[0] - r); i <= std::min(size_[0] - 1, at[0] + r);
             ++i) {
            for (int64_t j = std::max<int64_t>(0, at[1] - r);
                 j <= std::min(size_[1] - 1, at[1] + r); ++j) {
                const bool face = std::abs(i - at[0]) == r || std::abs(j - at[1]) == r;
                for (int64_t k = at[2] - r; k <= at[2] + r; k += face || r == 0 ? 1 : 2 * r) {
                    if (k < 0 || k >= size_[2]) continue;
                    const auto c = static_cast<size_t>((i * size_[1] + j) * size_[2] + k);
                    for (auto t = first_[c]; t < first_[c + 1]; ++t)
                        best = std::min(best,
                                        to_triangle(p, x + 9 * triangles_[static_cast<size_t>(t)]));
                }
            }
        }
    }
    return std::sqrt(best);
}

torch::Tensor SurfaceDistance::operator()(const torch::Tensor& points) const {
    check_shape(points, {-1, 3}, "points");
    const auto p = points.to(torch::kCPU, torch::kFloat64).contiguous();
    if (!p.isfinite().all().item<bool>()) throw Error("surface: a point is not finite");
    auto out = torch::empty({p.size(0)}, torch::kFloat64);
    at::parallel_for(0, p.size(0), 256, [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k)
            out.data_ptr<double>()[k] = nearest(p.data_ptr<double>() + 3 * k);
    });
    return out;
}

Mesh carried(const Mesh& mesh, const torch::Tensor& moved) {
    check_shape(moved, {mesh.faces.size(0), 3}, "displacements of the faces");
    const auto corner = mesh.faces.reshape({-1});
    const auto each = moved.to(mesh.vertices.options()).repeat_interleave(3, 0);
    const auto sum = torch::zeros_like(mesh.vertices).index_add(0, corner, each);
    const auto count = torch::zeros_like(mesh.vertices.slice(1, 0, 1))
                           .index_add(0, corner, torch::ones_like(each.slice(1, 0, 1)));
    return {mesh.vertices + sum / count.clamp_min(1), mesh.faces};
}

SurfaceErrors surface_errors(const Mesh& mesh, const Mesh& truth, int64_t samples) {
    constexpr double kNear = 0.01;  // metres
    const auto ours = on_cpu(mesh), theirs = on_cpu(truth);
    const auto forth = SurfaceDistance(theirs)(sampled(ours, samples, "ours")),
               back = SurfaceDistance(ours)(sampled(theirs, samples, "truth"));
    const auto mean = [](const torch::Tensor& x) {
        return x.to(torch::kFloat64).mean().item<double>();
    };
    const double precision = mean(forth <= kNear), recall = mean(back <= kNear);
    return {.chamfer = (mean(forth) + mean(back)) / 2,
            .point_to_surface = mean(back),
            .f_1cm = precision + recall == 0 ? 0 : 2 * precision * recall / (precision + recall)};
}

}  // namespace fmgs
