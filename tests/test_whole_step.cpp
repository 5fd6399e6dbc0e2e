// A whole training step in double against differences: every parameter, the pose and the camera,
// through the avatar and the objective with all its terms; then every row of every table.
#include <ATen/Parallel.h>

#include "support/stage.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

// What avatar.cpp cuts on purpose is held at its value, so that a difference sees what the gradient
// sees: the encoder's input and the view direction.
struct HeldBody : BodyModelImpl {
    using BodyModelImpl::BodyModelImpl;
    mutable torch::Tensor held;
    torch::Tensor local_rotations(const BodyPose& pose) const override {
        if (!held.defined()) held = pose.rotations.clone();
        return held;
    }
};

struct HeldView : AppearanceFieldImpl {
    using AppearanceFieldImpl::AppearanceFieldImpl;
    torch::Tensor held;
    torch::Tensor forward(const FieldInput& input) override {
        if (!held.defined()) held = input.direction;
        auto in = input;
        in.direction = held;
        return AppearanceFieldImpl::forward(in);
    }
};

/// N̂ of a loss whose row closes the position: its depth is held.
struct HeldDepth : Loss {
    std::shared_ptr<Loss> inner;
    torch::Tensor depth;
    HeldDepth(std::shared_ptr<Loss> loss, torch::Tensor held)
        : inner(std::move(loss)), depth(std::move(held)) {}
    std::vector<std::string> needs() const override { return inner->needs(); }
    std::vector<std::string> looks_at() const override { return inner->looks_at(); }
    bool stays_in_mask() const override { return inner->stays_in_mask(); }
    torch::Tensor forward(const LossInput& in) override {
        auto maps = in.rendered;
        maps.set("depth", depth);
        return inner->forward(
            {in.canonical, in.posed, maps, in.frame, in.random, in.static_shapes});
    }
};

struct Leaf {
    std::string name;
    torch::Tensor x;
};

/// The operators here are too small to share among threads.
struct OneThread {
    int before = at::get_num_threads();
    OneThread() { at::set_num_threads(1); }
    ~OneThread() { at::set_num_threads(before); }
};

struct Step {
    OneThread one_thread;
    Avatar avatar{nullptr};
    Frame frame = ball_frame(24).to(torch::kDouble);
    Random random{.seed = 5, .step = 11};
    std::vector<Leaf> leaves;

    Step() {
        auto options = ball_options();
        options.geometry.layers = options.skinning.layers =
            1;  // fewer tensors, each like the others
        auto parts = paper_parts(
            std::make_shared<HeldBody>(ball_data(), torch::zeros({0}), /*star_degrees=*/0),
            options);
        parts.appearance = std::make_shared<HeldView>(options.appearance,
                                                      padded_box(parts.body->canonical().vertices),
                                                      options.geometry.code, options.encoder.width);
        avatar = Avatar(parts);
        perturb(*avatar);
        avatar->to(torch::kDouble);
        for (const auto& p : avatar->named_parameters()) leaves.push_back({p.key(), p.value()});
        leaves.push_back({"pose.rotations", frame.pose.rotations});
        leaves.push_back({"pose.translation", frame.pose.translation});
    }
    void with_camera() {
        leaves.push_back({"camera.rotation", frame.camera.rotation});
        leaves.push_back({"camera.translation", frame.camera.translation});
        leaves.push_back({"camera.intrinsics", frame.camera.intrinsics});
    }
    Surfels surfels() { return avatar->forward(frame.camera, frame.pose, &random); }
    std::vector<torch::Tensor> gradients(const torch::Tensor& total) const {
        std::vector<torch::Tensor> inputs;
        for (const auto& leaf : leaves) inputs.push_back(leaf.x);
        return torch::autograd::grad({total}, inputs, {}, /*retain_graph=*/true, false,
                                     /*allow_unused=*/true);
    }
    void require_gradients() {
        for (auto& leaf : leaves) leaf.x.requires_grad_(true);
    }
};

bool rendered(const std::string& name) {
    for (const auto& row : routing::kRows)
        if (row.loss == name) return row.rendered;
    return false;
}

