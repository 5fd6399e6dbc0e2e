// A loss of one's own, with a parameter of its own, under the progress, the checkpoints and the
// resuming of `train`:  train_own_loss CONFIG.yaml… [key=value…]   or, to go on:  train_own_loss
// RUN
#include <fmgs/run/process.h>
#include <fmgs/run/program.h>
#include <fmgs/run/training.h>
#include <torch/types.h>

namespace {

/// The camera's exposure is not known: mean |gain · color − target| with a learned gain for each
/// channel.
struct ExposureLoss : fmgs::Loss {
    torch::Tensor gain = register_parameter("gain", torch::ones({3, 1, 1}));

    std::vector<std::string> needs() const override { return {"color"}; }
    std::vector<std::string> targets() const override { return {"color"}; }
    torch::Tensor forward(const fmgs::LossInput& in) override {
        return (gain * in.rendered.at("color") - in.frame.maps.at("color")).abs().mean();
    }
};

int train(const std::vector<std::string>& arguments) {
    using namespace fmgs;
    auto run = open_run(read_options(arguments));
    auto objective = paper_objective(run.avatar->parts(), run.options.objective);
    objective->add("exposure", std::make_shared<ExposureLoss>(), 0.1, Reach::of({"color"}));
    const auto folder = training_folder(arguments, run.options);
    auto training = start(std::move(run), objective, folder);
    catch_interrupt();
    while (!finished(training) && !interrupted()) record(training, training_step(training));
    finish(training);
    return interrupted() ? 130 : 0;
}

}  // namespace

int main(int argc, char** argv) {
    return fmgs::guarded([&] { return train({argv + 1, argv + argc}); });
}
