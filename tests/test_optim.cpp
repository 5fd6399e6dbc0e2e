#include <ATen/Parallel.h>
#include <fmgs/train/checkpoint.h>
#include <fmgs/train/optim.h>
#include <torch/optim/adam.h>

#include "support/test.h"

using namespace fmgs;

namespace {

torch::Tensor random(at::IntArrayRef shape, int seed) {
    auto generator = at::make_generator<at::CPUGeneratorImpl>(static_cast<uint64_t>(seed));
    return torch::randn(shape, generator);
}

TensorDict parameters() {
    TensorDict out;
    out.set("surfels.log_scale", random({50, 2}, 1).requires_grad_());
    out.set("geometry.volume.table", random({40000, 2}, 2).requires_grad_());
    out.set("geometry.mlp.weight0", random({7, 5}, 3).requires_grad_());
    return out;
}

void set_gradients(const TensorDict& parameters, int step) {
    int k = 0;
    for (const auto& [name, p] : parameters) {
        torch::Tensor(p).mutable_grad() = random(p.sizes(), 100 * step + k) * std::pow(10.0, k - 3);
        ++k;
    }
}

/// Parameters by name with the groups that their modules would say.
std::vector<Parameter> grouped(const TensorDict& parameters) {
    std::vector<Parameter> out;
    for (const auto& [name, tensor] : parameters) {
        const std::string group = name.ends_with("log_scale")      ? "scale"
                                  : name.ends_with("volume.table") ? "volume"
                                                                   : "network";
        out.push_back({name, group, tensor});
    }
    return out;
}

TensorDict after(int steps, int threads) {
    const int before = at::get_num_threads();
    at::set_num_threads(threads);
    auto p = parameters();
    Optimizer optimizer(grouped(p), {});
    for (int s = 0; s < steps; ++s) {
        set_gradients(p, s);
        optimizer.step(s / 10.0);
    }
    at::set_num_threads(before);
    return p;
}

}  // namespace

TEST_CASE("ten steps equal torch's Adam", "[optim]") {
    auto ours = parameters(), theirs = parameters();
    Optimizer optimizer(grouped(ours), {});
    std::vector<torch::optim::OptimizerParamGroup> groups;
    for (const auto& [name, p] : theirs) {
        groups.emplace_back(
            std::vector<torch::Tensor>{p},
            std::make_unique<torch::optim::AdamOptions>(torch::optim::AdamOptions().eps(1e-15)));
    }
    torch::optim::Adam adam(groups);
    const OptimOptions options;
    for (int s = 0; s < 10; ++s) {
        set_gradients(ours, s);
        set_gradients(theirs, s);
        size_t k = 0;
        for (const auto& parameter : grouped(theirs))
            adam.param_groups()[k++].options().set_lr(options.rate(parameter.group, s / 10.0));
        REQUIRE(!optimizer.step(s / 10.0));
        adam.step();
    }
    for (const auto& [name, p] : ours) {
        INFO(name);
        REQUIRE_CLOSE(p, theirs.at(name), 1e-6);  // measured 1e-7
    }
}

TEST_CASE("double parameters follow the same formula", "[optim]") {
    auto single = random({1000}, 5).requires_grad_(),
         twice = random({1000}, 5).to(torch::kDouble).requires_grad_();
    Optimizer a(grouped({{"mlp.weight0", single}}), {}), b(grouped({{"mlp.weight0", twice}}), {});
    for (int s = 0; s < 5; ++s) {
        single.mutable_grad() = random({1000}, s);
        twice.mutable_grad() = random({1000}, s).to(torch::kDouble);
        a.step(0);
        b.step(0);
    }
    REQUIRE_CLOSE(single, twice, 1e-6);  // measured 1.4e-7
}

TEST_CASE("an update has the same bits for any number of threads", "[optim]") {
    const auto one = after(3, 1), two = after(3, 2);
    for (const auto& [name, p] : one) REQUIRE(torch::equal(p, two.at(name)));
}

