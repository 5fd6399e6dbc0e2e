#include <fmgs/data/fit_pose.h>

#include <fmgs/core/check.h>
#include <fmgs/core/rotation.h>
#include <fmt/format.h>

#include <cmath>

namespace fmgs {

namespace {

// What of the body the fit needs, in double on the CPU. V vertices, J joints.
struct Rig {
    torch::Tensor vertices, joints, weights;  // [V,3], [J,3], [V,J]
    std::vector<int64_t> parents;
    torch::Tensor below;  // [J,J] 1 where k is j or hangs on it

    explicit Rig(const Body& body) {
        const auto plain = [](const torch::Tensor& x) {
            return x.detach().to(torch::kCPU, torch::kDouble).contiguous();
        };
        vertices = plain(body.shaped());
        joints = plain(body.joints());
        weights = plain(body.weights());
        const auto tree = body.parents().to(torch::kCPU, torch::kLong).contiguous();
        parents.assign(tree.data_ptr<int64_t>(), tree.data_ptr<int64_t>() + tree.numel());
        below = torch::eye(joints.size(0), torch::kDouble);
        for (int64_t k = count() - 1; k > 0; --k)
            below[parents[static_cast<size_t>(k)]] += below[k];
    }
    int64_t count() const { return joints.size(0); }
    int64_t parent(int64_t j) const { return parents[static_cast<size_t>(j)]; }
};

struct State {
    torch::Tensor local;   // [J,3,3]
    torch::Tensor transl;  // [3]
};

struct Posed {
    torch::Tensor rotation, place;  // [J,3,3], [J,3] of the joints in the world
    torch::Tensor vertices;         // [V,3]
    torch::Tensor parts;            // [V,J,3] w_vk times where bone k alone takes the vertex
};

Posed pose(const Rig& rig, const State& state) {
    std::vector<torch::Tensor> rotation, place;
    for (int64_t j = 0; j < rig.count(); ++j) {
        const int64_t up = rig.parent(j);
        if (up < 0) {
            rotation.push_back(state.local[j]);
            place.push_back(rig.joints[j] + state.transl);
            continue;
        }
        const auto turn = rotation[static_cast<size_t>(up)];
        rotation.push_back(torch::matmul(turn, state.local[j]));
        place.push_back(place[static_cast<size_t>(up)] +
                        torch::mv(turn, rig.joints[j] - rig.joints[up]));
    }
    Posed out;
    out.rotation = torch::stack(rotation);
    out.place = torch::stack(place);
    const auto from_joint = rig.vertices.unsqueeze(1) - rig.joints.unsqueeze(0);
    const auto moved =
        torch::matmul(out.rotation.unsqueeze(0), from_joint.unsqueeze(3)).squeeze(3) + out.place;
    out.parts = moved * rig.weights.unsqueeze(2);
    out.vertices = out.parts.sum(1);
    return out;
}

// The rotation [3,3] that takes weighted points closest to others (Kabsch); undefined where they do
// not span a plane.
torch::Tensor rigid_turn(const torch::Tensor& from, const torch::Tensor& to,
                         const torch::Tensor& weight) {
    const auto total = weight.sum();
    if (total.item<double>() < 1e-6) return {};
    const auto w = (weight / total).unsqueeze(1);
    const auto a = from - (w * from).sum(0), b = to - (w * to).sum(0);
    const auto [U, S, V] = torch::linalg_svd(torch::matmul((w * b).t(), a));
    if (!(S[1].item<double>() > 1e-4 * S[0].item<double>() + 1e-14)) return {};
    auto sign = torch::ones({3}, torch::kDouble);
    sign[2] = torch::linalg_det(torch::matmul(U, V)).item<double>() < 0 ? -1 : 1;
    return torch::matmul(U * sign, V);
}

State rigid_start(const Rig& rig, const torch::Tensor& target) {
    std::vector<torch::Tensor> whole, local;
    for (int64_t j = 0; j < rig.count(); ++j) {
        const int64_t up = rig.parent(j);
        // Squared: the vertices that follow this bone alone say most about it.
        auto turn = rigid_turn(rig.vertices, target, rig.weights.select(1, j).square());
        const auto above = up < 0 ? torch::eye(3, torch::kDouble) : whole[static_cast<size_t>(up)];
        if (!turn.defined()) turn = above;
        local.push_back(torch::matmul(above.t(), turn));
        whole.push_back(turn);
    }
    State state{torch::stack(local), torch::zeros({3}, torch::kDouble)};
    state.transl = (target - pose(rig, state).vertices).mean(0);
    return state;
}

// d vertices / d (turns about the joints in the world's axes, translation): [3V, 3J+3].
torch::Tensor jacobian(const Rig& rig, const Posed& posed) {
    const int64_t V = rig.vertices.size(0), J = rig.count();
    // a_vj = Σ_k below j w_vk (x_vk - p_j); a turn ω about joint j moves v by ω × a_vj.
    const auto arm = torch::einsum("jk,vkc->vjc", {rig.below, posed.parts}) -
                     torch::matmul(rig.weights, rig.below.t()).unsqueeze(2) * posed.place;
    const auto turns = -skew(arm.reshape({-1, 3})).reshape({V, J, 3, 3}).transpose(1, 2);
    const auto shift = torch::eye(3, torch::kDouble).expand({V, 3, 3});
    return torch::cat({turns.reshape({V, 3, 3 * J}), shift}, 2).reshape({3 * V, 3 * J + 3});
}

State stepped(const Rig& rig, const State& state, const Posed& posed, const torch::Tensor& step) {
    const auto turn = step.slice(0, 0, -3).reshape({-1, 3});
    State out{state.local.clone(), state.transl + step.slice(0, -3)};
    for (int64_t j = 0; j < rig.count(); ++j) {
        const int64_t up = rig.parent(j);
        const auto in_parent = up < 0 ? turn[j] : torch::mv(posed.rotation[up].t(), turn[j]);
        out.local[j].copy_(torch::matmul(exp_map(in_parent.unsqueeze(0))[0], state.local[j]));
    }
    return out;
}

double mean_square(const torch::Tensor& x) { return x.square().sum(1).mean().item<double>(); }

}  // namespace

PoseFit fit_pose(const Body& body, const torch::Tensor& vertices,
                 const std::optional<BodyPose>& start) {
    const torch::NoGradGuard no_gradient;
    const Rig rig(body);
    check_shape(vertices, {rig.vertices.size(0), 3}, "vertices to be fitted");
    const auto target = vertices.detach().to(torch::kCPU, torch::kDouble);
    if (!target.isfinite().all().item<bool>())
        throw Error("vertices to be fitted: expected finite numbers");
    State state = start ? State{start->rotations.to(torch::kCPU, torch::kDouble),
                                start->translation.to(torch::kCPU, torch::kDouble)}
                        : rigid_start(rig, target);
    check_shape(state.local, {rig.count(), 3, 3}, "start of the fit: rotations");
    Posed posed = pose(rig, state);
    double error = mean_square(target - posed.vertices), damping = 1e-6;
    PoseFit out;
    for (int64_t attempt = 0; attempt < 60 && error > 1e-16; ++attempt) {
        const auto J = jacobian(rig, posed);
        const auto normal = torch::matmul(J.t(), J);
        const auto right = torch::mv(J.t(), (target - posed.vertices).reshape({-1}));
        const auto scale = normal.diagonal().mean();
        const auto damped = normal + damping * scale * torch::eye(normal.size(0), torch::kDouble);
        const auto next = stepped(rig, state, posed, torch::linalg_solve(damped, right, true));
        Posed moved = pose(rig, next);
        const double now = mean_square(target - moved.vertices);
        if (!(now < error)) {
            damping *= 10;
            if (damping > 1e3) break;
            continue;
        }
        const bool done = error - now < 1e-9 * error;
        state = next, posed = std::move(moved), error = now;
        damping = std::max(damping / 10, 1e-12);
        ++out.steps;
        if (done) break;
    }
    out.pose = {state.local.to(torch::kFloat), state.transl.to(torch::kFloat)};
    out.residual = std::sqrt(error);
    return out;
}

}  // namespace fmgs
