// Learnable blendshapes on the vertices of the template.
#include <fmgs/avatar_file.h>
#include <fmgs/core/joints.h>
#include <fmgs/data/synthetic/procedural_body.h>
#include <fmgs/fields/blendshapes.h>
#include <fmgs/losses/blendshapes.h>
#include <fmgs/losses/paper_objective.h>
#include <fmgs/train/optim.h>

#include "support/ball.h"
#include "support/losses.h"
#include "support/module.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

torch::Tensor draw(at::IntArrayRef shape, uint64_t seed) {
    return torch::randn(shape, Random{seed}.generator("draw"), torch::kDouble);
}

/// A ball with two betas and pose directions of centimetres.
BodyData shaped_ball() {
    auto data = ball_data();
    const int64_t count = data.vertices.size(0);
    data.shape_directions = (0.05 * draw({count, 3, 2}, 11)).to(torch::kFloat);
    data.pose_directions = (0.02 * draw({count, 3, 18}, 12)).to(torch::kFloat);
    return data;
}

BodyModel body(double beta = 0.3, bool keep_shape = true) {
    const BodyModel model(shaped_ball(), torch::tensor({beta}), /*star_degrees=*/0);
    return keep_shape ? with_shape(model, shaped_ball().shape_directions) : model;
}

TemplateBlendshapes blendshapes(const BodyModel& model, const BlendshapeOptions& options,
                                int64_t subdivisions = 0) {
    return TemplateBlendshapes(bases_of(*model), model->canonical(), subdivisions, options);
}

const BlendshapeOptions kAll{.shape = true, .pose = true, .betas = true};

void set(torch::nn::Module& module, const std::string& name, const torch::Tensor& value) {
    const torch::NoGradGuard guard;
    module.named_parameters()[name].copy_(value);
}

/// The surfels of a mesh whose vertices stand elsewhere.
FaceFrames frames_of(const Mesh& mesh, const torch::Tensor& offsets, int64_t subdivisions) {
    Mesh moved{mesh.vertices + offsets, mesh.faces};
    for (int64_t k = 0; k < subdivisions; ++k) moved = subdivide(moved).mesh;
    return face_frames(moved);
}

}  // namespace

TEST_CASE("blendshapes are linear, and each coefficient moves along its column", "[blendshapes]") {
    LinearBlendshapes shapes(draw({7, 3, 4}, 1));
    shapes->to(torch::kDouble);
    set(*shapes, "delta", draw({7, 3, 4}, 2));
    const auto columns = draw({7, 3, 4}, 1) + draw({7, 3, 4}, 2);
    REQUIRE_CLOSE(shapes->forward(torch::zeros({1, 4}, torch::kDouble)),
                  torch::zeros({1, 7, 3}, torch::kDouble), 0);
    const auto each = shapes->forward(torch::eye(4, torch::kDouble));
    for (int64_t l = 0; l < 4; ++l) REQUIRE(torch::equal(each[l], columns.select(2, l)));
    const auto a = draw({2, 4}, 3), b = draw({2, 4}, 4);
    REQUIRE_CLOSE(shapes->forward(a + b), shapes->forward(a) + shapes->forward(b), 1e-12);
    REQUIRE(shapes->penalty().item<double>() ==
            Approx(draw({7, 3, 4}, 2).square().mean().item<double>()));
    const auto copy = std::dynamic_pointer_cast<LinearBlendshapesImpl>(shapes->clone());
    REQUIRE(torch::equal(copy->forward(a), shapes->forward(a)));
    LinearBlendshapes fixed(draw({7, 3, 4}, 1), /*learned=*/false);
    REQUIRE(fixed->parameters().empty());
    REQUIRE_FALSE(fixed->penalty().defined());
}

TEST_CASE("the gradient to what is learned is the outer product with the coefficients",
          "[blendshapes]") {
    LinearBlendshapes shapes(draw({7, 3, 4}, 1));
    shapes->to(torch::kDouble);
    const auto G = draw({7, 3}, 5), c = draw({4}, 6);
    (G * shapes->forward(c.unsqueeze(0))[0]).sum().backward();
    REQUIRE_CLOSE(shapes->parameters()[0].grad(), G.unsqueeze(2) * c, 1e-12);
}