TEST_CASE("a gradient that is not finite leaves every parameter as it was and is named",
          "[optim]") {
    for (const double bad : {static_cast<double>(NAN), static_cast<double>(INFINITY)}) {
        auto p = parameters(), before = parameters();
        Optimizer optimizer(grouped(p), {});
        set_gradients(p, 0);
        p.at("geometry.mlp.weight0").grad().view({-1})[34] = bad;
        REQUIRE(optimizer.step(0) == std::optional<std::string>("geometry.mlp.weight0"));
        for (const auto& [name, value] : before) REQUIRE(torch::equal(p.at(name), value));
        for (const auto& [name, value] : optimizer.state()) REQUIRE(!value.any().item<bool>());
    }
}

TEST_CASE("a parameter without a gradient is skipped", "[optim]") {
    auto p = parameters();
    Optimizer optimizer(grouped(p), {});
    set_gradients(p, 0);
    torch::Tensor(p.at("surfels.log_scale")).mutable_grad().reset();
    optimizer.step(0);
    REQUIRE(torch::equal(p.at("surfels.log_scale"), parameters().at("surfels.log_scale")));
    REQUIRE(optimizer.state().at("surfels.log_scale.steps").item<int64_t>() == 0);
    REQUIRE(optimizer.state().at("geometry.volume.table.steps").item<int64_t>() == 1);
    optimizer.zero_grad();
    REQUIRE(!p.at("geometry.volume.table").grad().defined());
}

TEST_CASE("rates follow the group, and all but the surfels' decay", "[optim]") {
    const OptimOptions options;
    const auto ratio = [&](const char* group) {
        return options.rate(group, 1) / options.rate(group, 0);
    };
    REQUIRE(options.rate("scale", 0) == 5e-3);
    REQUIRE(options.rate("opacity", 1) == 1e-2);
    REQUIRE(options.rate("volume", 0) == 2e-2);
    REQUIRE(options.rate("feature_volume", 0) == 5e-2);
    REQUIRE(options.rate("network", 0) == 2e-3);
    REQUIRE(options.rate("skinning", 0) == 1e-4);
    REQUIRE(options.rate("pose_root", 0) == 2e-3);
    REQUIRE(options.rate("pose_joints", 0) == 2e-3);
    REQUIRE(options.rate("pose_translation", 0) == 2e-3);
    REQUIRE(ratio("scale") == 1);
    REQUIRE(ratio("opacity") == 1);
    for (const auto* group : {"volume", "feature_volume", "network", "skinning", "pose_joints",
                              "offset", "turn", "loss"}) {
        INFO(group);
        REQUIRE(ratio(group) == Approx(0.1));
    }
    REQUIRE(test::throws_error([&] { options.rate("netwrok", 0); },
                               "no parameter group 'netwrok'; there are: volume,"));
}

TEST_CASE("the first step of every group is its rate, whatever the gradient's size", "[optim]") {
    OptimOptions options;
    std::vector<Parameter> parameters;
    for (const auto* group : {"volume", "feature_volume", "network", "skinning", "pose_root",
                              "scale", "opacity", "offset", "turn", "loss"}) {
        const auto p = torch::zeros({9}, torch::kFloat).requires_grad_();
        torch::Tensor(p).mutable_grad() = random({9}, 4) * 1e-3;
        parameters.push_back({group, group, p});
    }
    Optimizer optimizer(parameters, options);
    REQUIRE(!optimizer.step(0.5));
    for (const auto& [name, group, p] : parameters) {
        INFO(name);
        // The moments without their bias are g and g².
        REQUIRE_CLOSE(p / options.rate(group, 0.5), -p.grad().sign(), 1e-5);
    }
}

TEST_CASE("clipping bounds the norm of the networks' gradients and leaves the surfels alone",
          "[optim]") {
    auto p = parameters();
    OptimOptions options;
    options.clip = 0.5;
    Optimizer optimizer(grouped(p), options);
    set_gradients(p, 0);
    optimizer.step(0);
    // After one step the first moment is 0.1 times the gradient that was used.
    const auto state = optimizer.state();
    const auto used = [&](const char* name) {
        return state.at(std::string(name) + ".first") / 0.1;
    };
    const double norm = std::sqrt(used("geometry.volume.table").square().sum().item<double>() +
                                  used("geometry.mlp.weight0").square().sum().item<double>());
    REQUIRE(norm == Approx(0.5).epsilon(1e-5));
    REQUIRE_CLOSE(used("surfels.log_scale"), p.at("surfels.log_scale").grad(), 1e-6);
}

