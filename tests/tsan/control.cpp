/// Whether ThreadSanitizer sees what at::parallel_for orders, and only that.
///   control ordered   writes before, in and after regions, as the library does: nothing to report
///   control race      two threads of a region write one place: a report
///   control late      the same, one thread long after the other has finished
#include <ATen/Parallel.h>

#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int64_t kCount = 1024;

int64_t ordered() {
    int64_t sum = 0;
    std::vector<int64_t> values(kCount);
    for (int64_t round = 0; round < 50; ++round) {
        // Another split in each round, so that a place changes hands.
        at::parallel_for(0, kCount - round, 1, [&](int64_t first, int64_t last) {
            for (; first < last; ++first) values[static_cast<size_t>(first)] += round;
        });
        for (auto& value : values) sum += ++value;
        try {
            at::parallel_for(0, kCount, 1, [&](int64_t first, int64_t) {
                if (first > 0) throw std::runtime_error("carried out of the region");
            });
        } catch (const std::runtime_error& e) {
            sum += e.what()[0];
        }
    }
    return sum;
}

int64_t race(bool late) {
    int64_t place = 0;
    at::parallel_for(0, 2, 1, [&](int64_t first, int64_t) {
        if (late && first == 1) std::this_thread::sleep_for(std::chrono::milliseconds(200));
        place += first;
    });
    return place;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string mode = argc > 1 ? argv[1] : "";
    at::set_num_threads(2);
    std::printf("%lld\n",
                static_cast<long long>(mode == "ordered" ? ordered() : race(mode == "late")));
}
