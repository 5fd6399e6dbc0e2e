#include <fmgs/data/synthetic/subject.h>

#include <fmgs/core/check.h>
#include <fmgs/core/joints.h>
#include <fmgs/core/surfels.h>
#include <fmgs/data/synthetic/skirt.h>
#include <fmgs/data/synthetic/texture.h>
#include <fmt/format.h>
#include <torch/nn/functional/normalization.h>
#include <torch/types.h>

#include <cmath>
#include <map>

namespace fmgs {
namespace {

constexpr int64_t kSkirt = 1, kHair = 3, kLeftShoe = 8, kTrousers = 12, kRightShoe = 17,
                  kShirt = 22;

// Sapiens' classes of bare parts → what is worn there.
int64_t worn(int64_t label) {
    switch (label) {
        case 1:
        case 10:
        case 19:
        case 21:
            return kShirt;
        case 7:
        case 11:
        case 16:
        case 20:
            return kTrousers;
        case 4:
        case 9:
            return kLeftShoe;
        case 13:
        case 18:
            return kRightShoe;
        case 0:
            return 2;
        default:
            return label;
    }
}

// Mean over the neighbours and itself, `rounds` times: values [V,D].
torch::Tensor smoothed(torch::Tensor values, const torch::Tensor& edges, int64_t rounds) {
    const auto a = edges.select(1, 0), b = edges.select(1, 1);
    auto degree = torch::ones({values.size(0), 1}, values.options());
    const auto one = torch::ones({edges.size(0), 1}, values.options());
    degree.index_add_(0, a, one).index_add_(0, b, one);
    for (int64_t k = 0; k < rounds; ++k) {
        auto sum = values.clone();
        sum.index_add_(0, a, values.index_select(0, b)).index_add_(0, b, values.index_select(0, a));
        values = sum / degree;
    }
    return values;
}

torch::Tensor at_midpoints(const torch::Tensor& values, const torch::Tensor& parents) {
    return 0.5 * (values.index_select(0, parents.select(1, 0)) +
                  values.index_select(0, parents.select(1, 1)));
}

// A family of waves around a joint.
struct Fold {
    int64_t joint;
    double reach;                 // metres, σ of the Gaussian around the joint
    std::array<double, 3> along;  // wave vector's direction in the T-pose
};

// SMPL's hips, knees, waist and shoulders.
constexpr double kWaveLength = 0.05;
const std::vector<Fold> kFolds = {
    {smpl::kLeftHip, 0.10, {0.4, 0.9, 0.2}},       {smpl::kRightHip, 0.10, {-0.4, 0.9, 0.2}},
    {smpl::kLeftKnee, 0.09, {0.2, 1.0, 0.3}},      {smpl::kRightKnee, 0.09, {-0.2, 1.0, 0.3}},
    {smpl::kSpine1, 0.12, {0.2, 1.0, 0.3}},        {smpl::kLeftShoulder, 0.09, {0.8, 0.5, 0.3}},
    {smpl::kRightShoulder, 0.09, {-0.8, 0.5, 0.3}}};

// Sine of the angle times axis, weighed: a phase that is smooth in the rotation.
double fold_phase(const double* r) {
    return 2.0 * (r[7] - r[5]) + 1.5 * (r[2] - r[6]) + 1.5 * (r[3] - r[1]);
}

// 2/3 at rest to 4/3 when bent by 60° or more.
double fold_strength(const double* r) {
    const double bend = (3 - (r[0] + r[4] + r[8])) / 2;  // 1 - cos
    return 2.0 / 3 + 2.0 / 3 * std::min(1.0, 2 * bend);
}

}  // namespace

ClothedSubject::ClothedSubject(BodyModel body, const torch::Tensor& labels,
                               const SubjectOptions& options)
    : body_(std::move(body)), options_(options) {
    check_shape(labels, {body_->shaped().size(0)}, "labels");
    if (options.subdivisions < 0 || options.subdivisions > 3) {
        throw Error(fmt::format("subdivisions: expected 0 to 3, got {}", options.subdivisions));
    }
    if (options.garment != "none" && options.garment != "skirt")
        throw Error(fmt::format("garment: expected none or skirt, got '{}'", options.garment));
    canonical_ = body_->canonical();
    canonical_.vertices = canonical_.vertices.to(torch::kFloat);
    rest_ = body_->shaped().to(torch::kFloat);
    weights_ = body_->weights().to(torch::kFloat);
    rest_joints_ = body_->joints().to(torch::kFloat);

    const auto bare = labels.to(torch::kInt64).contiguous();
    std::vector<int64_t> row(static_cast<size_t>(bare.size(0)));
    std::map<int64_t, int64_t> found;
    for (size_t v = 0; v < row.size(); ++v)
        row[v] = worn(bare.const_data_ptr<int64_t>()[v]), found[row[v]] = 0;
    for (auto& [label, at] : found)
        at = static_cast<int64_t>(classes_.size()), classes_.push_back(label);
    for (auto& r : row) r = found[r];
    shares_ =
        torch::one_hot(torch::tensor(row), static_cast<int64_t>(classes_.size())).to(torch::kFloat);

    for (int64_t k = 0; k < options.subdivisions; ++k) {
        const auto finer = subdivide(canonical_);
        canonical_ = finer.mesh;
        rest_ = at_midpoints(rest_, finer.parents);
        weights_ = at_midpoints(weights_, finer.parents);
        shares_ = at_midpoints(shares_, finer.parents);
        // Smoothing takes the teeth off the borders, which follow the edges of the coarse mesh.
        if (k == 0) shares_ = smoothed(shares_, unique_edges(canonical_.faces), 3);
    }
    canonical_.faces = canonical_.faces.contiguous();
    const auto edges = unique_edges(canonical_.faces);
    shares_ = smoothed(shares_, edges, 2).contiguous();
    normals_ = torch::nn::functional::normalize(smoothed(vertex_normals(canonical_), edges, 6));
    rest_ = rest_.contiguous();
    crown_ = rest_.select(1, 1).max().item<float>();
    dress(smoothed(shares_, edges, 2));
    fold();
    if (options.garment == "skirt") put_on_skirt();
}

void ClothedSubject::dress(const torch::Tensor& classes) {
    const auto share = [&](int64_t label) {
        for (size_t c = 0; c < classes_.size(); ++c) {
            if (classes_[c] == label) return classes.select(1, static_cast<int64_t>(c));
        }
        return torch::zeros({classes.size(0)});
    };
    const auto x = rest_.select(1, 0), y = rest_.select(1, 1), z = rest_.select(1, 2);
    const auto joint = [&](int64_t j, int64_t axis) { return rest_joints_[j][axis]; };
    const auto wave = (70 * y + 25 * x).sin() * (45 * x - 30 * z).cos() +
                      0.5 * (110 * y - 60 * z).sin();  // |.| ≤ 1.5
    // Wide at the hem of the shirt and of the trousers' legs.
    const auto hem = torch::sigmoid((joint(smpl::kSpine2, 1) - y) / 0.05);
    const auto leg = torch::sigmoid((joint(smpl::kLeftKnee, 1) - y) / 0.06);
    const auto bun = torch::exp(-((z - joint(smpl::kHead, 2) + 0.11).pow(2) + x.pow(2) +
                                  (y - joint(smpl::kHead, 1) - 0.11).pow(2)) /
                                0.003);
    thickness_ = share(kShirt) * (0.012 + 0.006 * hem + 0.002 * wave) +
                 share(kTrousers) * (0.010 + 0.007 * leg + 0.002 * wave) +
                 (share(kLeftShoe) + share(kRightShoe)) * 0.009 +
                 share(kHair) * (0.016 + 0.012 * bun);
}

void ClothedSubject::fold() {
    std::vector<torch::Tensor> sines, cosines;
    torch::Tensor cloth = torch::zeros({rest_.size(0)});
    for (size_t c = 0; c < classes_.size(); ++c) {
        if (classes_[c] == kShirt || classes_[c] == kTrousers)
            cloth = cloth + shares_.select(1, static_cast<int64_t>(c));
    }
    for (const auto& f : kFolds) {
        if (f.joint >= rest_joints_.size(0)) continue;
        const auto away = rest_ - rest_joints_[f.joint];
        const auto near = cloth * torch::exp(-away.pow(2).sum(1) / (2 * f.reach * f.reach));
        const auto k = torch::tensor({f.along[0], f.along[1], f.along[2]}, torch::kFloat);
        const auto phase = torch::matmul(away, k / k.norm() * (2 * M_PI / kWaveLength));
        sines.push_back(near * phase.sin());
        cosines.push_back(near * phase.cos());
    }
    fold_sin_ = torch::stack(sines, 1);
    fold_cos_ = torch::stack(cosines, 1);
}

void ClothedSubject::put_on_skirt() {
    const auto skirt = detail::skirt(*body_, rest_, canonical_.faces, options_.subdivisions);
    const int64_t bare = rest_.size(0), count = skirt.rest.size(0);
    const auto seen = skirt.unseen.logical_not().nonzero().squeeze(1);
    canonical_ = {
        torch::cat({canonical_.vertices, skirt.canonical.vertices}),
        torch::cat({canonical_.faces.index_select(0, seen), skirt.canonical.faces + bare})};
    rest_ = torch::cat({rest_, skirt.rest});
    weights_ = torch::cat({weights_, skirt.weights});
    classes_.push_back(kSkirt);
    shares_ = torch::constant_pad_nd(shares_, {0, 1, 0, count});
    shares_.slice(0, bare).select(1, -1).fill_(1);
    // No cloth lies on it.
    const auto with_none = [&](const torch::Tensor& x) {
        return torch::cat({x, x.new_zeros({count, x.size(1)})});
    };
    normals_ = with_none(normals_);
    thickness_ = with_none(thickness_.unsqueeze(1)).squeeze(1);
    fold_sin_ = with_none(fold_sin_);
    fold_cos_ = with_none(fold_cos_);
}

torch::Tensor ClothedSubject::offset(const BodyPose& pose) const {
    const auto rotations = pose.rotations.to(torch::kDouble).contiguous();
    std::vector<float> of_sine, of_cosine;  // a·sin(k·x + φ) = a·cos φ·sin(k·x) + a·sin φ·cos(k·x)
    for (const auto& f : kFolds) {
        if (f.joint >= rest_joints_.size(0)) continue;
        const double* r = rotations.const_data_ptr<double>() + 9 * f.joint;
        const double height = options_.fold_height * fold_strength(r), phase = fold_phase(r);
        of_sine.push_back(static_cast<float>(height * std::cos(phase)));
        of_cosine.push_back(static_cast<float>(height * std::sin(phase)));
    }
    return (thickness_ + torch::mv(fold_sin_, torch::tensor(of_sine)) +
            torch::mv(fold_cos_, torch::tensor(of_cosine)))
        .clamp(0, options_.largest_offset);
}

Mesh ClothedSubject::posed(const BodyPose& pose) const {
    const auto points = canonical_.vertices + normals_ * offset(pose).unsqueeze(1);
    const auto T = blend_bones(weights_, body_->bones(pose).to(torch::kFloat));
    const auto turned =
        torch::matmul(T.slice(1, 0, 3).slice(2, 0, 3), points.unsqueeze(2)).squeeze(2);
    return {turned + T.slice(1, 0, 3).select(2, 3), canonical_.faces};
}

Maps ClothedSubject::render(const BodyPose& pose, const Camera& camera, int64_t samples) const {
    const Mesh mesh = posed(pose);
    return render_mesh(
        mesh, vertex_normals(mesh), camera, [this](const SurfacePoint& p) { return look(p); },
        samples);
}

SurfaceLook ClothedSubject::look(const SurfacePoint& p) const {
    const int64_t* corner = canonical_.faces.const_data_ptr<int64_t>() + int64_t{3} * p.face;
    const auto C = classes_.size();
    std::array<float, 3> x{};
    std::array<float, 32> share{};
    for (size_t k = 0; k < 3; ++k) {
        const float* place = rest_.const_data_ptr<float>() + 3 * corner[k];
        for (size_t a = 0; a < 3; ++a) x[a] += p.barycentric[k] * place[a];
        const float* s = shares_.const_data_ptr<float>() + static_cast<int64_t>(C) * corner[k];
        for (size_t c = 0; c < C && c < share.size(); ++c) share[c] += p.barycentric[k] * s[c];
    }
    const auto best = static_cast<size_t>(
        std::max_element(share.begin(), share.begin() + static_cast<int64_t>(C)) - share.begin());
    const int64_t label = classes_[best];

    const float* j = rest_joints_.const_data_ptr<float>();
    const auto joint = [&](int64_t row) {
        return std::array<float, 3>{j[3 * row], j[3 * row + 1], j[3 * row + 2]};
    };
    const detail::Landmarks landmarks{joint(smpl::kSpine3),       joint(smpl::kHead),
                                      joint(smpl::kLeftShoulder), joint(smpl::kLeftKnee),
                                      joint(smpl::kLeftAnkle),    crown_};
    const auto color = detail::reflectance(label, x, landmarks);
    SurfaceLook out;
    out.label = label;
    const auto light = options_.light.on(p.normal);
    for (size_t k = 0; k < 3; ++k) out.color[k] = std::min(1.0F, color[k] * light[k]);
    return out;
}

}  // namespace fmgs