TEST_CASE("the state restored by name continues with the same bits", "[optim]") {
    auto p = parameters(), q = parameters();
    Optimizer first(grouped(p), {}), second(grouped(q), {});
    set_gradients(p, 0);
    first.step(0);
    copy_tensors(p, q, "model");
    copy_tensors(first.state(), second.state(), "optimizer");
    for (auto* pair : {&p, &q}) set_gradients(*pair, 1);
    first.step(0.1);
    second.step(0.1);
    for (const auto& [name, value] : p) REQUIRE(torch::equal(value, q.at(name)));
}

TEST_CASE("rows that get no gradient for thousands of steps cost no denormals", "[optim]") {
    auto p = torch::ones({64}).requires_grad_();
    Optimizer optimizer(grouped({{"volume", p}}), {});
    p.mutable_grad() = torch::full({64}, 1e-6);
    optimizer.step(0);
    p.mutable_grad() = torch::zeros({64});
    for (int s = 0; s < 1500; ++s) optimizer.step(0);
    REQUIRE(p.isfinite().all().item<bool>());
    REQUIRE(!optimizer.state().at("volume.first").any().item<bool>());
}

TEST_CASE("unchecked steps equal checked ones", "[optim]") {
    for (const double clip : {0.0, 0.5}) {
        OptimOptions options;
        options.clip = clip;
        auto checked = parameters(), unchecked = parameters();
        Optimizer a(grouped(checked), options), b(grouped(unchecked), options);
        for (int s = 0; s < 10; ++s) {
            set_gradients(checked, s);
            set_gradients(unchecked, s);
            REQUIRE(!a.step(s / 10.0));
            b.step_unchecked(s / 10.0, torch::zeros({}));
        }
        REQUIRE(b.take_skipped() == 0);
        for (const auto& [name, p] : checked) {
            REQUIRE_CLOSE(unchecked.at(name), p, 2e-6);  // measured 4e-7
        }
        const auto state = a.state(), other = b.state();
        for (const auto& [name, value] : state) REQUIRE_CLOSE(other.at(name), value, 1e-6);
    }
}

TEST_CASE("a gradient or loss that is not finite stops unchecked steps for good", "[optim]") {
    for (const bool in_loss : {false, true}) {
        auto p = parameters();
        Optimizer optimizer(grouped(p), {});
        set_gradients(p, 0);
        optimizer.step_unchecked(0, torch::zeros({}));
        TensorDict before;
        for (const auto& [name, value] : p) before.set(name, value.detach().clone());
        set_gradients(p, 1);
        if (!in_loss) torch::Tensor(p.at("geometry.mlp.weight0")).mutable_grad()[0][0] = NAN;
        optimizer.step_unchecked(0, torch::full({}, in_loss ? INFINITY : 1.0));
        set_gradients(p, 2);
        optimizer.step_unchecked(0, torch::zeros({}));
        REQUIRE(optimizer.take_skipped() == 2);
        REQUIRE(optimizer.take_skipped() == 0);  // each is told once
        for (const auto& [name, value] : p) REQUIRE(torch::equal(value, before.at(name)));
        REQUIRE(optimizer.state().at("surfels.log_scale.steps").item<int64_t>() == 1);
    }
}

namespace {

/// A pose table's translations of five frames, and gradients that reach a row or two at a time.
TensorDict rows() {
    TensorDict out;
    out.set("poses.joints", random({5, 3, 3}, 7).requires_grad_());
    return out;
}

void draw_row(const TensorDict& p, int step) {
    auto gradient = torch::zeros({5, 3, 3});
    gradient[step % 3] = random({3, 3}, 50 + step);
    torch::Tensor(p.at("poses.joints")).mutable_grad() = gradient;
}

}  // namespace

