#include <fmgs/bake.h>

#include <fmgs/core/check.h>
#include <fmgs/core/rotation.h>
#include <fmgs/raster/render.h>
#include <fmt/format.h>
#include <torch/autograd.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <numbers>

namespace fmgs {

namespace {

/// The columns of an attribute row with a free offset, one kind after the other.
constexpr std::array<int64_t, 4> kKinds{3, 2, 3, 3};
constexpr int64_t kColumns = 11;

/// What the avatar is in F poses.
struct Samples {
    torch::Tensor codes;       // [F,P]
    torch::Tensor attributes;  // [F,N,11]
    torch::Tensor skinning;    // [N,J] mean
    torch::Tensor labels;      // [N] or undefined
};

/// How much each surfel adds to the picture: Σ over pixels of its blending weights. [N,1].
torch::Tensor contributions(PosedSurfels surfels, const Camera& camera) {
    const torch::AutoGradMode graph(true);
    const auto one = torch::ones_like(surfels.opacity).requires_grad_(true);
    surfels.features = {{"one", one}};
    return torch::autograd::grad({render(surfels, camera, {"one"}).at("one").sum()}, {one})[0];
}

/// The colours of a pose [N,3], without the direction from which they are seen.
torch::Tensor mean_color(const AvatarImpl& avatar, const Surfels& surfels,
                         const std::vector<Camera>& cameras) {
    constexpr double kUnseen = 1e-3;  // what no view sees has the mean colour of all views
    auto sum = torch::zeros_like(surfels.position), total = torch::zeros_like(surfels.opacity);
    for (const auto& camera : cameras) {
        const auto posed = avatar.seen_from(surfels, camera).posed();
        const auto weight = contributions(posed, camera) + kUnseen;
        sum += weight * posed.features.at("color");
        total += weight;
    }
    return sum / total;
}

std::vector<Camera> around(const AvatarScene& scene, const torch::Tensor& pivot, int64_t count) {
    std::vector<Camera> cameras;
    for (int64_t k = 0; k < count; ++k) {
        const double share = static_cast<double>(k) / static_cast<double>(count);
        cameras.push_back(scene.camera.orbit(pivot, scene.up, 2 * std::numbers::pi * share));
    }
    return cameras;
}

/// Of the rendered logits the argmax leaves out the background; so does that of a surfel.
torch::Tensor labels_of(const Maps& features) {
    const auto* logits = features.find("semantic");
    if (!logits || logits->size(1) < 2) return {};
    return logits->slice(1, 1).argmax(1) + 1;
}

/// Error for colours that only pixels have.
void check_colors(const Surfels& surfels) {
    for (const auto& [name, shader] : surfels.pixel_shaders) {
        if (name != "color") continue;
        throw Error(
            "bake: pixels of this avatar are shaded, not its surfels "
            "(avatar.appearance.material.deferred), and a baked avatar has colours of its surfels; "
            "train with avatar.appearance.material.deferred=false");
    }
}

Samples sample(const Avatar& avatar, const AvatarScene& scene, const BakeOptions& options,
               const std::function<void(int64_t, int64_t)>& progress) {
    const auto& body = avatar->parts().body;
    const auto& set = avatar->parts().surfels;
    const int64_t known = scene.axis_angle.size(0), count = std::min(known, options.poses);
    const auto center = set->position(), frame = set->rotation();
    std::vector<torch::Tensor> codes;
    Samples out;
    out.attributes = torch::empty({count, center.size(0), kColumns}, center.options());
    for (int64_t k = 0; k < count; ++k) {
        auto pose = scene.pose(k * known / count).to(center.scalar_type());
        const auto cameras = around(scene, pose.translation + body->joints()[0], options.views);
        const auto s = avatar.ptr()->forward(cameras.front(), pose);
        check_colors(s);
        out.attributes[k].copy_(
            torch::cat({s.position - center, s.scale.log(),
                        log_map(torch::matmul(frame.transpose(1, 2), s.rotation)),
                        mean_color(*avatar, s, cameras)},
                       1));
        out.skinning = k == 0 ? s.skinning.clone() : out.skinning + s.skinning;
        if (k == 0) out.labels = labels_of(s.posed().features);
        codes.push_back(pose_numbers(*body, pose));
        if (progress) progress(k + 1, count);
    }
    out.codes = torch::stack(codes);
    out.skinning /= static_cast<double>(count);
    return out;
}

/// Offsets along the normals [N,3] as one column, where they are no other. Modifies attributes.
void along_normals(torch::Tensor& attributes, const torch::Tensor& normal) {
    constexpr double kAside = 1e-5;  // metres
    const auto offset = attributes.slice(2, 0, 3);
    const auto along = (offset * normal).sum(2, true);
    if ((offset - along * normal).abs().max().item<double>() > kAside) return;
    attributes = torch::cat({along, attributes.slice(2, 3)}, 2);
}

/// Σ over the kinds of the centred Gram matrix of their columns, each divided by its trace.
torch::Tensor gram_of(const torch::Tensor& centred, int64_t axes) {
    const int64_t count = centred.size(0);
    auto sum = torch::zeros({count, count}, torch::kDouble);
    int64_t start = 0;
    for (auto width : kKinds) {
        if (start == 0) width = axes;
        const auto rows = centred.slice(2, start, start + width).reshape({count, -1});
        const auto gram = torch::matmul(rows, rows.t()).to(torch::kCPU, torch::kDouble);
        const double trace = gram.trace().item<double>();
        if (trace > 0) sum += gram / trace;
        start += width;
    }
    return sum;
}

void four_bones(const torch::Tensor& skinning, BakedParts& parts) {
    const int64_t have = std::min(kBakedBones, skinning.size(1));
    const auto [weight, index] = skinning.topk(have, 1);
    const auto pad = [&](const torch::Tensor& x) {
        return torch::constant_pad_nd(x, {0, kBakedBones - have});
    };
    parts.bone_weight = pad(weight / weight.sum(1, true));
    parts.bone_index = pad(index);
}

/// Error for what a baked avatar, linear in the pose and skinned by the body's joints, cannot do.
void check_linear(const AvatarImpl& avatar) {
    const auto& parts = avatar.parts();
    if (parts.projection && !avatar.is_training())
        throw Error(
            "bake: a baked avatar is linear in its pose, and one whose pose is projected "
            "(avatar.pose_projection) is not: its components end at a limit; bake it in train() "
            "mode (`bake --unprojected`), as it is without the projection");
    const auto joints = parts.body->joint_count();
    const auto bones = parts.skinning->bones(
        torch::eye(4, parts.surfels->center().options()).repeat({joints, 1, 1}));
    if (bones.size(0) != joints)
        throw Error(
            "bake: the skinning has a joint that the body has not (avatar.skinning.extra_joint), "
            "and a baked avatar moves by the body's joints alone; train with "
            "avatar.skinning.extra_joint=false");
}

int64_t subdivisions_of(const BodyModel& body, int64_t surfels) {
    int64_t count = 0;
    for (auto faces = body->faces().size(0); faces < surfels; faces *= 4) ++count;
    return count;  // BakedParts::check() holds both against each other
}

}  // namespace

namespace detail {

LinearFit fit_linear(const torch::Tensor& inputs, const torch::Tensor& gram, double ridge,
                     int64_t count) {
    const auto mean = inputs.mean(0);
    const auto [U, S, Vt] = at::linalg_svd(inputs - mean, /*full_matrices=*/false);
    // Inputs come from float32 rotations: what is smaller is their rounding.
    const int64_t rank = (S > 1e-5 * S.max().clamp_min(1e-5)).sum().item<int64_t>();
    if (count < 0 || count > rank)
        throw Error(fmt::format(
            "components: expected a number from 0 to {}, the number of independent poses less one, "
            "got {}",
            rank, count));
    const auto s = S.slice(0, 0, rank);
    const auto grown = (s.square() + ridge).sqrt();
    const auto shrunk = (s / grown).unsqueeze(1) * U.slice(1, 0, rank).t();  // [r,F]
    // Right singular vectors of the ridge solution, by growing eigenvalue.
    const auto [values, vectors] =
        at::linalg_eigh(torch::matmul(torch::matmul(shrunk, gram), shrunk.t()));
    const auto W = vectors.flip(1).slice(1, 0, count);
    const auto projection = torch::matmul(Vt.slice(0, 0, rank).t() / grown, W);
    return {projection, -torch::matmul(mean, projection), torch::matmul(W.t(), shrunk)};
}

}  // namespace detail

BakedAvatar bake(const Avatar& avatar, const AvatarScene& scene, const BakeOptions& options,
                 const std::function<void(int64_t, int64_t)>& progress) {
    const torch::NoGradGuard guard;
    const auto& set = *avatar->parts().surfels;
    auto body = std::dynamic_pointer_cast<BodyModelImpl>(avatar->parts().body);
    if (!body) throw Error("bake: expected an avatar whose body is a BodyModel");
    check_linear(*avatar);
    auto samples = sample(avatar, scene, options, progress);
    BakedParts parts{.body = BodyModel(body), .far_side = set.far_side(), .mip = set.mip()};
    parts.subdivisions = subdivisions_of(parts.body, set.size());
    parts.center = set.position();
    parts.frame = set.rotation();
    parts.opacity = set.opacity();
    parts.labels = samples.labels;
    four_bones(samples.skinning, parts);

    along_normals(samples.attributes, parts.frame.select(2, 2));
    auto& rows = samples.attributes;
    parts.mean = rows.mean(0);
    rows -= parts.mean;
    const double ridge = static_cast<double>(rows.size(0)) * options.noise * options.noise;
    const auto fit = detail::fit_linear(samples.codes.to(torch::kCPU, torch::kDouble),
                                        gram_of(rows, rows.size(2) - 8), ridge, options.components);
    const auto like = [&](const torch::Tensor& x) { return x.to(parts.mean.options()); };
    parts.projection = like(fit.projection);
    parts.bias = like(fit.bias);
    parts.components = torch::matmul(like(fit.mixing), rows.flatten(1))
                           .view({options.components, rows.size(1), rows.size(2)});
    return BakedAvatar(parts);
}

}  // namespace fmgs
