// Where a training step spends its time and memory, on a capture of yours:
//   bench_step CONFIG.yaml… [key=value…]   or   bench_step RUN
// prints the phases of a step, the operators by the time spent in them alone, and the peak memory.
// On a GPU one step more is marked for NVIDIA's profilers: scripts/gpu_check.sh lists its kernels.
#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <dlfcn.h>
#include <fmgs/core/check.h>
#include <fmgs/core/cuda/memory.h>
#include <fmgs/run/frames.h>
#include <fmgs/run/process.h>
#include <fmgs/run/program.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <torch/cuda.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>

namespace {

using namespace fmgs;
using Clock = std::chrono::steady_clock;

double ms(Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double, std::milli>(to - from).count();
}

/// Time in each operator less the time in those that it calls, over all threads that call
/// operators.
class SelfTimes {
  public:
    SelfTimes() {
        handle_ = at::addGlobalCallback(
            at::RecordFunctionCallback(start, end)
                .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION}));
        totals().clear();
    }
    ~SelfTimes() { at::removeCallback(handle_); }
    SelfTimes(const SelfTimes&) = delete;
    SelfTimes& operator=(const SelfTimes&) = delete;

    /// Name → milliseconds, largest first.
    std::vector<std::pair<std::string, double>> largest_first() const {
        const std::lock_guard lock(mutex());
        std::vector<std::pair<std::string, double>> rows(totals().begin(), totals().end());
        std::sort(rows.begin(), rows.end(),
                  [](const auto& a, const auto& b) { return a.second > b.second; });
        return rows;
    }

  private:
    struct Frame : at::ObserverContext {
        std::string name;
        Clock::time_point start;
        double inside = 0;  // milliseconds in operators called from here
        Frame* caller = nullptr;
    };
    static std::map<std::string, double>& totals() {
        static std::map<std::string, double> all;
        return all;
    }
    static std::mutex& mutex() {
        static std::mutex one;
        return one;
    }
    static Frame*& current() {
        thread_local Frame* frame = nullptr;
        return frame;
    }
    static std::unique_ptr<at::ObserverContext> start(const at::RecordFunction& f) {
        auto frame = std::make_unique<Frame>();
        frame->name = f.name();
        frame->caller = current();
        current() = frame.get();
        frame->start = Clock::now();
        return frame;
    }
    static void end(const at::RecordFunction&, at::ObserverContext* context) {
        auto* frame = static_cast<Frame*>(context);
        const double spent = ms(frame->start, Clock::now());
        current() = frame->caller;
        if (frame->caller) frame->caller->inside += spent;
        const std::lock_guard lock(mutex());
        totals()[frame->name] += spent - frame->inside;
    }

    at::CallbackHandle handle_;
};

enum Phase { kFields, kObjective, kBackward, kUpdate, kPhases };
constexpr const char* kNames[kPhases] = {"fields and skinning", "posing, drawing, losses",
                                         "backward", "optimizer"};

/// A run's training steps with the time of each phase.
class TimedSteps {
  public:
    explicit TimedSteps(const std::vector<std::string>& arguments)
        : run_(open_run(read_options(arguments))),
          objective_(paper_objective(run_.avatar->parts(), run_.options.objective)),
          optimizer_(grouped_parameters(*run_.root), run_.options.optim) {
        print_run(run_);
        if (run_.device.is_cuda()) free_at_first_ = free_memory(run_.device);
        std::string note;
        frames_ = training_frames(run_, note);
        if (!note.empty()) fmt::print("{}\n", note);
    }

