#include <fmgs/data/synthetic/procedural_body.h>

#include <fmgs/core/check.h>
#include <fmgs/core/joints.h>
#include <fmgs/data/synthetic/isosurface.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace fmgs {
namespace {

using detail::Point3;

constexpr int64_t kJoints = smpl::kJoints;
// Joints of the right side become those of the left, and the other way round.
constexpr std::array<int64_t, kJoints> kMirror{0,  2,  1,  3,  5,  4,  6,  8,  7,  9,  11, 10,
                                               12, 14, 13, 15, 17, 16, 19, 18, 21, 20, 23, 22};

// Metres; the left side only, the right one is its mirror image.
constexpr Point3 kPelvis{0, -0.23, 0.02}, kHip{0.085, -0.32, 0.01}, kSpine1{0, -0.11, 0},
    kKnee{0.105, -0.71, 0};
constexpr Point3 kSpine2{0, 0.03, 0.01}, kAnkle{0.105, -1.11, -0.03}, kSpine3{0, 0.10, 0.01},
    kFoot{0.115, -1.165, 0.09};
constexpr Point3 kNeck{0, 0.29, -0.01}, kCollar{0.075, 0.20, 0}, kHead{0, 0.375, 0.02},
    kShoulder{0.175, 0.225, -0.01};
constexpr Point3 kElbow{0.435, 0.22, -0.02}, kWrist{0.685, 0.22, -0.02}, kHand{0.77, 0.22, -0.02};
constexpr std::array<std::pair<int64_t, Point3>, 15> kLeft{{{smpl::kPelvis, kPelvis},
                                                            {smpl::kLeftHip, kHip},
                                                            {smpl::kSpine1, kSpine1},
                                                            {smpl::kLeftKnee, kKnee},
                                                            {smpl::kSpine2, kSpine2},
                                                            {smpl::kLeftAnkle, kAnkle},
                                                            {smpl::kSpine3, kSpine3},
                                                            {smpl::kLeftFoot, kFoot},
                                                            {smpl::kNeck, kNeck},
                                                            {smpl::kLeftCollar, kCollar},
                                                            {smpl::kHead, kHead},
                                                            {smpl::kLeftShoulder, kShoulder},
                                                            {smpl::kLeftElbow, kElbow},
                                                            {smpl::kLeftWrist, kWrist},
                                                            {smpl::kLeftHand, kHand}}};

// A cone with round ends from a to b, stretched along z, that moves with one joint.
struct Cone {
    int64_t joint;
    Point3 a, b;
    double radius_a, radius_b, stretch;
};
constexpr std::array<Cone, 24> kCones{{
    {smpl::kPelvis, {0, -0.25, 0}, {0.075, -0.27, 0}, 0.108, 0.098, 0.90},
    {smpl::kPelvis, {0.060, -0.30, -0.045}, {0.070, -0.32, -0.045}, 0.070, 0.070, 1},  // seat
    {smpl::kSpine1, {0.035, -0.20, 0}, {0.032, -0.05, 0.003}, 0.100, 0.094, 0.85},
    {smpl::kSpine2, {0.032, -0.05, 0.003}, {0.042, 0.06, 0.005}, 0.094, 0.096, 0.88},
    {smpl::kSpine3, {0.042, 0.06, 0.005}, {0.070, 0.14, 0}, 0.096, 0.088, 0.95},
    {smpl::kSpine3, {0, 0.13, 0}, {0.080, 0.14, 0}, 0.095, 0.090, 0.98},
    {smpl::kLeftCollar, {0.050, 0.205, -0.01}, {0.150, 0.217, -0.01}, 0.055, 0.052, 1},
    {smpl::kNeck, {0, 0.22, -0.01}, {0, 0.34, 0.005}, 0.052, 0.050, 1},
    {smpl::kHead, {0, 0.365, 0.030}, {0, 0.425, 0}, 0.066, 0.080, 1.15},
    {smpl::kHead, {0, 0.395, 0.098}, {0, 0.370, 0.112}, 0.010, 0.014, 1},  // nose
    {smpl::kLeftShoulder, kShoulder, kElbow, 0.053, 0.040, 1},
    {smpl::kLeftElbow, kElbow, kWrist, 0.041, 0.028, 1},
    {smpl::kLeftWrist, {0.700, 0.22, -0.02}, kHand, 0.026, 0.026, 1.5},
    {smpl::kLeftWrist, {0.715, 0.217, 0.010}, {0.770, 0.212, 0.046}, 0.014, 0.013, 1},  // thumb
    {smpl::kLeftHand, kHand, {0.850, 0.22, -0.02}, 0.025, 0.017, 1.6},
    {smpl::kLeftHip, {0.095, -0.33, 0}, kKnee, 0.083, 0.054, 1},
    {smpl::kLeftKnee, kKnee, kAnkle, 0.052, 0.034, 1},
    {smpl::kLeftKnee, {0.107, -0.79, -0.018}, {0.107, -0.92, -0.024}, 0.050, 0.044, 1},  // calf
    {smpl::kLeftAnkle, kAnkle, {0.108, -1.155, -0.045}, 0.034, 0.036, 1},
    {smpl::kLeftAnkle, {0.108, -1.160, -0.045}, {0.114, -1.168, 0.060}, 0.036, 0.032, 1},
    // inner edge of the foot
    {smpl::kLeftAnkle, {0.100, -1.165, 0.030}, {0.100, -1.172, 0.080}, 0.028, 0.026, 1},
    {smpl::kLeftFoot, {0.114, -1.168, 0.070}, {0.122, -1.174, 0.135}, 0.032, 0.022, 1},
    // great toe
    {smpl::kLeftFoot, {0.098, -1.172, 0.080}, {0.096, -1.176, 0.140}, 0.026, 0.020, 1},
    {smpl::kSpine3, {0.070, 0.10, 0.045}, {0.085, 0.11, 0.045}, 0.060, 0.055, 1},  // chest
}};
constexpr double kBlend = 0.010;  // metres over which cones melt into each other

double cone_distance(const Cone& cone, const Point3& p) {
    Point3 along, to;
    double dot = 0, square = 0;
    for (int k = 0; k < 3; ++k) {
        const double shrink = k == 2 ? 1 / cone.stretch : 1;
        along[k] = (cone.b[k] - cone.a[k]) * shrink;
        to[k] = (p[k] - cone.a[k]) * shrink;
        dot += along[k] * to[k];
        square += along[k] * along[k];
    }
    const double t = std::clamp(dot / square, 0.0, 1.0);
    double rest = 0;
    for (int k = 0; k < 3; ++k) rest += (to[k] - t * along[k]) * (to[k] - t * along[k]);
    return (std::sqrt(rest) - cone.radius_a - t * (cone.radius_b - cone.radius_a)) *
           std::min(1.0, cone.stretch);
}

// -k log Σ exp(-d/k): smooth, and the same whatever the order of the cones.
double body_distance(Point3 p) {
    p[0] = std::abs(p[0]);
    std::array<double, kCones.size()> each;
    for (size_t i = 0; i < kCones.size(); ++i) each[i] = cone_distance(kCones[i], p);
    const double least = *std::min_element(each.begin(), each.end());
    double sum = 0;
    for (const double d : each) {
        if (d - least < 20 * kBlend)
            sum += std::exp((least - d) / kBlend);  // the others are below 1e-8
    }
    return least - kBlend * std::log(sum);
}

int64_t nearest_joint(Point3 p) {
    const bool right = p[0] < 0;
    p[0] = std::abs(p[0]);
    const auto nearest = std::min_element(
        kCones.begin(), kCones.end(),
        [&](const Cone& a, const Cone& b) { return cone_distance(a, p) < cone_distance(b, p); });
    return right ? kMirror[nearest->joint] : nearest->joint;
}

Mesh body_surface(double cell) {
    // Where two sheets meet in one cube the net is not a manifold; a slightly other grid avoids
    // that.
    for (int attempt = 0; attempt < 12; ++attempt) {
        const double size = cell * (1 - 0.01 * attempt);
        const auto mesh =
            detail::isosurface(body_distance, {-0.95, -1.30, -0.30}, {0.95, 0.60, 0.30}, size);
        if (is_closed_manifold(mesh.faces)) return detail::relaxed(mesh, body_distance, size);
    }
    throw Error(fmt::format(
        "procedural_body: no closed surface at a cell of {} m; expected between 0.008 and 0.025",
        cell));
}

// One-hot by the nearest cone, spread along the surface (so that one leg never pulls the other),
// the four largest kept.
torch::Tensor skinning_weights(const Mesh& mesh, int rounds) {
    const int64_t count = mesh.vertices.size(0);
    auto weights = torch::zeros({count, kJoints}, torch::kDouble);
    const auto* v = mesh.vertices.data_ptr<double>();
    for (int64_t i = 0; i < count; ++i)
        weights[i][nearest_joint({v[3 * i], v[3 * i + 1], v[3 * i + 2]})] = 1;
    const auto edges = unique_edges(mesh.faces);
    const auto from = torch::cat({edges.select(1, 0), edges.select(1, 1)});
    const auto to = torch::cat({edges.select(1, 1), edges.select(1, 0)});
    const auto degree = torch::zeros({count}, torch::kDouble)
                            .index_add(0, from, torch::ones({from.size(0)}, torch::kDouble));
    for (int round = 0; round < rounds; ++round) {
        const auto sum = torch::zeros_like(weights).index_add(0, from, weights.index_select(0, to));
        weights = 0.5 * weights + 0.5 * sum / degree.unsqueeze(1);
    }
    weights = torch::where(weights < 1e-3, 0, weights);  // so that no joint pulls from afar
    const auto [largest, which] = weights.topk(4, 1);
    const auto kept = torch::zeros_like(weights).scatter(1, which, largest);
    return kept / kept.sum(1, true);
}

torch::Tensor rest_joints() {
    auto joints = torch::zeros({kJoints, 3}, torch::kDouble);
    for (const auto& [joint, p] : kLeft) {
        joints[joint] = torch::tensor({p[0], p[1], p[2]}, torch::kDouble);
        joints[kMirror[joint]] =
            torch::tensor({joint == kMirror[joint] ? p[0] : -p[0], p[1], p[2]}, torch::kDouble);
    }
    return joints;
}

// Rows over the 128 vertices nearest to each joint: the even weights, changed as little as
// reproduces the joint.
torch::Tensor regressor(const torch::Tensor& vertices, const torch::Tensor& joints) {
    constexpr int64_t kSupport = 128;
    auto out = torch::zeros({kJoints, vertices.size(0)}, torch::kDouble);
    for (int64_t j = 0; j < kJoints; ++j) {
        const auto near =
            std::get<1>((vertices - joints[j]).norm(2, 1).topk(kSupport, 0, /*largest=*/false));
        const auto one = torch::ones({1, kSupport}, torch::kDouble);
        const auto a = torch::cat({one, (vertices.index_select(0, near) - joints[j])
                                            .t()});  // sum, and moments about the joint
        const auto even = torch::full({kSupport}, 1.0 / kSupport, torch::kDouble);
        const auto goal = torch::tensor({1.0, 0.0, 0.0, 0.0}, torch::kDouble);
        const auto change = torch::mv(
            a.t(), torch::linalg_solve(torch::matmul(a, a.t()), goal - torch::mv(a, even)));
        out[j].index_copy_(0, near, even + change);
    }
    return out;
}

torch::Tensor vertex_normals(const Mesh& mesh) {
    auto sum = torch::zeros_like(mesh.vertices);
    const auto normals = face_normals(mesh);
    for (int64_t k = 0; k < 3; ++k) sum.index_add_(0, mesh.faces.select(1, k), normals);
    return sum / sum.norm(2, 1, true);
}

// [V,3,6], metres for a beta of one.
torch::Tensor shape_directions(const Mesh& mesh, const torch::Tensor& weights) {
    const auto x = mesh.vertices.select(1, 0), y = mesh.vertices.select(1, 1),
               z = mesh.vertices.select(1, 2);
    const auto normal = vertex_normals(mesh), zero = torch::zeros_like(x);
    const auto soft =
        1 - weights.index_select(1, torch::tensor({10, 11, 15, 20, 21, 22, 23})).sum(1);
    const auto along = [&](const torch::Tensor& dx, const torch::Tensor& dy) {
        return torch::stack({dx, dy, zero}, 1);
    };
    const auto belly =
        torch::exp(-((y + 0.10).square() + x.square()) / (2 * 0.09 * 0.09)) * (z > 0);
    const auto arm = x.sign() * (x.abs() - kShoulder[0]).clamp_min(0),
               side = (x.abs() / kShoulder[0]).clamp_max(1);
    const auto high = torch::sigmoid((y - 0.08) / 0.03);
    return torch::stack({0.04 * mesh.vertices,                            // height
                         0.012 * soft.unsqueeze(1) * normal,              // girth
                         along(zero, 0.04 * (y - kHip[1]).clamp_max(0)),  // leg length
                         along(0.04 * arm, zero),                         // arm length
                         0.02 * belly.unsqueeze(1) * normal,              // belly
                         along(0.01 * x.sign() * side * high * (x.abs() / 0.1).clamp_max(1),
                               zero)},  // shoulder width
                        2);
}

}  // namespace