/// Up to `count` entries that the loss moves, and a few of all.
std::vector<int64_t> entries(const torch::Tensor& gradient, int64_t count, uint64_t seed) {
    const auto generator = Random{seed}.generator("entries");
    const auto flat = gradient.reshape({-1});
    const auto moved = flat.nonzero().squeeze(1);
    std::vector<int64_t> out;
    const auto draw = [&](const torch::Tensor& from, int64_t n) {
        const auto order = torch::randperm(from.size(0), generator, torch::kLong);
        for (int64_t k = 0; k < std::min(n, from.size(0)); ++k)
            out.push_back(from[order[k].item<int64_t>()].item<int64_t>());
    };
    draw(moved, count);
    draw(torch::arange(flat.size(0)), 3);
    return out;
}

/// The open columns as `moved` has them, the others as `base` has them: what a gradient with this
/// reach is the derivative of.
Surfels mixed(const Surfels& base, const Surfels& moved, const Reach& reach, bool is_rendered) {
    Surfels s = base;
    if (reach.position) s.position = moved.position;
    if (reach.rotation) s.rotation = moved.rotation;
    if (reach.scale) s.scale = moved.scale;
    if (reach.opacity) s.opacity = moved.opacity;
    for (const auto& [name, value] : moved.features)
        if (reach.feature(name)) s.features.set(name, value);
    for (const auto& [name, value] : moved.latents)
        if (reach.feature(name + ".latent")) s.latents.set(name, value);
    if (!reach.skinning) return s;
    Surfels live = s;
    live.skinning = moved.skinning, live.bones = moved.bones;
    if (!is_rendered || (reach.position && reach.rotation)) return live;
    // T moves the centre or the tangents, not both: put both parts into surfels with one bone that
    // stays.
    const auto center = (reach.position ? live : s).posed().center;
    const auto turned = reach.rotation ? live : s;
    const auto T3 = blend_bones(turned.skinning, turned.bones).narrow(1, 0, 3).narrow(2, 0, 3);
    s.position = center;
    s.rotation = torch::matmul(T3, turned.rotation);
    s.skinning = torch::ones({s.size(), 1}, center.options());
    s.bones = torch::eye(4, center.options()).unsqueeze(0);
    return s;
}

/// A row of a table: what it opens, its gradient in every leaf, and the objective whose differences
/// that gradient should be.
struct Row {
    std::string table, name;
    Reach reach;
    Objective numeric;
    std::vector<torch::Tensor> gradients;
    double largest = 0;  ///< sum of the sizes of a leaf's gradient
};

/// The rows of all tables, those that open the same once.
std::vector<Row> distinct_rows(const Step& whole, const Surfels& base) {
    std::vector<Row> rows;
    for (const std::string table : {"measured", "strict", "literal"}) {
        const auto reaches = routing_table(table).rows;
        for (const auto& name : table_rows()) {
            const auto& reach = reaches.at(name);
            if (std::any_of(rows.begin(), rows.end(), [&](const Row& row) {
                    return row.name == name && row.reach.same_geometry(reach);
                }))
                continue;
            auto objective = paper_objective(whole.avatar->parts(), only({name}, table));
            const auto report = objective->forward(base, whole.frame, whole.random, 0.5);
            // A loss that reaches no leaf at all still has a gradient: zero.
            const auto total = report.total + 0 * whole.leaves.front().x.sum();
            Row row{table, name, reach, objective, whole.gradients(total), 0};
            for (const auto& g : row.gradients)
                if (g.defined()) row.largest = std::max(row.largest, g.abs().sum().item<double>());
            if (name == "normal_consistency" && !reach.position) {
                row.numeric = Objective();
                row.numeric->add(name,
                                 std::make_shared<HeldDepth>(objective->entries().front().loss,
                                                             report.rendered.at("depth")),
                                 1.0, Reach::everything());
            }
            rows.push_back(std::move(row));
        }
    }
    return rows;
}

/// Each row's difference quotient along `direction` of the leaf x, of its open columns alone.
std::vector<double> slopes(Step& whole, const Surfels& base, std::vector<Row>& rows,
                           torch::Tensor x, const torch::Tensor& direction, double h) {
    const auto start = x.clone();
    const auto values = [&](double step) {
        x.copy_(start + step * direction);
        const auto moved = whole.surfels();
        std::vector<double> out;
        for (auto& row : rows) {
            const auto s = mixed(base, moved, row.reach, rendered(row.name));
            out.push_back(
                row.numeric->forward(s, whole.frame, whole.random, 0.5).total.item<double>());
        }
        x.copy_(start);
        return out;
    };
    auto up = values(h);
    const auto down = values(-h);
    for (size_t r = 0; r < up.size(); ++r) up[r] = (up[r] - down[r]) / (2 * h);
    return up;
}

}  // namespace

