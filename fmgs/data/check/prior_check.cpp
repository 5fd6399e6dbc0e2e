#include <fmgs/data/check/prior_check.h>

#include <ATen/Parallel.h>
#include <fmgs/data/check/sides.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace fmgs {

namespace {

using Frames = std::vector<CheckedFrame>;
using Looks = std::vector<BodyLook>;

constexpr int64_t kLeastPixels = 50;

// `axes` with those turned round whose OpenCV component has the sign -1.
std::string turned(std::string axes, const std::array<double, 3>& signs) {
    constexpr std::string_view kEnds = "RLUDFB";  // both ends of x, y and z
    for (auto& letter : axes) {
        const size_t k = kEnds.find(letter);
        if (signs[k / 2] < 0) letter = kEnds[k ^ 1];
    }
    return axes;
}

PriorCheck check_normals(const Frames& frames, const Looks& looks, const PriorFormat& format) {
    // Σ p nᵀ over the pixels: every choice of signs and every exchange of channels is read from it.
    auto products = torch::zeros({3, 3}, torch::kDouble);
    int64_t count = 0;
    for (size_t i = 0; i < frames.size(); ++i) {
        const auto* prior = frames[i].priors.find("normal");
        if (!prior) continue;
        const auto& n = looks[i].normal;
        // Faces turned away from the camera differ most between a body and its clothes.
        const auto used = (n[2] < -0.5) & (*prior != 0).any(0) & frames[i].mask;
        const auto p = prior->permute({1, 2, 0}).index({used}).to(torch::kDouble);
        const auto q = n.permute({1, 2, 0}).index({used}).to(torch::kDouble);
        products += torch::matmul(p.t(), q);
        count += p.size(0);
    }
    if (count < kLeastPixels) return {"normals: too few pixels lie on the body to be checked", ""};
    products = products / static_cast<double>(count);
    const auto term = [&](int64_t a, int64_t b) { return products[a][b].item<double>(); };
    const double now = term(0, 0) + term(1, 1) + term(2, 2);
    std::array<double, 3> signs{};
    double best = 0;
    for (int64_t k = 0; k < 3; ++k) {
        signs[static_cast<size_t>(k)] = term(k, k) < 0 ? -1 : 1;
        best += std::abs(term(k, k));
    }
    // Every other choice of signs loses at least twice the smallest term.
    const double smallest =
        std::min({std::abs(term(0, 0)), std::abs(term(1, 1)), std::abs(term(2, 2))});
    PriorCheck check;
    check.line = fmt::format(
        "normals: mean cosine with the body {:.2f} with axes {}; the best of the other seven "
        "choices of signs has {:.2f}",
        now, format.normal_axes, best > now + 1e-9 ? best : best - 2 * smallest);
    constexpr double kMargin = 0.05;
    if (best > now + kMargin)
        check.contradiction = fmt::format(
            "the normals contradict the body: their mean cosine is {:.2f} with axes {} and {:.2f} "
            "with {}; set "
            "\"axes\": \"{}\" for \"normal\" in priors.json",
            now, format.normal_axes, best, turned(format.normal_axes, signs),
            turned(format.normal_axes, signs));
    return check;
}

// 0, 1, 2 … in the order of the values [P]; equal ones have the mean of theirs.
torch::Tensor ranks(const torch::Tensor& x) {
    const auto [values, places, counts] = at::_unique2(x, true, true, /*return_counts=*/true);
    const auto last = counts.cumsum(0).to(torch::kDouble) - 1;
    return (last - (counts - 1).to(torch::kDouble) / 2).index_select(0, places);
}

// Spearman's; 0 where one of the two is the same everywhere.
double rank_correlation(const torch::Tensor& a, const torch::Tensor& b) {
    const auto p = ranks(a), q = ranks(b);
    const auto x = p - p.mean(), y = q - q.mean();
    const double spread = std::sqrt((x * x).sum().item<double>() * (y * y).sum().item<double>());
    return spread > 0 ? (x * y).sum().item<double>() / spread : 0;
}

PriorCheck check_depth(const Frames& frames, const Looks& looks, const PriorFormat& format) {
    std::vector<double> correlations;
    for (size_t i = 0; i < frames.size(); ++i) {
        const auto* prior = frames[i].priors.find("depth");
        if (!prior) continue;
        const auto used = looks[i].mask & frames[i].mask & ((*prior)[0] > 0);
        if (used.sum().item<int64_t>() < kLeastPixels) continue;
        correlations.push_back(
            rank_correlation((*prior)[0].index({used}), looks[i].depth[0].index({used})));
    }
    if (correlations.empty()) return {"depth: too few pixels lie on the body to be checked", ""};
    double mean = 0;
    for (const double r : correlations) mean += r / static_cast<double>(correlations.size());
    PriorCheck check;
    check.line = fmt::format("depth: mean rank correlation with the body {:.2f}", mean);
    constexpr double kContrary = -0.2;
    const bool is_inverse = format.depth_kind == "inverse";
    if (mean < kContrary)
        check.contradiction = fmt::format(
            "the depth contradicts the body: what should be farther is nearer (mean rank "
            "correlation {:.2f}); set "
            "\"kind\": \"{}\" for \"depth\" in priors.json",
            mean, is_inverse ? "depth" : "inverse");
    return check;
}

// -1 the person's left, 1 the right, 0 neither.
int64_t side_of(const std::string& label) {
    return label.starts_with("Left_") ? -1 : label.starts_with("Right_") ? 1 : 0;
}

PriorCheck check_sides(const Body& body, const Frames& frames, const Looks& looks,
                       const PriorFormat& format) {
    const auto& names = class_names(format);
    const auto sides = joint_sides(body);
    if (sides.empty())
        return {"labels: left and right are not checked: the body's joints are not SMPL's", ""};
    std::vector<int64_t> label_sides;
    for (const auto& name : names) label_sides.push_back(side_of(name));
    const auto by_label = torch::tensor(label_sides), by_joint = torch::tensor(sides);
    double agree = 0, count = 0;
    for (size_t i = 0; i < frames.size(); ++i) {
        const auto* prior = frames[i].priors.find("semantic");
        if (!prior) continue;
        const auto known = (*prior >= 0) & (*prior < by_label.size(0));
        const auto label = by_label.index_select(0, (*prior * known).flatten());
        const auto joint = by_joint.index_select(0, looks[i].joint.clamp_min(0).flatten()) *
                           looks[i].mask.flatten();
        const auto both = label * joint;
        agree += (both > 0).sum().item<double>();
        count += (both != 0).sum().item<double>();
    }
    if (count < static_cast<double>(kLeastPixels))
        return {"labels: too few of a side lie on the body to be checked", ""};
    PriorCheck check;
    check.line = fmt::format("labels: {:.0f} % of those of a side lie on that side of the body",
                             100 * agree / count);
    if (agree < 0.5 * count)
        check.contradiction = fmt::format(
            "the labels contradict the body: {:.0f} % of \"Left_…\" and \"Right_…\" lie on the "
            "other side; pictures were "
            "mirrored, or the two were exchanged: make the labels again",
            100 - 100 * agree / count);
    return check;
}

}  // namespace

std::vector<PriorCheck> check_priors(const Body& body, const BodyViewer& viewer,
                                     const Frames& frames, const PriorFormat& format) {
    const auto have = [&](const char* name) {
        return std::any_of(frames.begin(), frames.end(),
                           [&](const auto& f) { return f.priors.contains(name); });
    };
    std::vector<PriorCheck> checks;
    if (!have("normal") && !have("depth") && !have("semantic")) return checks;
    Looks looks(frames.size());
    at::parallel_for(0, static_cast<int64_t>(frames.size()), 1, [&](int64_t begin, int64_t end) {
        const torch::NoGradGuard guard;
        for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
            looks[i] = viewer.look(frames[i].pose, frames[i].camera);
    });
    if (have("normal")) checks.push_back(check_normals(frames, looks, format));
    if (have("depth")) checks.push_back(check_depth(frames, looks, format));
    if (have("semantic")) checks.push_back(check_sides(body, frames, looks, format));
    return checks;
}

}  // namespace fmgs
