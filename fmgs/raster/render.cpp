#include <fmgs/raster/render.h>

#include <fmgs/core/check.h>
#include <fmgs/core/surfel_rows.h>
#include <fmgs/raster/cpu/camera_rows.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/types.h>

#include <algorithm>
#include <array>
#include <functional>

namespace fmgs {
namespace {

using torch::Tensor;

void check_like(const Tensor& x, const Tensor& like, const char* name) {
    if (x.scalar_type() == like.scalar_type() && x.device() == like.device()) return;
    throw Error(fmt::format("render: {}: expected {} on {} as the surfels' centres, got {} on {}",
                            name, toString(like.scalar_type()), like.device().str(),
                            toString(x.scalar_type()), x.device().str()));
}

/// The camera's tensors, by the names of its members.
std::array<std::pair<const char*, Tensor>, 3> tensors_of(const Camera& camera) {
    return {std::pair{"camera.rotation", camera.rotation},
            {"camera.translation", camera.translation},
            {"camera.intrinsics", camera.intrinsics}};
}

void check_inputs(const PosedSurfels& surfels, const Camera& camera) {
    check_shape(surfels.center, {-1, 3}, "render: center");
    const int64_t n = surfels.center.size(0);
    check_shape(surfels.tangents, {n, 3, 2}, "render: tangents");
    check_shape(surfels.opacity, {n, 1}, "render: opacity");
    check_shape(camera.rotation, {3, 3}, "render: camera.rotation");
    check_shape(camera.translation, {3}, "render: camera.translation");
    check_shape(camera.intrinsics, {4}, "render: camera.intrinsics");
    check_like(surfels.tangents, surfels.center, "tangents");
    check_like(surfels.opacity, surfels.center, "opacity");
    for (const auto& [name, x] : tensors_of(camera)) check_like(x, surfels.center, name);
}

/// Of the same size, near plane and low-pass, and of a camera with the same values. Tensors that
/// are still those of find_tiles are not read: on a GPU that would wait for it.
void check_tiles(const Tiles& tiles, const Camera& camera) {
    if (tiles.width != camera.width || tiles.height != camera.height)
        throw Error(fmt::format(
            "render: the tiles are for {}x{} pixels, the camera has {}x{}; find them for this "
            "camera",
            tiles.width, tiles.height, camera.width, camera.height));
    const auto refuse = [](const char* what) {
        throw Error(fmt::format(
            "render: the tiles are for another camera: {} differs; find them for this one", what));
    };
    if (tiles.near != camera.near) refuse("camera.near");
    if (tiles.low_pass != camera.low_pass) refuse("camera.low_pass");
    if (tiles.camera.empty()) return;  // found for tensors
    size_t k = 0;
    for (const auto& [name, now] : tensors_of(camera)) {
        const auto& [then, stamp] = tiles.camera[k++];
        if (TensorStamp(now) == stamp && now.sizes() == then.sizes()) continue;
        const bool known = TensorStamp(then) == stamp;  // nothing was written into it since
        if (!known || now.scalar_type() != then.scalar_type() || now.device() != then.device() ||
            !torch::equal(now, then))
            refuse(name);
    }
}

void check_normal(const PosedSurfels& surfels) {
    check_shape(surfels.normal, {surfels.center.size(0), 3}, "render: normal");
    check_like(surfels.normal, surfels.center, "normal");
}

/// Where the camera sees a surfel from behind, [N,1]. The side is a comparison: it passes no
/// gradient on. normal, center_cam: [N,3] in camera frame.
Tensor faces_away(const Tensor& normal, const Tensor& center_cam) {
    return (normal * center_cam).sum(1, /*keepdim=*/true) > 0;
}

/// Normals [N,3] in camera frame, each turned to the side from which the camera sees it.
Tensor facing_normals(const PosedSurfels& surfels, const Tensor& center_cam, const Camera& camera) {
    const auto normal = torch::matmul(surfels.normal, camera.rotation.t());
    return torch::where(faces_away(normal, center_cam), -normal, normal);
}

/// The channels that a name stands for, [N,C].
Tensor channels_of(const std::string& name, const PosedSurfels& surfels, const Tensor& center_cam,
                   const Camera& camera) {
    if (name == "normal") {
        check_normal(surfels);
        return facing_normals(surfels, center_cam, camera);
    }
    const auto* feature = surfels.features.find(name);
    if (!feature) {
        std::string known = "alpha, depth, normal";
        for (const auto& [key, tensor] : surfels.features) known += ", " + key;
        throw Error(fmt::format(
            "render: the surfels have no feature '{}'; what can be rendered: {}", name, known));
    }
    check_shape(*feature, {surfels.center.size(0), -1}, ("render: feature " + name).c_str());
    check_like(*feature, surfels.center, ("feature " + name).c_str());
    return *feature;
}

/// Unit length; 0 where nothing is drawn. A normal drawn at α = 1/255 loses 3e-8 of it.
Tensor normalized(const Tensor& normal) {
    return normal * torch::rsqrt((normal * normal).sum(0, true) + 1e-12);
}

/// What a surfel adds up to in the picture, as a share of what its low-passed image does: the root
/// of det Σ / det(Σ + σ²I), Σ = JJᵀ of its tangents projected to first order at its centre, pixels²
/// (Yu et al. 2024, Mip-Splatting, the 2D Mip filter). Goes to 0 where a surfel is seen edge-on.
/// center_cam [N,3], tangents_cam [N,3,2]. Returns [N,1].
Tensor kept_share(const Tensor& center_cam, const Tensor& tangents_cam, const Camera& camera) {
    const auto z = center_cam.narrow(1, 2, 1).clamp_min(camera.near);
    const auto along = tangents_cam.select(1, 2);
    const auto row = [&](int64_t k) {  // [N,2] of J
        return camera.intrinsics[k] / z *
               (tangents_cam.select(1, k) - center_cam.narrow(1, k, 1) / z * along);
    };
    const auto x = row(0), y = row(1);
    const auto area = (x.select(1, 0) * y.select(1, 1) - x.select(1, 1) * y.select(1, 0)).square();
    const auto spread = (x.square() + y.square()).sum(1);
    const double low = camera.low_pass * camera.low_pass;
    return ((area + 1e-12) / (area + low * spread + low * low)).sqrt().unsqueeze(1);
}

/// The surfels in the camera's frame, with the opacities that are drawn.
detail::CameraRows in_camera(const PosedSurfels& surfels, const Camera& camera) {
    const auto of_camera = tensors_of(camera);
    const bool is_fixed = std::none_of(of_camera.begin(), of_camera.end(), [](const auto& named) {
        return named.second.requires_grad();
    });
    if (detail::takes_rows(surfels.center) && is_fixed)
        return detail::camera_rows(surfels.center, surfels.tangents, surfels.opacity, camera,
                                   surfels.mip);
    const auto center = camera.to_camera(surfels.center),
               tangents = torch::matmul(camera.rotation, surfels.tangents);
    return {center, tangents,
            surfels.mip ? surfels.opacity * kept_share(center, tangents, camera) : surfels.opacity};
}

/// What all routes draw together.
struct Drawing {
    std::vector<Tensor> center, tangents, opacity;  ///< of the routes with a row of their own
    std::vector<Tensor> channels;                   ///< [N,C] of each name that has channels
    std::vector<int64_t> widths;                    ///< C of each
    std::vector<bool> whole;                        ///< is it wanted beyond the box?
    std::vector<int64_t> channel_route;             ///< row of each single channel, or -1
    std::vector<int64_t> row;                       ///< of each route, or -1

