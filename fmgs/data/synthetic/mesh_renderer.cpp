#include <fmgs/data/synthetic/mesh_renderer.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

namespace fmgs {
namespace {

using Vec = std::array<double, 3>;

Vec cross(const Vec& a, const Vec& b) {
    return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

double dot(const Vec& a, const Vec& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

struct View {
    double fx, fy, cx, cy, near;
    int64_t samples;
};

struct Box {
    int64_t left, right, top, bottom;  // samples, inclusive
};

// The samples that a triangle may cover; everything when a corner lies at or behind the camera.
Box sample_box(const std::array<Vec, 3>& corners, const View& view, const Fragments& image) {
    Box box{0, image.width - 1, 0, image.height - 1};
    double x0 = INFINITY, x1 = -INFINITY, y0 = INFINITY, y1 = -INFINITY;
    for (const auto& c : corners) {
        if (c[2] < 1e-3 * view.near) return box;
        const double x = view.fx * c[0] / c[2] + view.cx, y = view.fy * c[1] / c[2] + view.cy;
        x0 = std::min(x0, x), x1 = std::max(x1, x), y0 = std::min(y0, y), y1 = std::max(y1, y);
    }
    // One sample wider than the projection, because the bounds are rounded and the edge functions
    // decide.
    const auto low = [&](double t) {
        return static_cast<int64_t>(std::clamp(std::floor(t * view.samples - 0.5), -1e9, 1e9));
    };
    box.left = std::max<int64_t>(box.left, low(x0)), box.right = std::min(box.right, low(x1) + 1);
    box.top = std::max<int64_t>(box.top, low(y0)), box.bottom = std::min(box.bottom, low(y1) + 1);
    return box;
}

void draw_triangle(int32_t face, const std::array<Vec, 3>& c, const View& view, Fragments& image) {
    if (std::max({c[0][2], c[1][2], c[2][2]}) < view.near) return;
    std::array<Vec, 3> edge = {cross(c[1], c[2]), cross(c[2], c[0]), cross(c[0], c[1])};
    double volume = dot(c[0], edge[0]);
    if (!(std::abs(volume) > 0)) return;  // seen edge-on, degenerate, or not a number
    if (volume < 0) {
        volume = -volume;
        for (auto& e : edge) e = {-e[0], -e[1], -e[2]};
    }
    const Box box = sample_box(c, view, image);
    const double step = 1.0 / static_cast<double>(view.samples);
    for (int64_t j = box.top; j <= box.bottom; ++j) {
        const double y = ((static_cast<double>(j) + 0.5) * step - view.cy) / view.fy;
        for (int64_t i = box.left; i <= box.right; ++i) {
            const Vec ray = {((static_cast<double>(i) + 0.5) * step - view.cx) / view.fx, y, 1};
            const double a = dot(edge[0], ray), b = dot(edge[1], ray), w = dot(edge[2], ray);
            if (a < 0 || b < 0 || w < 0) continue;
            const double sum = a + b + w;  // = volume / z
            if (!(sum > 0)) continue;      // a triangle without area, met along its line
            const double z = volume / sum;
            if (!(z >= view.near)) continue;
            const auto at = static_cast<size_t>(j * image.width + i);
            if (image.face[at] >= 0 && static_cast<double>(image.depth[at]) <= z) continue;
            image.face[at] = face;
            image.depth[at] = static_cast<float>(z);
            image.u[at] = static_cast<float>(b / sum);
            image.v[at] = static_cast<float>(w / sum);
        }
    }
}

void check_mesh(const Mesh& mesh) {
    check_shape(mesh.vertices, {-1, 3}, "mesh vertices");
    check_shape(mesh.faces, {-1, 3}, "mesh faces");
    if (mesh.faces.numel() == 0) return;
    const auto low = mesh.faces.min().item<int64_t>(), high = mesh.faces.max().item<int64_t>();
    if (low < 0 || high >= mesh.vertices.size(0)) {
        throw Error(fmt::format("mesh faces: expected vertices 0 to {}, got {} to {}",
                                mesh.vertices.size(0) - 1, low, high));
    }
}

// The hit samples of one pixel, gathered.
struct Pixel {
    int64_t hits = 0;
    std::array<float, 3> color{};
    SurfacePoint nearest{};  // to the centre
    int64_t label = 0;
    float depth = 0;
    int64_t distance = std::numeric_limits<int64_t>::max();  // of `nearest`, squared, samples
};

class Resolver {
  public:
    Resolver(const Mesh& mesh, const torch::Tensor& normals, const Camera& camera,
             const SurfaceShader& shader, const Fragments& fragments, int64_t samples)
        : faces_(mesh.faces.to(torch::kInt64).contiguous()),
          normals_(normals.to(torch::kFloat).contiguous()),
          vertices_(camera.to_camera(mesh.vertices.to(torch::kFloat)).contiguous()),
          rotation_(camera.rotation.to(torch::kFloat).contiguous()),
          shader_(shader),
          fragments_(fragments),
          samples_(samples) {}

    Pixel pixel(int64_t row, int64_t column) const {
        Pixel out;
        const int64_t middle = samples_ / 2;
        for (int64_t j = 0; j < samples_; ++j) {
            for (int64_t i = 0; i < samples_; ++i) {
                const auto at = static_cast<size_t>((row * samples_ + j) * fragments_.width +
                                                    column * samples_ + i);
                if (fragments_.face[at] < 0) continue;
                const SurfacePoint point = surface_point(at);
                const SurfaceLook look = shader_(point);
                ++out.hits;
                for (size_t k = 0; k < 3; ++k) out.color[k] += look.color[k];
                const int64_t distance = (i - middle) * (i - middle) + (j - middle) * (j - middle);
                if (distance >= out.distance) continue;
                out.distance = distance, out.nearest = point, out.label = look.label,
                out.depth = fragments_.depth[at];
            }
        }
        return out;
    }

    // World → camera.
    std::array<float, 3> turned(const std::array<float, 3>& n) const {
        const float* r = rotation_.const_data_ptr<float>();
        return {r[0] * n[0] + r[1] * n[1] + r[2] * n[2], r[3] * n[0] + r[4] * n[1] + r[5] * n[2],
                r[6] * n[0] + r[7] * n[1] + r[8] * n[2]};
    }

  private:
    SurfacePoint surface_point(size_t at) const {
        SurfacePoint p;
        p.face = fragments_.face[at];
        p.barycentric = {1 - fragments_.u[at] - fragments_.v[at], fragments_.u[at],
                         fragments_.v[at]};
        const int64_t* corner = faces_.const_data_ptr<int64_t>() + int64_t{3} * p.face;
        std::array<float, 3> position{};
        for (size_t c = 0; c < 3; ++c) {
            const float* n = normals_.const_data_ptr<float>() + 3 * corner[c];
            const float* x = vertices_.const_data_ptr<float>() + 3 * corner[c];
            for (size_t k = 0; k < 3; ++k) {
                p.normal[k] += p.barycentric[c] * n[k];
                position[k] += p.barycentric[c] * x[k];
            }
        }
        const auto& n = p.normal;
        float length = std::sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]);
        const auto seen = turned(n);
        if (seen[0] * position[0] + seen[1] * position[1] + seen[2] * position[2] > 0)
            length = -length;
        const float scale = length == 0 ? 0 : 1 / length;
        for (auto& k : p.normal) k *= scale;
        return p;
    }

    torch::Tensor faces_, normals_, vertices_, rotation_;
    const SurfaceShader& shader_;
    const Fragments& fragments_;
    int64_t samples_;
};

}  // namespace

Fragments draw_mesh(const Mesh& mesh, const Camera& camera, int64_t samples) {
    check_mesh(mesh);
    if (samples < 1)
        throw Error(fmt::format("samples: expected at least 1 per pixel, got {}", samples));
    Fragments image;
    image.width = camera.width * samples, image.height = camera.height * samples;
    const auto count = static_cast<size_t>(image.width * image.height);
    image.face.assign(count, -1);
    image.u.assign(count, 0), image.v.assign(count, 0), image.depth.assign(count, 0);

    const auto k = camera.intrinsics.to(torch::kDouble).contiguous();
    const double* f = k.const_data_ptr<double>();
    const View view{f[0], f[1], f[2], f[3], camera.near, samples};
    const auto points =
        (torch::matmul(mesh.vertices.to(torch::kDouble), camera.rotation.to(torch::kDouble).t()) +
         camera.translation.to(torch::kDouble))
            .contiguous();
    const auto faces = mesh.faces.to(torch::kInt64).contiguous();
    const double* p = points.const_data_ptr<double>();
    const int64_t* index = faces.const_data_ptr<int64_t>();
    for (int64_t t = 0; t < faces.size(0); ++t) {
        std::array<Vec, 3> corners;
        for (size_t c = 0; c < 3; ++c) {
            const double* x = p + 3 * index[3 * t + static_cast<int64_t>(c)];
            corners[c] = {x[0], x[1], x[2]};
        }
        draw_triangle(static_cast<int32_t>(t), corners, view, image);
    }
    return image;
}

torch::Tensor vertex_normals(const Mesh& mesh) {
    const auto vertices = mesh.vertices.to(torch::kDouble).contiguous();
    const auto faces = mesh.faces.to(torch::kInt64).contiguous();
    auto normals = torch::zeros_like(vertices);
    const double* x = vertices.const_data_ptr<double>();
    const int64_t* index = faces.const_data_ptr<int64_t>();
    double* out = normals.mutable_data_ptr<double>();
    for (int64_t t = 0; t < faces.size(0); ++t) {
        std::array<const double*, 3> c;
        for (size_t k = 0; k < 3; ++k) c[k] = x + 3 * index[3 * t + static_cast<int64_t>(k)];
        Vec a, b;
        for (size_t k = 0; k < 3; ++k) a[k] = c[1][k] - c[0][k], b[k] = c[2][k] - c[0][k];
        const Vec n = cross(a, b);  // twice the area long
        for (int64_t corner = 0; corner < 3; ++corner) {
            for (size_t k = 0; k < 3; ++k)
                out[3 * index[3 * t + corner] + static_cast<int64_t>(k)] += n[k];
        }
    }
    return (normals / normals.norm(2, 1, true).clamp_min(1e-30)).to(mesh.vertices.scalar_type());
}

Maps render_mesh(const Mesh& mesh, const torch::Tensor& normals, const Camera& camera,
                 const SurfaceShader& shader, int64_t samples) {
    check_shape(normals, {mesh.vertices.size(0), 3}, "vertex normals");
    if (samples % 2 == 0)
        throw Error(fmt::format(
            "samples: expected an odd number (one at the pixel's centre), got {}", samples));
    const Fragments fragments = draw_mesh(mesh, camera, samples);
    const Resolver resolver(mesh, normals, camera, shader, fragments, samples);
    const int64_t H = camera.height, W = camera.width, area = H * W;
    auto color = torch::zeros({3, H, W}), normal = torch::zeros({3, H, W});
    auto mask = torch::zeros({1, H, W}), depth = torch::zeros({1, H, W});
    auto semantic = torch::zeros({H, W}, torch::kInt64);
    float* to_color = color.mutable_data_ptr<float>();
    float* to_normal = normal.mutable_data_ptr<float>();
    for (int64_t at = 0; at < area; ++at) {
        const Pixel p = resolver.pixel(at / W, at % W);
        const float share = 1.0F / static_cast<float>(samples * samples);
        for (size_t k = 0; k < 3; ++k)
            to_color[static_cast<int64_t>(k) * area + at] = p.color[k] * share;
        if (2 * p.hits < samples * samples) continue;
        mask.mutable_data_ptr<float>()[at] = 1;
        depth.mutable_data_ptr<float>()[at] = p.depth;
        semantic.mutable_data_ptr<int64_t>()[at] = p.label;
        const auto n = resolver.turned(p.nearest.normal);
        for (size_t k = 0; k < 3; ++k) to_normal[static_cast<int64_t>(k) * area + at] = n[k];
    }
    return {{"color", color},
            {"mask", mask},
            {"depth", depth},
            {"normal", normal},
            {"semantic", semantic}};
}

}  // namespace fmgs
