#include <fmgs/core/mesh.h>

#include <fmgs/core/check.h>
#include <fmgs/core/cuda/upload.h>
#include <fmt/format.h>
#include <torch/types.h>

namespace fmgs {
namespace {

void check_mesh(const Mesh& mesh) {
    check_shape(mesh.vertices, {-1, 3}, "mesh vertices");
    check_shape(mesh.faces, {-1, 3}, "mesh faces");
}

// The directed edges [3F,2]: 01, then 12, then 20 of every face.
torch::Tensor directed_edges(const torch::Tensor& faces) {
    return torch::cat({faces.slice(1, 0, 2), faces.slice(1, 1, 3),
                       torch::stack({faces.select(1, 2), faces.select(1, 0)}, 1)});
}

int64_t vertex_bound(const torch::Tensor& faces) {
    return faces.numel() ? faces.max().item<int64_t>() + 1 : 1;
}

// One number for each undirected edge; its order is that of the (small, large) pairs.
torch::Tensor edge_keys(const torch::Tensor& edges, int64_t bound) {
    return std::get<0>(edges.min(1)) * bound + std::get<0>(edges.max(1));
}

torch::Tensor split_keys(const torch::Tensor& keys, int64_t bound) {
    return torch::stack({keys.div(bound, "floor"), keys.remainder(bound)}, 1);
}

struct Corners {
    torch::Tensor a, b, c;  // [F,3]
};

Corners corners(const Mesh& mesh) {
    const auto at = [&](int64_t k) {
        return mesh.vertices.index_select(0, mesh.faces.select(1, k));
    };
    return {at(0), at(1), at(2)};
}

// x / |x|, and `fallback` where x has no length.
torch::Tensor unit_or(const torch::Tensor& x, const torch::Tensor& fallback) {
    const auto length = x.norm(2, 1, true);
    const auto good = length > 1e-20;
    return torch::where(good, x / torch::where(good, length, 1), fallback);
}

// Some direction perpendicular to the unit rows of x.
torch::Tensor perpendicular(const torch::Tensor& x) {
    const auto axis = torch::zeros_like(x).scatter(1, x.abs().argmin(1, true), 1.0);
    return unit_or(torch::cross(x, axis, 1), axis);
}

}  // namespace

Subdivision subdivide(const Mesh& mesh) {
    check_mesh(mesh);
    const int64_t count = mesh.vertices.size(0), bound = vertex_bound(mesh.faces);
    const auto keys = edge_keys(directed_edges(mesh.faces), bound);
    const auto [unique, inverse, unused] = at::_unique2(keys, true, true);
    const auto edges = split_keys(unique, bound);
    const auto middle = (inverse + count).view({3, -1});  // of edges 01, 12, 20
    const auto a = mesh.faces.select(1, 0), b = mesh.faces.select(1, 1),
               c = mesh.faces.select(1, 2);
    const auto ab = middle[0], bc = middle[1], ca = middle[2];
    Subdivision out;
    // The four children of a face lie together: 4f … 4f+3, the middle one last.
    out.mesh.faces = torch::stack({a, ab, ca, b, bc, ab, c, ca, bc, ab, bc, ca}, 1).view({-1, 3});
    out.parents =
        torch::cat({torch::arange(count, edges.options()).unsqueeze(1).expand({-1, 2}), edges});
    out.mesh.vertices =
        torch::cat({mesh.vertices,
                    mesh.vertices.index_select(0, edges.reshape({-1})).view({-1, 2, 3}).mean(1)});
    return out;
}

FaceFrames face_frames(const Mesh& mesh) {
    check_mesh(mesh);
    const auto [a, b, c] = corners({mesh.vertices.to(torch::kDouble), mesh.faces});
    const auto center = (a + b + c) / 3;
    // Conjugate semi-diameters of the Steiner circum-ellipse (twice those of the in-ellipse), and
    // its axes by rotating their parameter: p(t) = f1 cos t + f2 sin t is longest at tan 2t = 2
    // f1·f2 / (|f1|² - |f2|²).
    const auto f1 = c - center, f2 = (b - a) / std::sqrt(3.0);
    const auto dot = [](const torch::Tensor& x, const torch::Tensor& y) {
        return (x * y).sum(1, true);
    };
    const auto t = 0.5 * torch::atan2(2 * dot(f1, f2), dot(f1, f1) - dot(f2, f2));
    const auto major = f1 * t.cos() + f2 * t.sin(), minor = f2 * t.cos() - f1 * t.sin();

    auto x_axis = torch::zeros_like(major);
    x_axis.select(1, 0).fill_(1);
    auto t_u = unit_or(major, x_axis);
    const auto normal = unit_or(torch::cross(b - a, c - a, 1), perpendicular(t_u));
    t_u = unit_or(t_u - dot(t_u, normal) * normal, perpendicular(normal));
    const auto t_v = torch::cross(normal, t_u, 1);

    const auto type = mesh.vertices.scalar_type();
    return {center.to(type), torch::stack({t_u, t_v, normal}, 2).to(type),
            torch::cat({major.norm(2, 1, true), minor.norm(2, 1, true)}, 1).to(type)};
}

torch::Tensor face_normals(const Mesh& mesh) {
    check_mesh(mesh);
    const auto [a, b, c] = corners(mesh);
    const auto n = torch::cross(b - a, c - a, 1);
    return unit_or(n, torch::zeros_like(n));
}

torch::Tensor unique_edges(const torch::Tensor& faces) {
    check_shape(faces, {-1, 3}, "faces");
    const int64_t bound = vertex_bound(faces);
    return split_keys(std::get<0>(at::_unique2(edge_keys(directed_edges(faces), bound))), bound);
}

torch::Tensor adjacent_faces(const torch::Tensor& faces) {
    check_shape(faces, {-1, 3}, "faces");
    const auto keys = edge_keys(directed_edges(faces), vertex_bound(faces));
    const auto [sorted, order] = torch::sort(keys, /*stable=*/true, 0, /*descending=*/false);
    const int64_t next = std::max<int64_t>(0, keys.size(0) - 1);
    const auto same = (sorted.slice(0, 0, next) == sorted.slice(0, 1)).nonzero().squeeze(1);
    const auto face = order.remainder(std::max<int64_t>(1, faces.size(0)));
    return torch::stack({face.index_select(0, same), face.index_select(0, same + 1)}, 1);
}

bool is_closed_manifold(const torch::Tensor& faces) {
    check_shape(faces, {-1, 3}, "faces");
    if (faces.size(0) == 0) return false;
    const int64_t bound = vertex_bound(faces);
    const auto edges = directed_edges(faces);
    const auto from = edges.select(1, 0), to = edges.select(1, 1);
    if ((from == to).any().item<bool>()) return false;
    // Every directed edge once, and its reverse too.
    const auto forward = std::get<0>(at::_unique2(from * bound + to));
    const auto backward = std::get<0>(at::_unique2(to * bound + from));
    return forward.size(0) == edges.size(0) && torch::equal(forward, backward);
}

SurfaceSamples sample_surface(const Mesh& mesh, int64_t count, at::Generator generator) {
    return SurfaceSampler(mesh).sample(count, std::move(generator));
}

SurfaceSampler::SurfaceSampler(const Mesh& mesh)
    : faces_(mesh.faces.options()), vertices_(mesh.vertices.options()) {
    check_mesh(mesh);
    const auto [a, b, c] = corners({mesh.vertices.to(torch::kDouble), mesh.faces});
    total_ = torch::cross(b - a, c - a, 1).norm(2, 1).cumsum(0);
    if (total_.numel() && !total_.is_cpu()) return;
    const double area =
        total_.numel() ? *(total_.const_data_ptr<double>() + total_.numel() - 1) : 0;
    if (!(area > 0) || !std::isfinite(area)) {
        throw Error(fmt::format(
            "sample_surface: expected a mesh with a positive finite area, got {}", area));
    }
}

SurfaceSamples SurfaceSampler::sample(int64_t count, at::Generator generator) const {
    const auto draws = torch::rand({3, count}, generator, torch::kDouble);
    const auto wanted = upload(draws[0], total_.options()) * total_[-1];
    const auto face =
        torch::searchsorted(total_, wanted, false, true).clamp_max(total_.size(0) - 1);
    const auto root = draws[1].sqrt();  // Turk 1990: uniform in the triangle
    const auto weights = torch::stack({1 - root, root * (1 - draws[2]), root * draws[2]}, 1);
    return {face.to(faces_.device()), upload(weights, vertices_)};
}

torch::Tensor interpolate(const SurfaceSamples& samples, const torch::Tensor& faces,
                          const torch::Tensor& values) {
    check_shape(faces, {-1, 3}, "faces");
    check_shape(samples.barycentric, {samples.face.size(0), 3}, "barycentric");
    check_shape(values, {-1, -1}, "vertex values");
    const auto corner = faces.index_select(0, samples.face).reshape({-1});
    return (values.index_select(0, corner).view({-1, 3, values.size(1)}) *
            samples.barycentric.to(values.scalar_type()).unsqueeze(2))
        .sum(1);
}

}  // namespace fmgs