TEST_CASE("a row of a pose table is stepped by Adam when it is drawn and else keeps its bits",
          "[optim]") {
    for (const bool checked : {true, false}) {
        auto p = rows();
        const auto& x = p.at("poses.joints");
        Optimizer optimizer({{"poses.joints", "pose_joints", x}}, {});
        // Dense Adam of each row alone, which sees only the steps that draw it.
        std::vector<torch::Tensor> alone;
        std::vector<std::unique_ptr<torch::optim::Adam>> adams;
        const OptimOptions options;
        for (int64_t k = 0; k < 5; ++k) {
            alone.push_back(x[k].detach().clone().requires_grad_());
            adams.push_back(std::make_unique<torch::optim::Adam>(
                std::vector<torch::Tensor>{alone.back()}, torch::optim::AdamOptions().eps(1e-15)));
        }
        for (int s = 0; s < 12; ++s) {
            draw_row(p, s);
            const auto before = x.detach().clone();
            const auto moments = optimizer.state().at("poses.joints.second").clone();
            if (checked)
                REQUIRE(!optimizer.step(s / 12.0));
            else
                optimizer.step_unchecked(s / 12.0, torch::zeros({}));
            const int64_t drawn = s % 3;
            for (int64_t k = 0; k < 5; ++k) {
                const bool moved = !torch::equal(x[k], before[k]);
                REQUIRE(moved == (k == drawn));
                const auto second = optimizer.state().at("poses.joints.second");
                REQUIRE(torch::equal(second[k], moments[k]) == (k != drawn));
            }
            auto& adam = *adams[static_cast<size_t>(drawn)];
            auto& row = alone[static_cast<size_t>(drawn)];
            static_cast<torch::optim::AdamOptions&>(adam.param_groups()[0].options())
                .lr(options.rate("pose_joints", s / 12.0));
            row.mutable_grad() = x.grad()[drawn].clone();
            adam.step();
        }
        for (int64_t k = 0; k < 5; ++k)
            REQUIRE_CLOSE(x[k], alone[static_cast<size_t>(k)], 1e-6);  // measured 1e-7
        const auto steps = optimizer.state().at("poses.joints.steps");
        REQUIRE(torch::equal(steps, torch::tensor({4, 4, 4, 0, 0}, torch::kInt64)));
    }
}

TEST_CASE("after a bad unchecked step no row moves any more", "[optim]") {
    auto p = rows();
    const auto& x = p.at("poses.joints");
    Optimizer optimizer({{"poses.joints", "pose_joints", x}}, {});
    draw_row(p, 0);
    optimizer.step_unchecked(0, torch::zeros({}));
    const auto before = x.detach().clone();
    draw_row(p, 1);
    optimizer.step_unchecked(0, torch::full({}, NAN));
    draw_row(p, 2);
    optimizer.step_unchecked(0, torch::zeros({}));
    REQUIRE(optimizer.take_skipped() == 2);
    REQUIRE(torch::equal(x, before));
    REQUIRE(optimizer.state().at("poses.joints.steps").sum().item<int64_t>() == 1);
}

TEST_CASE("the parts of a pose have rates of their own", "[optim]") {
    OptimOptions options;
    options.pose_root = 0.1;
    options.pose_joints = 0.2;
    options.pose_translation = 0.4;
    options.decay = 0.5;
    std::vector<Parameter> parameters;
    for (const auto* part : {"root", "joints", "translation"})
        parameters.push_back(
            {part, std::string("pose_") + part, torch::zeros({2, 3}).requires_grad_()});
    Optimizer optimizer(parameters, options);
    for (auto& parameter : parameters) {
        auto gradient = torch::zeros({2, 3});
        gradient[1][0] = 7;
        parameter.tensor.mutable_grad() = gradient;
    }
    REQUIRE(!optimizer.step(1));
    // The first step of Adam is the rate, whatever the gradient.
    REQUIRE(parameters[0].tensor[1][0].item<float>() == Approx(-0.05));
    REQUIRE(parameters[1].tensor[1][0].item<float>() == Approx(-0.1));
    REQUIRE(parameters[2].tensor[1][0].item<float>() == Approx(-0.2));
}