TEST_CASE("subdividing and sampling commute with blendshapes", "[blendshapes]") {
    const auto mesh = body()->canonical();
    const int64_t count = mesh.vertices.size(0);
    const auto basis = draw({count, 3, 4}, 1), c = draw({1, 4}, 2);
    const auto move = [&](const torch::Tensor& of) {
        LinearBlendshapes shapes(of);
        shapes->to(torch::kDouble);
        return shapes->forward(c)[0];
    };
    const auto fine = subdivide(mesh);
    const auto carried = [&](const torch::Tensor& x) {
        return x.index_select(0, fine.parents.flatten())
            .view({fine.parents.size(0), 2, -1})
            .mean(1);
    };
    REQUIRE_CLOSE(carried(move(basis)), move(carried(basis.flatten(1)).view({-1, 3, 4})), 1e-12);
    const auto at = sample_surface(mesh, 50, Random{4}.generator("points"));
    const SurfaceSamples samples{at.face, at.barycentric.to(torch::kDouble)};
    REQUIRE_CLOSE(interpolate(samples, mesh.faces, move(basis)),
                  move(interpolate(samples, mesh.faces, basis.flatten(1)).view({-1, 3, 4})), 1e-12);
}

TEST_CASE("a body's blendshapes on its vertices are those of SMPL's formula", "[blendshapes]") {
    const auto model = body(0.3), other = body(-0.8);
    auto pose = ball_pose();
    auto shapes = blendshapes(model, kAll);
    // Born as the template, but for the pose.
    const auto still = torch::eye(3).repeat({3, 1, 1});
    REQUIRE_CLOSE(shapes->offsets(still), torch::zeros_like(model->shaped()), 1e-7);
    // With other betas, the template of that body.
    set(*shapes, "betas", torch::tensor({-0.8F, 0.F}));
    REQUIRE_CLOSE(model->canonical().vertices + shapes->offsets(still), other->canonical().vertices,
                  1e-6);
    // In a pose, what exact skinning with pose blendshapes gives.
    set(*shapes, "betas", torch::tensor({0.3F, 0.F}));
    const auto posed = skin(model->weights(), model->bones(pose),
                            model->canonical().vertices + shapes->offsets(pose.rotations));
    REQUIRE_CLOSE(posed, model->posed(pose, /*blend_shapes=*/true), 1e-6);
    REQUIRE(distance(posed, model->posed(pose)) > 1e-3);
}

TEST_CASE("the directions stand in the canonical pose as the template does", "[blendshapes]") {
    const auto data = procedural_body({.cell = 0.035});
    const auto none = torch::zeros({0});
    const auto star = with_shape(BodyModel(data, none, 30), data.shape_directions),
               straight = with_shape(BodyModel(data, none, 0), data.shape_directions);
    const auto turn = exp_map(torch::tensor({{0.F, 0.F, float(M_PI / 6)}}))[0];
    const auto legs = torch::tensor({smpl::kLeftHip, smpl::kLeftKnee, smpl::kLeftAnkle});
    const auto share = data.weights.index_select(1, legs).sum(1);
    const auto leg = (share > 0.9999).nonzero().squeeze(1);
    REQUIRE(leg.size(0) > 20);
    const auto found = bases_of(*star).shape.index_select(0, leg),
               plain = bases_of(*straight).shape.index_select(0, leg);
    REQUIRE_CLOSE(plain, data.shape_directions.index_select(0, leg), 1e-6);
    REQUIRE_CLOSE(found, torch::matmul(turn, plain), 1e-4);
    REQUIRE(distance(found, plain) > 1e-3);
    REQUIRE(bases_of(*star).pose.abs().max().item<double>() == 0);  // it has none of its own
    REQUIRE_FALSE(bases_of(*BodyModel(data, none)).shape.defined());
}

TEST_CASE("surfels go with their faces", "[blendshapes]") {
    const auto model = body();
    const auto mesh = model->canonical();
    for (const int64_t subdivisions : {0, 1, 2}) {
        auto shapes = blendshapes(model, kAll, subdivisions);
        set(*shapes, "betas", torch::tensor({1.F, -2.F}));
        const auto rotations = ball_pose().rotations;
        const auto motion = shapes->forward(rotations);
        const auto still = torch::zeros_like(mesh.vertices);
        const auto before = frames_of(mesh, still, subdivisions),
                   after = frames_of(mesh, shapes->offsets(rotations), subdivisions);
        REQUIRE_CLOSE(before.center + motion.offset, after.center, 1e-6);
        REQUIRE(distance(before.center, after.center) > 0.02);
        const auto turned = torch::matmul(motion.turn, before.rotation);
        REQUIRE_CLOSE(turned.select(2, 2), after.rotation.select(2, 2), 1e-5);  // normals
        REQUIRE(distance(before.rotation.select(2, 2), after.rotation.select(2, 2)) > 0.05);
        REQUIRE_CLOSE(torch::matmul(turned.transpose(1, 2), turned),
                      torch::eye(3).expand_as(turned), 1e-5);
    }
    // All vertices turned: so are all frames.
    const BodyBases all{.shape = torch::zeros({mesh.vertices.size(0), 3, 1}),
                        .betas = torch::ones({1})};
    TemplateBlendshapes shapes(all, mesh, 0, BlendshapeOptions{.shape = true});
    const auto turn = exp_map(torch::tensor({{0.3F, -0.5F, 0.2F}}))[0];
    set(*shapes, "shape.delta",
        (torch::matmul(mesh.vertices, turn.t()) - mesh.vertices).unsqueeze(2));
    REQUIRE_CLOSE(shapes->forward(torch::eye(3).repeat({3, 1, 1})).turn,
                  turn.expand({mesh.faces.size(0), 3, 3}), 1e-5);
}

