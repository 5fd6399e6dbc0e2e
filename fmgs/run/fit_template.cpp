#include <fmgs/run/fit_template.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/data/image_io.h>
#include <fmgs/eval/colors.h>
#include <fmgs/eval/sheet.h>
#include <fmgs/losses/depth_ranking.h>
#include <fmgs/losses/mask.h>
#include <fmgs/losses/normal.h>
#include <fmgs/losses/objective.h>
#include <fmgs/raster/render.h>
#include <fmgs/run/begin.h>
#include <fmgs/run/frames.h>
#include <fmgs/train/optim.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <ostream>

namespace fmgs {
namespace {

/// The losses of the stage on what is rendered. Whatever they reach is a function of the vertices.
Objective objective_of(const TemplateOffsetsOptions& options) {
    const auto reach = Reach::of({"position", "rotation", "scale"});
    Objective objective;
    const auto add = [&](const char* name, std::shared_ptr<Loss> loss, double weight) {
        if (weight > 0) objective->add(name, std::move(loss), weight, reach);
    };
    add("mask", std::make_shared<MaskLoss>(), options.mask);
    add("depth_ranking", std::make_shared<DepthRankingLoss>(), options.depth_ranking);
    add("normal", std::make_shared<NormalLoss>(), options.normal);
    return objective;
}

torch::Tensor penalty(const TemplateOffsetsImpl& offsets, const TemplateOffsetsOptions& options) {
    return options.laplacian * offsets.laplacian() + options.edge_length * offsets.edge_length() +
           options.normal_consistency * offsets.normal_consistency();
}

/// Frames over the split: the picture, its normal priors, and the normals of the template before
/// and after.
torch::Tensor before_and_after(const Run& run, const TemplateOffsetsImpl& offsets,
                               const FrameList& frames) {
    const torch::NoGradGuard guard;
    const auto now = offsets.forward();
    const std::array vertices = {now - offsets.offsets(), now};
    std::vector<torch::Tensor> rows;
    for (const size_t k :
         {size_t{0}, frames.size() / 4, frames.size() / 2, 3 * frames.size() / 4}) {
        const auto frame = frames[k].to(run.device);
        std::vector<torch::Tensor> row = {frame.maps.at("color")};
        if (const auto* prior = frame.maps.find("normal"))
            row.push_back(colorize("normal", *prior, frame.maps.at("mask")));
        for (const auto& v : vertices) {
            const auto surfels =
                face_surfels(v, offsets.faces(), *run.body, run.options.avatar.surfels, frame.pose);
            const auto maps = render(surfels.posed(), frame.camera, {"alpha", "normal"});
            row.push_back(colorize("normal", maps.at("normal"), maps.at("alpha")));
        }
        for (auto& picture : row) picture = picture.cpu();
        rows.push_back(beside(row));
    }
    return below(rows);
}

/// The avatar as if the run had been opened with this template; what its modules are stays.
void rebuild(Run& run, const torch::Tensor& vertices) {
    const auto body = with_vertices(*body_on_cpu(run), vertices.cpu());
    const auto seed = static_cast<uint64_t>(run.options.train.seed);
    const Avatar fresh(paper_parts(body, run.options.avatar, seed));
    copy_tensors(named_tensors(*fresh), named_tensors(*run.avatar), "the learned template");
}

}  // namespace

Surfels face_surfels(const torch::Tensor& vertices, const torch::Tensor& faces, const Body& body,
                     const SurfelSetOptions& options, const BodyPose& pose) {
    const auto at = [&](int64_t k) { return vertices.index_select(0, faces.select(1, k)); };
    const auto a = at(0), b = at(1), c = at(2), center = (a + b + c) / 3;
    // p(t) = f₁ cos t + f₂ sin t, the Steiner circum-ellipse
    const auto f1 = (b - a) / std::sqrt(3.0), f2 = c - center, normal = torch::cross(f1, f2, 1);
    const auto length = [](const torch::Tensor& x) {
        return (x.square().sum(1, true) + 1e-24).sqrt();
    };
    Surfels s;
    s.position = center;
    s.rotation = torch::stack({f1 / length(f1), f2 / length(f2), normal / length(normal)}, 2);
    s.scale = options.initial_scale * torch::cat({length(f1), length(f2)}, 1);
    s.opacity = torch::full({s.size(), 1}, options.initial_opacity, center.options());
    s.far_side = options.free ? 1 : options.far_side;
    s.mip = options.mip;
    s.skinning = face_weights({{vertices, faces}, body.weights()});
    s.bones = body.bones(pose);
    return s;
}

double fit_offsets(TemplateOffsetsImpl& offsets, const Body& body, const SurfelSetOptions& surfels,
                   const TemplateOffsetsOptions& options, const FrameList& frames, uint64_t seed,
                   const std::function<void(int64_t, int64_t, double)>& progress) {
    check_ranges(options, "avatar.template.offsets");
    if (frames.empty()) throw Error("avatar.template.offsets: there is no training frame");
    auto objective = objective_of(options);
    OptimOptions optim;
    optim.offset = options.rate;
    Optimizer optimizer(grouped_parameters(offsets), optim);
    double loss = 0;
    for (int64_t step = 0; step < options.steps; ++step) {
        const auto frame = draw_frame(frames, step, seed).to(offsets.offsets().device());
        const double done = static_cast<double>(step) / static_cast<double>(options.steps);
        const auto bare =
            face_surfels(offsets.forward(), offsets.faces(), body, surfels, frame.pose);
        torch::Tensor total;
        try {
            total = objective->forward(bare, frame, {seed, step}, done).total;
        } catch (const Error& error) {
            throw Error(fmt::format("avatar.template.offsets: {}", error.what()));
        }
        total = total + penalty(offsets, options);
        optimizer.zero_grad();
        total.backward();
        if (optimizer.step(done))
            throw Error(fmt::format(
                "avatar.template.offsets: step {}, frame '{}': the gradient is not finite", step,
                frame.name));
        if (step % 50 == 49 || step + 1 == options.steps) {
            loss = total.item<double>();
            if (progress) progress(step + 1, options.steps, loss);
        }
    }
    optimizer.zero_grad();
    return loss;
}

void fit_template(Run& run, const FrameList& frames, const RunFolder& folder,
                  std::ostream& progress) {
    const auto& options = run.options.avatar;
    if (options.shape.type != "offsets") return;
    if (const auto part = part_of_ones_own(run.avatar->parts()); !part.empty())
        throw Error(fmt::format(
            "avatar.template.type: offsets rebuilds the avatar on the template that it learns, and "
            "cannot rebuild the part '{}', which is not the paper's; set it to body",
            part));
    TemplateOffsets offsets(run.body->canonical());
    const auto seed = Random{static_cast<uint64_t>(run.options.train.seed)}.number("template");
    fit_offsets(*offsets, *run.body, options.surfels, options.shape.offsets, frames, seed,
                [&](int64_t step, int64_t steps, double loss) {
                    progress << fmt::format("\rfitting the template: {}/{}  {:.4f} ", step, steps,
                                            loss)
                             << std::flush;
                });
    progress << "\n" << std::flush;
    const torch::NoGradGuard guard;
    write_color(folder.template_picture(), before_and_after(run, *offsets, frames));
    rebuild(run, offsets->forward());
    write_obj(folder.template_mesh(), run.body->canonical());
}

}  // namespace fmgs