BodyData procedural_body(const ProceduralBodyOptions& options) {
    if (!(options.cell >= 0.004 && options.cell <= 0.04) || options.smoothing < 0) {
        throw Error(fmt::format(
            "procedural_body: expected a cell between 0.004 and 0.04 m and smoothing >= 0, got {} "
            "and {}",
            options.cell, options.smoothing));
    }
    const auto mesh = body_surface(options.cell);
    const auto weights = skinning_weights(mesh, options.smoothing);
    BodyData body;
    body.vertices = mesh.vertices.to(torch::kFloat);
    body.faces = mesh.faces;
    body.weights = weights.to(torch::kFloat);
    body.joint_regressor = regressor(mesh.vertices, rest_joints()).to(torch::kFloat);
    body.parents = torch::tensor(std::vector<int64_t>(smpl::kParents.begin(), smpl::kParents.end()),
                                 torch::kLong);
    body.shape_directions = shape_directions(mesh, weights).to(torch::kFloat);
    check_body(body);
    return body;
}

torch::Tensor body_part_labels(const BodyData& body) {
    check_body(body);
    if (body.parents.size(0) != kJoints) {
        throw Error(fmt::format("body_part_labels: expected a body of {} joints, got {}", kJoints,
                                body.parents.size(0)));
    }
    const auto part = torch::tensor(
        {21, 11, 20, 21, 7, 16, 21, 4, 13, 21, 4, 13, 2, 21, 21, 2, 10, 19, 6, 15, 5, 14, 5, 14},
        torch::kLong);
    const auto joint = body.weights.argmax(1);
    const auto y = body.vertices.select(1, 1), z = body.vertices.select(1, 2);
    const auto head = joint == static_cast<int64_t>(smpl::kHead);
    if (!head.any().item<bool>()) return part.index_select(0, joint);
    const auto top = y.masked_select(head).max(), bottom = y.masked_select(head).min();
    const auto back = z.masked_select(head).min(), front = z.masked_select(head).max();
    const auto up = (y - bottom) / (top - bottom).clamp_min(1e-6),
               ahead = (z - back) / (front - back).clamp_min(1e-6);
    // Hair grows behind a line that runs from above the forehead down behind the ears.
    const auto hair = head & ((up > 0.82) | ((up > 0.15) & (ahead < 0.15 + 0.4 * up)));
    return torch::where(hair, 3, part.index_select(0, joint));
}

}  // namespace fmgs