    void step() {
        // The last step of a run: every loss is on.
        const double progress = 1;
        const Random random{1, next_++};
        const Frame frame = take(run_, draw_frame(frames_, random.step, 1), progress);
        std::array<Clock::time_point, kPhases + 1> at;
        at[0] = now();
        const auto surfels = run_.avatar->forward(frame.camera, frame.pose, &random, progress);
        at[1] = now();
        const auto report = objective_->forward(surfels, frame, random, progress);
        at[2] = now();
        optimizer_.zero_grad();
        report.total.backward();
        at[3] = now();
        if (run_.device.is_cuda())
            optimizer_.step_unchecked(progress, report.total);
        else if (const auto name = optimizer_.step(progress))
            throw Error(fmt::format("the gradient of '{}' is not finite", *name));
        at[4] = now();
        for (size_t p = 0; p < kPhases; ++p) times_[p].push_back(ms(at[p], at[p + 1]));
        whole_.push_back(ms(at[0], at[kPhases]));
    }
    torch::Device device() const { return run_.device; }
    /// Bytes of a GPU, of everything but the avatar; torch keeps what it once took, so at most.
    int64_t memory_taken() const { return free_at_first_ - free_memory(run_.device); }
    void forget() {
        for (auto& t : times_) t.clear();
        whole_.clear();
    }
    void print() const {
        const auto median = [](std::vector<double> x) {
            std::nth_element(x.begin(), x.begin() + static_cast<int64_t>(x.size()) / 2, x.end());
            return x[x.size() / 2];
        };
        const auto& camera = frames_.heads().front().camera;
        fmt::print("{}x{} pixels, {} threads, median of {} steps\n", camera.width, camera.height,
                   at::get_num_threads(), whole_.size());
        for (size_t p = 0; p < kPhases; ++p)
            fmt::print("  {:<26}{:8.1f} ms\n", kNames[p], median(times_[p]));
        fmt::print("  {:<26}{:8.1f} ms (fastest {:.1f})\n", "step", median(whole_),
                   *std::min_element(whole_.begin(), whole_.end()));
    }

  private:
    Clock::time_point now() const {
        if (run_.device.is_cuda()) torch::cuda::synchronize();
        return Clock::now();
    }

    Run run_;
    Objective objective_;
    Optimizer optimizer_;
    FrameList frames_;
    int64_t next_ = 0, free_at_first_ = 0;
    std::array<std::vector<double>, kPhases> times_;
    std::vector<double> whole_;
};

/// While there is one, `ncu --profile-from-start off` looks; it may look at nothing else.
class ProfiledRange {
  public:
    ProfiledRange() { call("cudaProfilerStart"); }
    ~ProfiledRange() { call("cudaProfilerStop"); }
    ProfiledRange(const ProfiledRange&) = delete;
    ProfiledRange& operator=(const ProfiledRange&) = delete;

  private:
    // Of the CUDA runtime that torch has loaded; this program is the same without it.
    static void call(const char* name) {
        if (auto* function = reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, name))) function();
    }
};

void look_at_gpu(TimedSteps& steps) {
    fmt::print("memory taken on the GPU {:.2f} GB\n",
               static_cast<double>(steps.memory_taken()) / (1 << 30));
    const ProfiledRange range;
    steps.step();
}

int bench(const std::vector<std::string>& arguments) {
    TimedSteps steps(arguments);
    for (int64_t k = 0; k < 3; ++k) steps.step();
    steps.forget();
    for (int64_t k = 0; k < 20; ++k) steps.step();
    steps.print();

    constexpr int64_t kTraced = 5;
    const SelfTimes self;
    for (int64_t k = 0; k < kTraced; ++k) steps.step();
    fmt::print("operators by the time in them alone\n");
    const auto rows = self.largest_first();
    for (size_t k = 0; k < std::min<size_t>(rows.size(), 20); ++k)
        fmt::print("  {:<42}{:8.1f} ms\n", rows[k].first, rows[k].second / kTraced);

    if (steps.device().is_cuda()) look_at_gpu(steps);
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    fmt::print("peak memory {:.2f} GB\n", static_cast<double>(usage.ru_maxrss) / (1 << 20));
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    fmgs::keep_freed_memory();
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.empty() || arguments[0] == "--help") {
        fmt::print("usage: {} CONFIG.yaml… [key=value…], or RUN\n", argv[0]);
        return arguments.empty() ? 2 : 0;
    }
    return guarded([&] { return bench(arguments); });
}