    void add_row(const PosedSurfels& surfels, const Camera& camera) {
        const auto seen = in_camera(surfels, camera);
        center.push_back(seen.center);
        tangents.push_back(seen.tangents);
        opacity.push_back(seen.opacity);
    }
};

Drawing collect(const std::vector<Route>& routes, const Camera& camera) {
    check_inputs(routes.front().surfels, camera);
    const int64_t n = routes.front().surfels.center.size(0);
    Drawing all;
    for (const auto& route : routes) {
        const auto& surfels = route.surfels;
        check_inputs(surfels, camera);
        check_shape(surfels.center, {n, 3}, "render: center");
        check_like(surfels.center, routes.front().surfels.center, "center of a route");
        const bool has_row = !route.features_only && !route.names.empty();
        all.row.push_back(has_row ? static_cast<int64_t>(all.center.size()) : -1);
        if (has_row) all.add_row(surfels, camera);
        const auto center_cam = has_row ? all.center.back() : camera.to_camera(surfels.center);
        for (const auto& name : route.names) {
            if (name == "alpha" || name == "depth") continue;  // not drawn as channels
            all.channels.push_back(channels_of(name, surfels, center_cam, camera));
            all.widths.push_back(all.channels.back().size(1));
            all.whole.push_back(route.whole.contains(name));
            all.channel_route.insert(all.channel_route.end(),
                                     static_cast<size_t>(all.widths.back()), all.row.back());
        }
    }
    if (all.center.empty()) {  // no route has a row: something has to say where the surfels are
        all.add_row(routes.front().surfels, camera);
    }
    return all;
}

/// An image [ΣC,H,W] as maps of `widths` channels, each whole or cut to the box. The gradient of
/// the image is assembled once, and beyond the box nothing is read for it.
class ImageParts : public torch::autograd::Function<ImageParts> {
  public:
    using Context = torch::autograd::AutogradContext;
    using Variables = torch::autograd::variable_list;

