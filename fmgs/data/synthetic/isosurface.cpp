#include <fmgs/data/synthetic/isosurface.h>

#include <torch/types.h>

#include <cmath>

namespace fmgs::detail {
namespace {

struct Grid {
    Point3 low;
    double cell;
    std::array<int64_t, 3> nodes;  // per axis
    std::vector<double> value;     // at the nodes, x fastest

    int64_t at(int64_t x, int64_t y, int64_t z) const { return x + nodes[0] * (y + nodes[1] * z); }
    Point3 point(int64_t x, int64_t y, int64_t z) const {
        return {low[0] + cell * static_cast<double>(x), low[1] + cell * static_cast<double>(y),
                low[2] + cell * static_cast<double>(z)};
    }
};

Grid sample(const Distance& distance, const Point3& low, const Point3& high, double cell) {
    Grid grid{low, cell, {}, {}};
    for (int k = 0; k < 3; ++k) {
        grid.nodes[k] = static_cast<int64_t>(std::ceil((high[k] - low[k]) / cell)) + 1;
        // Centred, so that a symmetric shape gets a symmetric mesh.
        grid.low[k] =
            0.5 * (low[k] + high[k]) - 0.5 * cell * static_cast<double>(grid.nodes[k] - 1);
    }
    grid.value.resize(static_cast<size_t>(grid.nodes[0] * grid.nodes[1] * grid.nodes[2]));
    for (int64_t z = 0; z < grid.nodes[2]; ++z) {
        for (int64_t y = 0; y < grid.nodes[1]; ++y) {
            for (int64_t x = 0; x < grid.nodes[0]; ++x)
                grid.value[grid.at(x, y, z)] = distance(grid.point(x, y, z));
        }
    }
    return grid;
}

// The mean of the points where the cube's edges pass the surface; false when none does.
bool cube_vertex(const Grid& grid, const std::array<int64_t, 3>& cube, Point3& vertex) {
    Point3 sum{};
    int count = 0;
    for (int from = 0; from < 8; ++from) {
        for (int axis = 0; axis < 3; ++axis) {
            const int to = from | (1 << axis);
            if (to == from) continue;
            const auto node = [&](int c) {
                return std::array<int64_t, 3>{cube[0] + (c & 1), cube[1] + ((c >> 1) & 1),
                                              cube[2] + (c >> 2)};
            };
            const auto p = node(from), q = node(to);
            const double a = grid.value[grid.at(p[0], p[1], p[2])],
                         b = grid.value[grid.at(q[0], q[1], q[2])];
            if ((a < 0) == (b < 0)) continue;
            auto crossing = grid.point(p[0], p[1], p[2]);
            crossing[axis] += grid.cell * a / (a - b);
            for (int k = 0; k < 3; ++k) sum[k] += crossing[k];
            ++count;
        }
    }
    if (count == 0) return false;
    for (int k = 0; k < 3; ++k) vertex[k] = sum[k] / count;
    return true;
}

double square_distance(const Point3& a, const Point3& b) {
    double sum = 0;
    for (int k = 0; k < 3; ++k) sum += (a[k] - b[k]) * (a[k] - b[k]);
    return sum;
}

void add_quad(const std::array<int64_t, 4>& q, const std::vector<Point3>& points,
              std::vector<int64_t>& faces) {
    if (square_distance(points[q[0]], points[q[2]]) <=
        square_distance(points[q[1]], points[q[3]])) {
        faces.insert(faces.end(), {q[0], q[1], q[2], q[0], q[2], q[3]});
    } else {
        faces.insert(faces.end(), {q[0], q[1], q[3], q[1], q[2], q[3]});
    }
}

// Every grid edge that passes the surface joins the vertices of its four cubes.
void connect(const Grid& grid, const std::vector<int64_t>& index, const std::vector<Point3>& points,
             std::vector<int64_t>& faces) {
    for (int64_t z = 1; z + 1 < grid.nodes[2]; ++z) {
        for (int64_t y = 1; y + 1 < grid.nodes[1]; ++y) {
            for (int64_t x = 1; x + 1 < grid.nodes[0]; ++x) {
                const int64_t here = grid.at(x, y, z);
                const std::array<int64_t, 3> step{grid.at(1, 0, 0), grid.at(0, 1, 0),
                                                  grid.at(0, 0, 1)};
                for (int axis = 0; axis < 3; ++axis) {
                    const bool inside = grid.value[here] < 0;
                    if (inside == (grid.value[here + step[axis]] < 0)) continue;
                    const int64_t u = step[(axis + 1) % 3], v = step[(axis + 2) % 3];
                    std::array<int64_t, 4> quad{index[here - u - v], index[here - v], index[here],
                                                index[here - u]};
                    if (!inside) std::swap(quad[1], quad[3]);
                    add_quad(quad, points, faces);
                }
            }
        }
    }
}

// One Newton step towards the zero surface, along the numerical gradient.
Point3 projected(const Distance& distance, Point3 p, double step) {
    const double value = distance(p);
    Point3 gradient;
    double square = 1e-12;
    for (int k = 0; k < 3; ++k) {
        auto up = p, down = p;
        up[k] += step;
        down[k] -= step;
        gradient[k] = (distance(up) - distance(down)) / (2 * step);
        square += gradient[k] * gradient[k];
    }
    for (int k = 0; k < 3; ++k) p[k] -= value * gradient[k] / square;
    return p;
}

torch::Tensor as_tensor(const std::vector<Point3>& points) {
    auto out = torch::empty({static_cast<int64_t>(points.size()), 3}, torch::kDouble);
    for (size_t i = 0; i < points.size(); ++i)
        std::copy_n(points[i].data(), 3, out.data_ptr<double>() + 3 * i);
    return out;
}

}  // namespace

std::vector<std::vector<int64_t>> vertex_neighbours(const torch::Tensor& faces, int64_t count) {
    std::vector<std::vector<int64_t>> out(static_cast<size_t>(count));
    const auto edges = unique_edges(faces).contiguous();
    const auto* edge = edges.data_ptr<int64_t>();
    for (int64_t e = 0; e < edges.size(0); ++e) {
        out[edge[2 * e]].push_back(edge[2 * e + 1]);
        out[edge[2 * e + 1]].push_back(edge[2 * e]);
    }
    return out;
}

Mesh isosurface(const Distance& distance, const Point3& low, const Point3& high, double cell) {
    const auto grid = sample(distance, low, high, cell);
    std::vector<Point3> points;
    std::vector<int64_t> index(grid.value.size(), -1), corner;
    for (int64_t z = 0; z + 1 < grid.nodes[2]; ++z) {
        for (int64_t y = 0; y + 1 < grid.nodes[1]; ++y) {
            for (int64_t x = 0; x + 1 < grid.nodes[0]; ++x) {
                Point3 vertex;
                if (!cube_vertex(grid, {x, y, z}, vertex)) continue;
                index[grid.at(x, y, z)] = static_cast<int64_t>(points.size());
                points.push_back(vertex);
            }
        }
    }
    connect(grid, index, points, corner);
    return {as_tensor(points), torch::tensor(corner, torch::kLong).view({-1, 3})};
}

Mesh relaxed(const Mesh& mesh, const Distance& distance, double cell, int rounds) {
    std::vector<Point3> points(static_cast<size_t>(mesh.vertices.size(0)));
    for (size_t i = 0; i < points.size(); ++i)
        std::copy_n(mesh.vertices.data_ptr<double>() + 3 * i, 3, points[i].data());
    const auto neighbours = vertex_neighbours(mesh.faces, mesh.vertices.size(0));
    for (int round = 0; round < rounds; ++round) {
        auto moved = points;
        for (size_t i = 0; i < points.size(); ++i) {
            for (int k = 0; k < 3; ++k) {
                double sum = 0;
                for (const auto n : neighbours[i]) sum += points[n][k];
                moved[i][k] =
                    0.5 * points[i][k] + 0.5 * sum / static_cast<double>(neighbours[i].size());
            }
            moved[i] = projected(distance, moved[i], 0.05 * cell);
        }
        points = std::move(moved);
    }
    return {as_tensor(points), mesh.faces};
}

}  // namespace fmgs::detail