TEST_CASE("a face without an area stays as it is", "[blendshapes]") {
    auto mesh = body()->canonical();
    mesh.faces = torch::cat({mesh.faces, torch::tensor({{0, 0, 1}})});
    TemplateBlendshapes shapes(bases_of(*body()), mesh, 0, kAll);
    set(*shapes, "betas", torch::tensor({1.F, -2.F}));
    const auto motion = shapes->forward(ball_pose().rotations);
    REQUIRE(torch::equal(motion.turn[-1], torch::eye(3)));
    motion.turn.sum().backward();
    for (const auto& p : shapes->parameters())
        REQUIRE((!p.grad().defined() || p.grad().isfinite().all().item<bool>()));
}

TEST_CASE("gradients of the blendshapes are exact", "[blendshapes]") {
    auto shapes = blendshapes(body(), kAll, 1);
    shapes->to(torch::kDouble);
    perturb(*shapes, 0.05);
    const auto rotations = ball_pose().rotations.to(torch::kDouble);
    const auto a = draw({512, 3}, 1), b = draw({512, 3, 3}, 2);
    REQUIRE(parameter_gradient_error(*shapes, [&] {
                const auto motion = shapes->forward(rotations);
                return (a * motion.offset).sum() + (b * motion.turn).sum();
            }) < 1e-6);
}

TEST_CASE("an avatar with blendshapes is born as the body says, and learns them", "[blendshapes]") {
    auto options = ball_options();
    options.subdivisions = 1;
    const auto camera = ball_frame().camera;
    const auto avatar_of = [&](const BlendshapeOptions& shapes) {
        options.blendshapes = shapes;
        return Avatar(paper_parts(body(), options));
    };
    const auto plain = avatar_of({})->forward(camera, ball_pose());
    auto shaped = avatar_of({.shape = true, .betas = true});
    const auto born = shaped->forward(camera, ball_pose());
    REQUIRE_CLOSE(born.position, plain.position, 1e-6);
    REQUIRE_CLOSE(born.rotation, plain.rotation, 1e-6);
    auto full = avatar_of(kAll);
    const auto bent = full->forward(camera, ball_pose());
    const auto offset = full->parts().blendshapes->forward(ball_pose().rotations).offset;
    REQUIRE_CLOSE(bent.position, plain.position + offset, 1e-6);
    REQUIRE(distance(bent.position, plain.position) > 1e-3);

    // The residual goes along the normal of the moved face.
    perturb(*full);
    const auto s = full->forward(camera, ball_pose());
    const auto motion = full->parts().blendshapes->forward(ball_pose().rotations);
    const auto& born_set = *full->parts().surfels;
    const auto away = s.position - born_set.position() - motion.offset;
    const auto normal = torch::matmul(motion.turn, born_set.normal().unsqueeze(2)).squeeze(2);
    REQUIRE(away.norm(2, 1).max().item<double>() > 1e-3);
    REQUIRE_CLOSE(torch::linalg_cross(away, normal), torch::zeros_like(away), 1e-6);

    (s.posed().center.square().sum() + s.posed().normal.sum()).backward();
    for (const auto& [name, group, tensor] : grouped_parameters(*full->parts().blendshapes)) {
        INFO(name);
        REQUIRE(group == (name == "betas" ? "betas" : "blendshapes"));
        REQUIRE(tensor.grad().abs().max().item<double>() > 0);
    }
    const auto copy = std::dynamic_pointer_cast<AvatarImpl>(full->clone());
    REQUIRE(torch::equal(copy->forward(camera, ball_pose()).position, s.position));
}

