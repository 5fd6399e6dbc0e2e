#include <fmgs/core/template_mesh.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/body_file.h>
#include <fmgs/core/tensor_dict.h>
#include <fmt/format.h>
#include <torch/types.h>

namespace fmgs {
namespace {

using torch::Tensor;

/// The first and the last corner [2,3] of what holds all of them.
Tensor box_of(const Tensor& vertices) { return torch::stack({vertices.amin(0), vertices.amax(0)}); }

/// A mesh of another body, in another pose or unit, overlaps little with the body's box.
void check_place(const Mesh& mesh, const Mesh& body) {
    check_shape(mesh.vertices, {-1, 3}, "vertices of the template");
    check_shape(mesh.faces, {-1, 3}, "faces of the template");
    if (mesh.faces.size(0) == 0) throw Error("template: the mesh has no face");
    const int64_t count = mesh.vertices.size(0);
    if (((mesh.faces < 0) | (mesh.faces >= count)).any().item<bool>())
        throw Error(fmt::format("template: expected corners of faces in [0,{})", count));
    if (!mesh.vertices.isfinite().all().item<bool>())
        throw Error("template: expected finite vertices, got NaN or infinity");
    const auto own = box_of(mesh.vertices), other = box_of(body.vertices);
    const auto size = [](const Tensor& box) { return (box[1] - box[0]).clamp_min(1e-6); };
    const auto height = [&](const Tensor& box) { return size(box)[1].item<double>(); };
    if (height(own) < 0.5 * height(other) || height(own) > 2 * height(other))
        throw Error(
            fmt::format("template: expected a mesh about as tall as the body, {:.2f} m, got one of "
                        "{:.2f}; it has to be in metres, with y up",
                        height(other), height(own)));
    const auto common =
        (torch::minimum(own[1], other[1]) - torch::maximum(own[0], other[0])).clamp_min(0);
    const double share = (common / size(other)).min().item<double>();
    if (share < 0.5)
        throw Error(fmt::format(
            "template: the mesh does not stand where the body stands in its canonical pose: along "
            "one axis it covers {:.0f} % of it",
            100 * share));
}

/// The surface as points no further from each other than `spacing`, with their weights.
std::pair<Tensor, Tensor> dense(Mesh mesh, Tensor weights, double spacing) {
    const auto longest = [&] {
        const auto ends = mesh.vertices.index_select(0, mesh.faces.reshape({-1})).view({-1, 3, 3});
        return (ends - ends.roll(1, 1)).square().sum(2).max().sqrt().item<double>();
    };
    for (int64_t k = 0; k < 6 && longest() > spacing; ++k) {
        auto finer = subdivide(mesh);
        weights = weights.index_select(0, finer.parents.reshape({-1}))
                      .view({-1, 2, weights.size(1)})
                      .mean(1);
        mesh = std::move(finer.mesh);
    }
    return {mesh.vertices, weights};
}

/// x under (Σ w C)⁻¹: where it lies before the legs are spread. inverse: C⁻¹.
Tensor unspread(const Tensor& canonical, const Tensor& weights, const Tensor& inverse) {
    const auto spread = torch::inverse(inverse);
    const auto T = torch::matmul(weights, spread.reshape({-1, 16})).view({-1, 4, 4});
    const auto moved = canonical - T.narrow(1, 0, 3).select(2, 3);
    return torch::matmul(torch::inverse(T.narrow(1, 0, 3).narrow(2, 0, 3)), moved.unsqueeze(2))
        .squeeze(2);
}

}  // namespace

BodyModel with_template(const BodyModelImpl& body, const Mesh& canonical,
                        const DiffusionOptions& options) {
    const auto naked = body.canonical();
    check_place(canonical, naked);
    const auto both = box_of(torch::cat({canonical.vertices, naked.vertices}));
    const auto margin = 0.05 * (both[1] - both[0]);
    const auto box = torch::stack({both[0] - margin, both[1] + margin});
    const double spacing =
        ((box[1] - box[0]).min() / static_cast<double>(options.resolution)).item<double>();
    const auto [points, of_points] = dense(naked, body.weights(), spacing);
    const auto weights =
        sample(diffuse_weights(points, of_points, box, options), canonical.vertices);

    TensorDict buffers;
    for (const auto& item : body.named_buffers(/*recurse=*/false))
        if (item.key() != "pose_directions") buffers.set(item.key(), item.value());
    buffers.set("shaped", unspread(canonical.vertices, weights, buffers.at("canonical_inverse")));
    buffers.set("faces", canonical.faces.clone());
    buffers.set("weights", weights);
    return BodyModel(buffers);
}

BodyModel with_vertices(const BodyModelImpl& body, const Tensor& canonical) {
    check_shape(canonical, {body.shaped().size(0), 3}, "canonical vertices");
    TensorDict buffers;
    for (const auto& item : body.named_buffers(/*recurse=*/false))
        buffers.set(item.key(), item.value());
    buffers.set("shaped", unspread(canonical, body.weights(), buffers.at("canonical_inverse")));
    return BodyModel(buffers);
}

BodyModel with_template(const BodyModel& body, const TemplateOptions& options) {
    if (options.type == "body" || options.type == "offsets") {
        if (options.file.empty()) return body;
        throw Error("avatar.template.file: set, but not used; set avatar.template.type to mesh");
    }
    if (options.type != "mesh")
        throw Error(fmt::format("avatar.template.type: expected body, mesh or offsets, got '{}'",
                                options.type));
    if (options.file.empty())
        throw Error("avatar.template.file: not set; a template of type mesh needs one");
    const auto mesh = read_mesh(options.file);
    try {
        return with_template(*body, mesh, {.resolution = options.resolution});
    } catch (const Error& e) {
        throw Error(fmt::format("{}: {}", options.file, e.what()));
    }
}

}  // namespace fmgs
