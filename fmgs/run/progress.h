#pragma once
/// What a long run tells its user, on a stream that the program gives.
#include <chrono>
#include <cstdint>
#include <iosfwd>
#include <limits>
#include <string>

namespace fmgs {

struct ProgressState {
    int64_t step = 0;
    int64_t steps = 0;
    double loss = std::numeric_limits<double>::quiet_NaN();  ///< NaN is left out
    double psnr = std::numeric_limits<double>::quiet_NaN();  ///< dB; NaN is left out
    double steps_per_second = 0;                             ///< 0: not known yet
};

/// "step 150/1500  10 %  loss 0.0312  PSNR 31.2 dB  4.1 it/s  5:29 left"
std::string progress_text(const ProgressState& state);
/// "0:09", "12:05", "1:02:03"
std::string duration_text(double seconds);

/// Writes progress: one line that is rewritten on a terminal, else a line each time.
class Progress {
  public:
    /// `done`: the steps of the run that are done already.
    Progress(std::ostream& out, bool terminal, int64_t steps, int64_t done = 0);
    /// Ends the line that is being rewritten.
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void show(int64_t step, double loss = std::numeric_limits<double>::quiet_NaN(),
              double psnr = std::numeric_limits<double>::quiet_NaN());
    /// Seconds since construction.
    double seconds() const;
    /// Steps since construction, at this step of the run.
    int64_t done(int64_t step) const { return step - first_; }
    /// Mean steps per second since construction.
    double steps_per_second(int64_t step) const;

  private:
    std::ostream& out_;
    bool terminal_;
    int64_t steps_, first_;
    size_t width_ = 0;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace fmgs