TEST_CASE("the penalty reads what is learned alone", "[blendshapes]") {
    auto options = ball_options();
    options.blendshapes = kAll;
    auto avatar = Avatar(paper_parts(body(), options));
    const auto loss_of = [](const Avatar& of) {
        const auto objective = paper_objective(of->parts());
        for (const auto& entry : objective->entries())
            if (entry.name == "blendshapes") return entry.loss;
        return std::shared_ptr<Loss>();
    };
    const auto loss = loss_of(avatar);
    LossScene scene(1, 1);
    REQUIRE(scene(*loss).item<double>() == 0);
    perturb(*avatar->parts().blendshapes);
    const auto p = avatar->parts().blendshapes->named_parameters();
    REQUIRE(
        scene(*loss).item<double>() ==
        Approx(
            (p["shape.delta"].square().mean() + p["pose.delta"].square().mean()).item<double>()));
    scene(*loss).backward();
    for (const auto& item : avatar->named_parameters()) {
        INFO(item.key());
        REQUIRE(item.value().grad().defined() == (item.key().find(".delta") != std::string::npos));
    }
    options.blendshapes = {.betas = true};
    REQUIRE_FALSE(loss_of(Avatar(paper_parts(body(), options))));
    options.blendshapes = {};
    REQUIRE_FALSE(loss_of(Avatar(paper_parts(body(), options))));
    REQUIRE(throws_error([] { BlendshapeLoss(nullptr); }, "with a learned basis"));
}

TEST_CASE("a known change of shape is found from the posed vertices", "[blendshapes]") {
    const auto model = body(0.3);
    auto shapes = blendshapes(model, {.betas = true});
    const auto wanted = torch::tensor({-0.8F, 0.5F});
    const auto pose = ball_pose();
    const auto vertices = [&] {
        return skin(model->weights(), model->bones(pose),
                    model->canonical().vertices + shapes->offsets(pose.rotations));
    };
    set(*shapes, "betas", wanted);
    const auto target = vertices().detach();
    set(*shapes, "betas", torch::tensor({0.3F, 0.F}));
    OptimOptions rates{.betas = 0.05};
    Optimizer optimizer(grouped_parameters(*shapes), rates);
    for (int step = 0; step < 200; ++step) {
        optimizer.zero_grad();
        (vertices() - target).square().mean().backward();
        optimizer.step(step / 200.0);
    }
    REQUIRE_CLOSE(shapes->betas(), wanted, 1e-3);
}

TEST_CASE("an avatar file keeps table and blendshapes; a body without a shape is refused",
          "[blendshapes]") {
    const TemporaryFolder folder;
    SavedAvatar saved;
    saved.options = ball_options();
    saved.options.subdivisions = 1;
    saved.options.blendshapes = kAll;
    saved.options.skinning.type = "table";
    saved.options.skinning.extra_joint = true;
    saved.options.pose_projection.components = 2;
    saved.avatar = Avatar(paper_parts(body(), saved.options));
    perturb(*saved.avatar);
    saved.avatar->fit_projection({ball_pose(), BodyPose{torch::eye(3).repeat({3, 1, 1}), {}}});
    saved.avatar->eval();
    saved.scene = {.camera = ball_frame().camera,
                   .root = torch::zeros({3}),
                   .up = torch::tensor({0.F, -1.F, 0.F}),
                   .frames = {"a"},
                   .axis_angle = torch::zeros({1, 3, 3}),
                   .translation = torch::zeros({1, 3}),
                   .labels = {}};
    const auto file = folder.path / "avatar.safetensors";
    save_avatar(file, saved.avatar, saved.options, saved.scene);
    const auto loaded = load_avatar(file);
    REQUIRE(part_of_ones_own(loaded.avatar->parts()).empty());
    REQUIRE_FALSE(loaded.avatar->is_training());
    const auto a = saved.avatar->forward(saved.scene.camera, ball_pose()).posed(),
               b = loaded.avatar.ptr()->forward(saved.scene.camera, ball_pose()).posed();
    REQUIRE(torch::equal(a.center, b.center));
    REQUIRE(torch::equal(a.tangents, b.tangents));
    REQUIRE(torch::equal(a.features.at("color"), b.features.at("color")));

    REQUIRE(throws_error([&] { paper_parts(body(0.3, false), saved.options); },
                         "the body has no shape directions"));
    saved.options.blendshapes = {.pose = true};
    REQUIRE(paper_parts(body(0.3, false), saved.options).blendshapes);
}
