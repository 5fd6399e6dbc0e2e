#include <fmgs/data/synthetic/skirt.h>

#include <fmgs/core/check.h>
#include <fmgs/core/joints.h>
#include <fmgs/core/surfels.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

namespace fmgs::detail {
namespace {

constexpr double kClearance = 0.035;  // metres between the body and the cloth: shirts are under it
constexpr double kFlare = 0.16;       // metres by which the hem is wider than the waist
constexpr double kHidden = 0.12;      // metres above the hem from where on nobody sees the legs

/// An ellipse about the y axis.
struct Ring {
    double y, x_axis, z_axis, z_center;
};

/// 0 below `low`, 1 above `high`, smooth between.
torch::Tensor smooth_step(const torch::Tensor& x, double low, double high) {
    const auto t = ((x - low) / (high - low)).clamp(0, 1);
    return t * t * (3 - 2 * t);
}

/// The least ellipse of the box's proportions that holds these points of one height, and
/// kClearance around it.
Ring around(const torch::Tensor& points, double y) {
    const auto x = points.select(1, 0), z = points.select(1, 2);
    const double half = x.abs().max().item<double>();
    const double front = z.max().item<double>(), back = z.min().item<double>();
    const double depth = (front - back) / 2, middle = (front + back) / 2;
    const double grown =
        ((x / half).square() + ((z - middle) / depth).square()).max().sqrt().item<double>();
    return {y, grown * half + kClearance, grown * depth + kClearance, middle};
}

/// From the waist down, none narrower than the one above it.
std::vector<Ring> rings(const torch::Tensor& rest, double waist, double hem, int64_t count) {
    std::vector<Ring> out;
    const auto y = rest.select(1, 1);
    for (int64_t k = 0; k <= count; ++k) {
        const double share = static_cast<double>(k) / static_cast<double>(count);
        const double at = waist + share * (hem - waist);
        const auto near = ((y - at).abs() < 0.025).nonzero().squeeze(1);
        if (near.size(0) < 8)
            throw Error("skirt: expected a body in SMPL's T-pose with legs, found none there");
        auto ring = around(rest.index_select(0, near), at);
        if (!out.empty()) {
            const double wider = kFlare * std::pow(share, 1.2);
            ring.x_axis = std::max({ring.x_axis, out.front().x_axis + wider, out.back().x_axis});
            ring.z_axis = std::max({ring.z_axis, out.front().z_axis + wider, out.back().z_axis});
            // The centre wanders with the body above the hips and stays below them.
            if (share > 0.3) ring.z_center = out.back().z_center;
        }
        out.push_back(ring);
    }
    return out;
}

Mesh sheet(const std::vector<Ring>& rings, int64_t sides) {
    std::vector<double> vertices;
    std::vector<int64_t> faces;
    for (size_t i = 0; i < rings.size(); ++i) {
        const auto& ring = rings[i];
        for (int64_t j = 0; j < sides; ++j) {
            const double angle = 2 * M_PI * static_cast<double>(j) / static_cast<double>(sides);
            vertices.insert(vertices.end(), {ring.x_axis * std::sin(angle), ring.y,
                                             ring.z_center + ring.z_axis * std::cos(angle)});
            if (i + 1 == rings.size()) continue;
            const int64_t a = static_cast<int64_t>(i) * sides + j, below = a + sides,
                          b = a - j + (j + 1) % sides;
            faces.insert(faces.end(), {a, below, b, b, below, b + sides});
        }
    }
    return {torch::tensor(vertices, torch::kDouble).view({-1, 3}).to(torch::kFloat),
            torch::tensor(faces, torch::kInt64).view({-1, 3})};
}

}  // namespace

Skirt skirt(const BodyModelImpl& body, const torch::Tensor& rest, const torch::Tensor& faces,
            int64_t subdivisions) {
    const auto height = [&](int64_t joint) { return body.joints()[joint][1].item<double>(); };
    const double hips = height(smpl::kLeftHip), knees = height(smpl::kLeftKnee);
    const double waist = height(smpl::kSpine1) + 0.02, hem = knees + 0.02;
    const int64_t finer = int64_t{1} << subdivisions;
    const auto shape = sheet(rings(rest, waist, hem, 24 * finer), 72 * finer);

    const auto& v = shape.vertices;
    const auto legs = 0.9 * (1 - smooth_step(v.select(1, 1), hips - 0.25, waist - 0.04));
    const auto left = smooth_step(v.select(1, 0), -0.12, 0.12);
    Skirt out;
    out.rest = v;
    out.weights = torch::zeros({v.size(0), body.joint_count()});
    out.weights.select(1, smpl::kPelvis).copy_(1 - legs);
    out.weights.select(1, smpl::kLeftHip).copy_(legs * left);
    out.weights.select(1, smpl::kRightHip).copy_(legs * (1 - left));

    // Where the bones of the T-pose take it to `rest`.
    const BodyPose t_pose{
        torch::eye(3).expand({body.joint_count(), 3, 3}).contiguous(), torch::zeros(3), {}};
    const auto T = blend_bones(out.weights, body.bones(t_pose).to(torch::kFloat));
    const auto moved = v - T.narrow(1, 0, 3).select(2, 3);
    const auto back = torch::inverse(T.narrow(1, 0, 3).narrow(2, 0, 3));
    out.canonical = {torch::matmul(back, moved.unsqueeze(2)).squeeze(2).contiguous(), shape.faces};

    const auto y = rest.select(1, 1).index_select(0, faces.reshape({-1})).view({-1, 3});
    out.unseen = (y < waist - 0.04).all(1).logical_and((y > hem + kHidden).all(1));
    return out;
}

}  // namespace fmgs::detail