    static Variables forward(Context* context, const Tensor& image,
                             const std::vector<int64_t>& widths, const std::vector<bool>& whole,
                             const Box& box) {
        const at::AutoDispatchBelowADInplaceOrView below;
        auto parts = image.split_with_sizes(widths);
        for (size_t k = 0; k < parts.size(); ++k)
            if (!whole[k]) parts[k] = box.cut(parts[k]);
        context->set_materialize_grads(false);
        context->saved_data["widths"] = widths;
        context->saved_data["sizes"] = image.sizes().vec();
        context->saved_data["box"] = std::vector{box.top, box.bottom, box.left, box.right};
        return parts;
    }

    static Variables backward(Context* context, const Variables& grads) {
        const auto known =
            std::find_if(grads.begin(), grads.end(), [](const auto& g) { return g.defined(); });
        if (known == grads.end()) return Variables(4);
        const auto sides = context->saved_data["box"].toIntVector();
        const Box box{sides[0], sides[1], sides[2], sides[3]};
        const auto image =
            torch::empty(context->saved_data["sizes"].toIntVector(), known->options());
        auto parts = image.split_with_sizes(context->saved_data["widths"].toIntVector());
        for (size_t k = 0; k < parts.size(); ++k) {
            const bool is_whole = grads[k].defined() && grads[k].sizes() == parts[k].sizes();
            if (!is_whole) parts[k].zero_();
            if (grads[k].defined()) (is_whole ? parts[k] : box.view(parts[k])).copy_(grads[k]);
        }
        return {image, {}, {}, {}};
    }
};

/// All maps of the routes in one rasterization.
std::vector<Maps> draw(const std::vector<Route>& routes, const Camera& camera, const Tiles* tiles,
                       const std::optional<Box>& box) {
    const Drawing all = collect(routes, camera);
    Tiles found;
    if (!tiles) {
        found = find_tiles(all.center.front(), all.tangents.front(), all.opacity.front(),
                           camera.intrinsics, camera.width, camera.height, camera.near,
                           camera.low_pass);
        tiles = &found;
    }
    const auto& center = all.center.front();
    const auto features = all.channels.empty() ? torch::zeros({center.size(0), 0}, center.options())
                                               : torch::cat(all.channels, 1);
    const auto raster = rasterize(
        torch::stack(all.center), torch::stack(all.tangents), torch::stack(all.opacity), features,
        torch::tensor(all.channel_route, torch::kLong), camera.intrinsics, *tiles);

    // One split and one unbind: their backward passes assemble each cotangent once.
    const auto images = box ? ImageParts::apply(raster.image, all.widths, all.whole, *box)
                            : raster.image.split_with_sizes(all.widths);
    const auto alpha = raster.alpha.unbind(), depth = raster.depth.unbind();
    std::vector<Maps> out(routes.size());
    size_t next = 0;
    for (size_t r = 0; r < routes.size(); ++r) {
        for (const auto& name : routes[r].names) {
            const auto drawn = [&](const std::vector<Tensor>& maps) {
                // Without a row of its own it borrows the first one's values, not its gradient.
                const auto& map =
                    all.row[r] < 0 ? maps[0].detach() : maps[static_cast<size_t>(all.row[r])];
                return box && !routes[r].whole.contains(name) ? box->cut(map) : map;
            };
            if (name == "alpha") {
                out[r].set(name, drawn(alpha));
            } else if (name == "depth") {
                out[r].set(name, drawn(depth) / drawn(alpha).clamp_min(1e-6));
            } else {
                const auto& image = images[next++];
                out[r].set(name, name == "normal" ? normalized(image) : image);
            }
        }
    }
    return out;
}

/// Does this map say where the surface is?
bool is_surface(const std::string& map) { return map == "depth" || map == "normal"; }

/// The routes with those of their maps alone for which `wanted` holds.
template <class Wanted>
std::vector<Route> with_maps(std::vector<Route> routes, Wanted wanted) {
    for (auto& route : routes)
        std::erase_if(route.names, [&](const std::string& name) { return !wanted(name); });
    return routes;
}

bool draws_something(const std::vector<Route>& routes) {
    return std::any_of(routes.begin(), routes.end(),
                       [](const Route& route) { return !route.names.empty(); });
}

/// The same surfels with `far_side` of their opacity where they face away from the camera.
void fade_far_side(PosedSurfels& surfels, const Camera& camera) {
    check_inputs(surfels, camera);
    check_normal(surfels);
    const auto away = faces_away(torch::matmul(surfels.normal, camera.rotation.t()),
                                 camera.to_camera(surfels.center));
    surfels.opacity = torch::where(away, surfels.opacity * surfels.far_side, surfels.opacity);
}

/// All maps that are drawn, in one pass, or two where the far side of depth and normals fades.
std::vector<Maps> drawn_maps(const std::vector<Route>& routes, const Camera& camera,
                             const Tiles* tiles, const std::optional<Box>& box) {
    if (routes.front().surfels.far_side == 1) return draw(routes, camera, tiles, box);
    auto surface = with_maps(routes, is_surface);
    if (!draws_something(surface)) return draw(routes, camera, tiles, box);
    for (auto& route : surface) fade_far_side(route.surfels, camera);
    const auto of_surface = draw(surface, camera, nullptr, box);
    const auto rest = with_maps(routes, std::not_fn(is_surface));
    if (!draws_something(rest)) return of_surface;
    const auto of_rest = draw(rest, camera, tiles, box);
    std::vector<Maps> out(routes.size());
    for (size_t r = 0; r < routes.size(); ++r) {
        for (const auto& name : routes[r].names)
            out[r].set(name, (is_surface(name) ? of_surface : of_rest)[r].at(name));
    }
    return out;
}

/// What makes this map pixel by pixel, or null.
const PixelShader* shader_of(const PosedSurfels& surfels, const std::string& map) {
    for (const auto& [name, shader] : surfels.pixel_shaders)
        if (name == map) return &shader;
    return nullptr;
}

bool is_shaded(const Route& route) {
    return std::any_of(route.names.begin(), route.names.end(),
                       [&](const auto& name) { return shader_of(route.surfels, name); });
}

/// The routes with what their pixel shaders read in the place of what has no channels.
std::vector<Route> with_ingredients(std::vector<Route> routes) {
    for (auto& route : routes) {
        if (!is_shaded(route)) continue;
        auto& names = route.names;
        std::erase_if(names, [&](const std::string& name) {
            return shader_of(route.surfels, name) && !route.surfels.features.contains(name);
        });
        for (const auto* map : {"alpha", "normal"})
            if (std::find(names.begin(), names.end(), map) == names.end()) names.emplace_back(map);
    }
    return routes;
}

}  // namespace

bool is_geometry(std::string_view map) {
    return map == "alpha" || map == "depth" || map == "normal";
}

Tiles find_tiles(const PosedSurfels& surfels, const Camera& camera) {
    check_inputs(surfels, camera);
    const auto seen = in_camera(surfels, camera);
    auto tiles = find_tiles(seen.center, seen.tangents, seen.opacity, camera.intrinsics,
                            camera.width, camera.height, camera.near, camera.low_pass);
    for (const auto& [name, x] : tensors_of(camera))
        tiles.camera.emplace_back(x.detach(), TensorStamp(x));
    return tiles;
}

Maps render(const PosedSurfels& surfels, const Camera& camera,
            const std::vector<std::string>& names, const Tiles* tiles) {
    return render(std::vector<Route>{{surfels, names}}, camera, tiles).front();
}

std::vector<Maps> render(const std::vector<Route>& routes, const Camera& camera, const Tiles* tiles,
                         const std::optional<Box>& box) {
    if (routes.empty()) throw Error("render: expected at least one route, got none");
    if (tiles) check_tiles(*tiles, camera);
    if (std::none_of(routes.begin(), routes.end(), is_shaded))
        return drawn_maps(routes, camera, tiles, box);
    const auto drawn = drawn_maps(with_ingredients(routes), camera, tiles, {});  // shaders see all
    std::vector<Maps> out(routes.size());
    for (size_t r = 0; r < routes.size(); ++r) {
        for (const auto& name : routes[r].names) {
            const auto* own = drawn[r].find(name);
            const auto* shader = shader_of(routes[r].surfels, name);
            const auto map =
                !shader ? *own : (*shader)(own ? *own : Tensor(), drawn[r], camera, /*open=*/true);
            out[r].set(name, box && !routes[r].whole.contains(name) ? box->cut(map) : map);
        }
    }
    return out;
}

}  // namespace fmgs
