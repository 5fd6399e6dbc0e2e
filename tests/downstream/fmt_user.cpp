#include <fmgs/core/check.h>
#include <fmgs/core/rotation.h>
#include <fmt/format.h>

std::string words(double value);

int main() {
    const auto turn = fmgs::exp_map(torch::zeros({1, 3}));
    fmt::print("{}, {:.2f} by fmt {}\n", words(turn.sum().item<double>()),
               turn.sum().item<double>(), FMT_VERSION);
    try {
        fmgs::exp_map(torch::zeros({1, 4}));
    } catch (const fmgs::Error& error) {
        fmt::print("{}\n", error.what());  // formatted inside fmgs
        return 0;
    }
    return 1;
}
