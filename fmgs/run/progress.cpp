#include <fmgs/run/progress.h>

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ostream>

namespace fmgs {

std::string duration_text(double seconds) {
    const auto total = static_cast<int64_t>(std::llround(std::max(0.0, seconds)));
    const int64_t hours = total / 3600, minutes = total / 60 % 60, rest = total % 60;
    return hours ? fmt::format("{}:{:02}:{:02}", hours, minutes, rest)
                 : fmt::format("{}:{:02}", minutes, rest);
}

std::string progress_text(const ProgressState& s) {
    const int64_t percent = s.steps > 0 ? 100 * s.step / s.steps : 100;
    std::string out = fmt::format("step {}/{}  {} %", s.step, s.steps, percent);
    if (!std::isnan(s.loss)) out += fmt::format("  loss {:.4g}", s.loss);
    if (!std::isnan(s.psnr)) out += fmt::format("  PSNR {:.1f} dB", s.psnr);
    if (s.steps_per_second > 0) {
        const double left = static_cast<double>(s.steps - s.step) / s.steps_per_second;
        out += fmt::format("  {:.3g} it/s  {} left", s.steps_per_second, duration_text(left));
    }
    return out;
}

Progress::Progress(std::ostream& out, bool terminal, int64_t steps, int64_t done)
    : out_(out), terminal_(terminal), steps_(steps), first_(done) {}

Progress::~Progress() {
    if (terminal_ && width_ > 0) out_ << "\n" << std::flush;
}

void Progress::show(int64_t step, double loss, double psnr) {
    auto text = progress_text({step, steps_, loss, psnr, steps_per_second(step)});
    if (!terminal_) {
        out_ << text << "\n" << std::flush;
        return;
    }
    const size_t width = text.size();
    if (width < width_)
        text.append(width_ - width, ' ');  // covers what the longer line before left
    width_ = width;
    out_ << "\r" << text << std::flush;
}

double Progress::seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

double Progress::steps_per_second(int64_t step) const {
    const double time = seconds();
    return step > first_ && time > 0 ? static_cast<double>(step - first_) / time : 0;
}

}  // namespace fmgs