TEST_CASE("a whole step without routing has the gradient of its difference", "[whole_step]") {
    Step whole;
    whole.with_camera();
    whole.require_gradients();
    auto objective = paper_objective(whole.avatar->parts(), only(table_rows(), "off"));
    const auto loss = [&] {
        return objective->forward(whole.surfels(), whole.frame, whole.random, 0.5).total;
    };
    const auto gradients = whole.gradients(loss());
    torch::NoGradGuard guard;
    double worst = 0;
    for (size_t k = 0; k < whole.leaves.size(); ++k) {
        const auto x = whole.leaves[k].x;
        INFO(whole.leaves[k].name);
        REQUIRE(gradients[k].defined());
        const double size = gradients[k].abs().max().item<double>();
        REQUIRE(size > 0);
        auto flat = x.view({-1});
        const auto analytic = gradients[k].reshape({-1});
        for (const int64_t at : entries(gradients[k], 20, k)) {
            const double x0 = flat[at].item<double>(), a = analytic[at].item<double>();
            // The picture jumps where a surfel passes a threshold or another one; of two steps at
            // least one sees no jump.
            double error = INFINITY;
            for (const double h : {1e-6, 1e-7}) {
                flat[at] = x0 + h;
                const double up = loss().item<double>();
                flat[at] = x0 - h;
                const double down = loss().item<double>();
                flat[at] = x0;
                error = std::min(error, std::abs((up - down) / (2 * h) - a) / size);
                if (error < 1e-5) break;
            }
            CAPTURE(at, a, size, error);
            worst = std::max(worst, error);
            CHECK(error < 1e-5);
        }
    }
    REQUIRE(worst < 1e-5);  // measured 1.8e-6
}

TEST_CASE("every row of every table has the gradient of the columns that it opens",
          "[whole_step]") {
    Step whole;
    whole.require_gradients();
    const auto base = whole.surfels();
    auto rows = distinct_rows(whole, base);
    REQUIRE(rows.size() >= table_rows().size());

    torch::NoGradGuard guard;
    double worst = 0;
    std::map<std::string, int> open;
    for (size_t k = 0; k < whole.leaves.size(); ++k) {
        auto x = whole.leaves[k].x;
        const auto direction = torch::randn(x.sizes(), Random{k}.generator("direction"),
                                            x.options().requires_grad(false));
        std::vector<double> error(rows.size(), INFINITY);
        for (const double h : {1e-6, 1e-7}) {
            const auto slope = slopes(whole, base, rows, x, direction, h);
            for (size_t r = 0; r < rows.size(); ++r) {
                const auto& g = rows[r].gradients[k];
                const auto products = g.defined() ? g * direction : torch::zeros_like(direction);
                const double size = products.abs().sum().item<double>(),
                             a = products.sum().item<double>();
                // Closed: exactly zero on both sides. Open: relative to the terms of the sum, or to
                // the row's largest, of which rounding is left where they cancel.
                const double miss =
                    size == 0 ? (slope[r] == 0 ? 0 : INFINITY)
                              : std::abs(slope[r] - a) / std::max(size, 1e-3 * rows[r].largest);
                error[r] = std::min(error[r], miss);
                open[rows[r].name] += size > 0;
            }
            if (*std::max_element(error.begin(), error.end()) < 1e-5) break;
        }
        for (size_t r = 0; r < rows.size(); ++r) {
            INFO(rows[r].table << ": " << rows[r].name << " -> " << whole.leaves[k].name << ": "
                               << error[r]);
            worst = std::max(worst, error[r]);
            CHECK(error[r] < 1e-5);
        }
    }
    for (const auto& row : rows) {
        INFO(row.name);
        REQUIRE(open[row.name] > 0);
    }
    REQUIRE(worst < 1e-5);  // measured 1.2e-7
}
