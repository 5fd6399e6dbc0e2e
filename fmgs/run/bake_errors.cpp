#include <fmgs/run/bake_errors.h>

#include <fmgs/eval/metrics.h>
#include <fmgs/eval/pictures.h>
#include <fmgs/raster/render.h>
#include <fmgs/run/draw.h>
#include <fmt/format.h>
#include <torch/utils.h>

namespace fmgs {

namespace {

Maps color_of(const PosedSurfels& posed, const Camera& camera) {
    return render(posed, camera, {"color", "alpha"}).to(torch::kCPU);
}

/// Of one picture; `full` is the full avatar's.
MetricValues errors_of(const Maps& rendered, const Maps& full, const Frame& frame) {
    const auto all = evaluate_frame(rendered, frame);
    MetricValues values;
    for (const char* name : {"psnr", "psnr_person", "ssim"})
        values.emplace_back(name, value_of(all, name));
    values.emplace_back("to_avatar", psnr(rendered.at("color"), full.at("color")));
    return values;
}

}  // namespace

std::vector<int64_t> component_steps(int64_t components) {
    std::vector<int64_t> steps{0};
    for (int64_t k = 1; k < components; k *= 2) steps.push_back(k);
    if (components > 0) steps.push_back(components);
    return steps;
}

TableRows bake_errors(Run& run, const BakedAvatar& baked, const std::vector<std::string>& splits,
                      const std::function<void()>& progress) {
    const torch::NoGradGuard guard;
    std::vector<std::pair<int64_t, std::shared_ptr<BakedAvatarImpl>>> avatars;
    for (const auto k : component_steps(baked->component_count()))
        avatars.emplace_back(k, baked->with_components(k));
    TableRows rows;
    for (const auto& split : splits) {
        SplitMetrics full;
        std::vector<SplitMetrics> few(avatars.size());
        for (const auto& frame : run.capture.splits.at(split)) {
            const auto taken = take(run, frame);
            const auto maps =
                color_of(posed_surfels(run.avatar, taken.camera, taken.pose), taken.camera);
            full.frames.emplace_back(frame.name, errors_of(maps, maps, frame));
            for (size_t k = 0; k < avatars.size(); ++k) {
                const auto drawn = color_of(avatars[k].second->forward(taken.pose), taken.camera);
                few[k].frames.emplace_back(frame.name, errors_of(drawn, maps, frame));
            }
            if (progress) progress();
        }
        auto whole = full.mean();
        std::erase_if(whole, [](const auto& value) { return value.first == "to_avatar"; });
        rows.emplace_back(split + ", full avatar", whole);
        for (size_t k = 0; k < avatars.size(); ++k) {
            auto values = few[k].mean();
            values.emplace_back("lost", value_of(whole, "psnr") - value_of(values, "psnr"));
            rows.emplace_back(fmt::format("{}, K = {}", split, avatars[k].first), values);
        }
    }
    return rows;
}

}  // namespace fmgs
