#include <fmgs/run/training_files.h>

#include <ATen/Parallel.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/image_io.h>
#include <fmgs/eval/metrics.h>
#include <fmgs/eval/sheet.h>
#include <fmgs/run/draw.h>
#include <fmgs/run/influence.h>
#include <fmgs/version.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>
#include <torch/version.h>

#include <cmath>

namespace fmgs {

namespace {

/// NaN where a term was off.
std::vector<double> metric_row(const Objective& objective, const LossReport& report, double psnr) {
    std::vector<double> values = {report.total.item<double>(), psnr};
    for (const auto& entry : objective->entries()) {
        double value = NAN;
        for (const auto& term : report.terms) {
            if (term.name == entry.name) value = term.value.item<double>();
        }
        values.push_back(value);
    }
    return values;
}

}  // namespace

std::vector<std::string> metric_columns(const Objective& objective) {
    std::vector<std::string> names = {"loss", "psnr"};
    for (const auto& entry : objective->entries()) names.push_back(entry.name);
    return names;
}

void write_sheet(const Training& training) {
    const auto& run = training.run;
    const auto& frames = run.capture.splits.at("train");
    std::vector<torch::Tensor> rows;
    for (const size_t k : {size_t{0}, frames.size() / 3, 2 * frames.size() / 3}) {
        const auto frame = frames[k];
        const auto taken = take(run, frame);
        rows.push_back(sheet_row(frame, draw(run.avatar, taken.camera, taken.pose)));
    }
    const auto folder = training.folder.sheets();
    std::filesystem::create_directories(folder);
    write_color(folder / fmt::format("{:06d}.png", training.state.step), below(rows));
}

void write_gradients(Training& training) {
    const auto& run = training.run;
    const auto frame = take(run, run.capture.splits.at("train").front());
    const auto means = mean_gradients(training.objective,
                                      run.avatar.ptr()->forward(frame.camera, frame.pose), frame);
    std::vector<std::string> columns;
    std::vector<double> values;
    for (const auto& [name, mean] : means) {
        columns.push_back(name);
        values.push_back(mean);
    }
    const auto step = training.state.step;
    if (!training.gradients)
        training.gradients.emplace(training.folder.gradients(), columns, step - 1);
    training.gradients->add(step, values);
}

void write_history(const RunFolder& folder, const Run& run, const Ranks& ranks, int64_t step,
                   const std::string& note) {
    std::string text;
    if (step > 0 && is_there(folder.history())) text = read_whole(folder.history());
    text += fmt::format("== step {}: libfmgs {}, LibTorch {}, {}, threads: {}{}{}\n{}\n", step,
                        FMGS_VERSION, TORCH_VERSION, run.device.str(), at::get_num_threads(),
                        ranks.alone() ? "" : ", ", ranks.text(), run.capture.description);
    for (const auto& line : run.capture.notes) text += fmt::format("note: {}\n", line);
    write_whole(folder.history(), text + note);
}

void write_row(Training& training, const LossReport& report) {
    const auto* color = report.rendered.find("color");
    const double quality = color ? psnr(*color, report.rendered.at("target")) : NAN;
    training.progress.show(training.state.step, report.total.item<double>(), quality);
    training.log->add(training.state.step, metric_row(training.objective, report, quality));
}

}  // namespace fmgs
