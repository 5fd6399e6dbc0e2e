// What ranks that talk cost a step:  bench_ranks [NUMBERS [REPEATS]]   started like `train` on
// several ranks (docs/scale.md), with as many gradients as these numbers
#include <fmgs/run/program.h>
#include <fmgs/train/batch.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>

using namespace fmgs;

namespace {

/// Milliseconds of one call: the median of so many.
template <class Work>
double median(int64_t repeats, Work work) {
    std::vector<double> times;
    for (int64_t k = 0; k < repeats; ++k) {
        const auto start = std::chrono::steady_clock::now();
        work();
        times.push_back(
            std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
                .count());
    }
    std::nth_element(times.begin(), times.begin() + repeats / 2, times.end());
    return times[static_cast<size_t>(repeats) / 2];
}

int bench(int64_t numbers, int64_t repeats) {
    const auto ranks = Ranks::join(rank_environment(), 60);
    if (ranks->alone()) throw Error("bench_ranks: start several ranks of it (docs/scale.md)");
    std::vector<Parameter> parameters;
    for (int64_t left = numbers; left > 0; left -= 1 << 19)
        parameters.push_back(
            {"x", "network",
             torch::zeros({std::min<int64_t>(left, 1 << 19)}).requires_grad_(true)});
    const double word = median(repeats, [&] { (void)ranks->any(false); });
    const double gradients = median(repeats, [&] {
        for (auto& parameter : parameters)
            parameter.tensor.mutable_grad() = torch::ones_like(parameter.tensor);
        (void)average_gradients(*ranks, parameters, ranks->size());
    });
    if (ranks->first())
        say(fmt::format("{}: a word of all {:.3f} ms; {:.2f} million gradients {:.2f} ms\n",
                        ranks->text(), word, 1e-6 * static_cast<double>(numbers), gradients));
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    return guarded([&] {
        return bench(argc > 1 ? std::stoll(argv[1]) : 2'000'000,
                     argc > 2 ? std::stoll(argv[2]) : 50);
    });
}
