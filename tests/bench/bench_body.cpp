/// The standard scene of the rasterizer: 55,104 surfels of a body 85 % of a 512² image high, σ 1.39
/// px, opacity 0.9. Prints milliseconds and their ratio to the floor that this machine's FMA rate
/// and memory bandwidth allow. On a GPU everything but the count runs there.
#include <ATen/Parallel.h>
#include <fmgs/raster/rasterize.h>
#include <fmgs/raster/surfel_math.h>
#include <fmgs/run/process.h>
#include <fmt/format.h>
#include <torch/autograd.h>
#include <torch/cuda.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "standard_scene.h"

namespace {

using namespace fmgs::bench;

struct Counts {
    int64_t covered = 0, raw = 0, contributing = 0, groups = 0;
};

/// Counts what a drawing does: covered pixels, samples above 1/255, samples drawn, and groups of
/// eight pixels in a row.
Counts count(const Scene& s) {
    using Math = fmgs::raster::ScalarMath<float>;
    std::vector<fmgs::raster::Projected<float>> projected(kSurfels);
    const float *p = s.center.data_ptr<float>(), *t = s.tangents.data_ptr<float>();
    for (int64_t i = 0; i < kSurfels; ++i) {
        const fmgs::raster::Surfel<float> surfel{{p[3 * i], p[3 * i + 1], p[3 * i + 2]},
                                                 {t[6 * i], t[6 * i + 2], t[6 * i + 4]},
                                                 {t[6 * i + 1], t[6 * i + 3], t[6 * i + 5]},
                                                 0.9f};
        fmgs::raster::project<Math>(surfel, s.intrinsics.data_ptr<float>(), 0.2f,
                                    static_cast<float>(kLowPass), kSize, kSize,
                                    projected[static_cast<size_t>(i)]);
    }
    std::vector<size_t> order(kSurfels);
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return p[3 * a + 2] < p[3 * b + 2]; });
    std::vector<float> transmittance(kSize * kSize, 1);
    std::vector<bool> ended(kSize * kSize, false);
    Counts counts;
    for (const size_t i : order) {
        const auto& j = projected[i];
        if (j.x1 < j.x0) continue;
        counts.groups += int64_t{j.y1 - j.y0 + 1} * ((j.x1 - j.x0 + 8) / 8);
        for (int32_t y = j.y0; y <= j.y1; ++y) {
            for (int32_t x = j.x0; x <= j.x1; ++x) {
                const auto sample = fmgs::raster::sample_alpha<Math>(
                    j, static_cast<float>(x) + 0.5f - j.c0, static_cast<float>(y) + 0.5f - j.c1);
                if (sample.alpha < static_cast<float>(fmgs::raster::kAlphaMin)) continue;
                ++counts.raw;
                const auto at = static_cast<size_t>(y * kSize + x);
                if (ended[at]) continue;
                const float after = transmittance[at] * (1 - sample.alpha);
                ended[at] = after < static_cast<float>(fmgs::raster::kTransmittanceMin);
                if (ended[at]) continue;
                transmittance[at] = after;
                ++counts.contributing;
            }
        }
    }
    counts.covered =
        std::count_if(transmittance.begin(), transmittance.end(), [](float x) { return x < 1; });
    return counts;
}

#if defined(__x86_64__)
typedef float Eight __attribute__((vector_size(32)));
__attribute__((target("avx2,fma"))) float multiply_add(int64_t rounds) {
    Eight x[10] = {};
    Eight scale, shift;
    for (int l = 0; l < 8; ++l) scale[l] = 0.999f, shift[l] = 0.001f;
    for (int64_t i = 0; i < rounds; ++i) {
        for (auto& v : x) v = v * scale + shift;
        asm volatile("" : "+x"(scale));
    }
    float sum = 0;
    for (const auto& v : x) sum += v[0];
    return sum;
}
constexpr double kFlopPerRound = 160;
#else
float multiply_add(int64_t rounds) {
    float x[16] = {};
    for (int64_t i = 0; i < rounds; ++i) {
        for (auto& v : x) v = v * 0.999f + 0.001f;
    }
    return x[0];
}
constexpr double kFlopPerRound = 32;
#endif

/// FLOP/s of all threads, 8-wide multiply-adds; of a GPU: of a large product of matrices.
double flop_rate() {
    if (device.is_cuda()) {
        constexpr int64_t kEdge = 8192;
        const auto x = torch::rand({kEdge, kEdge}, device), y = torch::rand({kEdge, kEdge}, device);
        double best = 0;
        for (int trial = 0; trial < 5; ++trial) {
            const double start = now();
            torch::matmul(x, y);
            best = std::max(best, 2.0 * kEdge * kEdge * kEdge / (now() - start));
        }
        return best;
    }
    constexpr int64_t kRounds = 20'000'000;
    const int threads = at::get_num_threads();
    std::vector<float> sink(static_cast<size_t>(threads));
    double best = 0;
    for (int trial = 0; trial < 3; ++trial) {
        const double start = now();
        at::parallel_for(0, threads, 1, [&](int64_t first, int64_t last) {
            for (; first < last; ++first) sink[static_cast<size_t>(first)] = multiply_add(kRounds);
        });
        best = std::max(best, kFlopPerRound * kRounds * threads / (now() - start));
    }
    return sink[0] == 0 ? 0 : best;
}

/// Bytes/s read and written by copies of 64 MiB; on a GPU of 1 GiB.
double bandwidth() {
    const auto from = torch::ones({(device.is_cuda() ? 256 : 16) << 20}, device);
    auto to = torch::zeros_like(from);
    double best = 0;
    for (int trial = 0; trial < 5; ++trial) {
        const double start = now();
        to.copy_(from);
        best = std::max(best, 2.0 * static_cast<double>(from.nbytes()) / (now() - start));
    }
    return best;
}

void report(const Scene& s, const Counts& counts, int64_t channels, int64_t routes, double rate,
            double bytes, int repeats) {
    const auto rows = [&](const torch::Tensor& x) {
        std::vector<int64_t> sizes(static_cast<size_t>(x.dim() + 1), 1);
        sizes[0] = routes;
        return x.unsqueeze(0).repeat(sizes).requires_grad_(true);
    };
    const auto center = rows(s.center), tangents = rows(s.tangents), opacity = rows(s.opacity);
    auto features = torch::rand({kSurfels, channels}, device).requires_grad_(true);
    const auto route = torch::arange(channels) * routes / channels;
    const auto g = torch::randn({channels, kSize, kSize}, device),
               ga = torch::randn({routes, 1, kSize, kSize}, device),
               gd = torch::randn({routes, 1, kSize, kSize}, device);
    const auto draw = [&] {
        return fmgs::rasterize(center, tangents, opacity, features, route.floor().to(torch::kLong),
                               s.intrinsics, s.tiles);
    };
    const Time forward = measure(
        [&] {
            torch::NoGradGuard guard;
            const double start = now();
            draw();
            return now() - start;
        },
        repeats);
    const Time both = measure(
        [&] {
            const double start = now();
            const auto out = draw();
            torch::autograd::grad({out.image, out.alpha, out.depth},
                                  {center, tangents, opacity, features}, {g, ga, gd});
            return now() - start;
        },
        repeats);
    // Arithmetic alone: 45 flop per evaluated pixel forward and 110 backward, 2 and 4 per drawn
    // sample and channel; then one pass over the image each way.
    const double lanes = 8.0 * static_cast<double>(counts.groups),
                 samples = static_cast<double>(counts.contributing),
                 c = static_cast<double>(channels);
    const double image = 4.0 * c * kSize * kSize;
    const double floor_forward = 1e3 * ((45 * lanes + 2 * c * samples) / rate + image / bytes);
    const double floor_both =
        floor_forward + 1e3 * ((110 * lanes + 4 * c * samples) / rate + image / bytes);
    fmt::print(
        "{:3} channels, {} route{}: forward {:7.3f} ms (median {:7.3f}, {:4.1f} x floor {:.3f}), "
        "both {:7.3f} ms (median {:7.3f}, {:4.1f} x floor {:.3f})\n",
        channels, routes, routes == 1 ? " " : "s", forward.best, forward.median,
        forward.best / floor_forward, floor_forward, both.best, both.median, both.best / floor_both,
        floor_both);
}

bool within(int64_t got, double expected, const char* what) {
    fmt::print("  {:<20} {:>9} (expected {:.0f} ± 10 %)\n", what, got, expected);
    return std::abs(static_cast<double>(got) / expected - 1) <= 0.1;
}

}  // namespace

int main(int argc, char** argv) {
    fmgs::keep_freed_memory();
    int repeats = 10;
    double sigma = kStandardSigma;
    for (int k = 1; k < argc; ++k) {
        const std::string word = argv[k];
        if (word == "cuda" && torch::cuda::device_count() > 0) {
            device = torch::Device(torch::kCUDA, 0);
        } else if (word == "--sigma" && k + 1 < argc && std::atof(argv[k + 1]) > 0) {
            sigma = std::atof(argv[++k]);
        } else if (std::atoi(argv[k]) > 0) {
            repeats = std::atoi(argv[k]);
        } else {
            fmt::print("usage: {} [repeats = 10] [--sigma PIXELS] [cuda]\n{}{}", argv[0],
                       "Times fmgs::rasterize on the standard scene, or on one of other surfels.\n",
                       word == "cuda" ? "cuda: there is no GPU\n" : "");
            return word == "--help" ? 0 : 2;
        }
    }
    const Scene host = scene(sigma);
    const Counts counts = count(host);
    const Scene s = host.on(device);
    fmt::print("{} surfels, {}x{} pixels, σ {} px, tiles of {}, {} tile intersections\n", kSurfels,
               kSize, kSize, sigma, s.tiles.size, s.tiles.offsets[-1].item<int32_t>());
    const bool covered = within(counts.covered, 38e3, "covered pixels"),
               contributing = within(counts.contributing, 1.4e6, "contributing samples"),
               standard = covered && contributing;
    fmt::print("  {:<20} {:>9}\n  {:<20} {:>9}\n", "raw samples", counts.raw, "groups of eight",
               counts.groups);
    if (!standard && sigma == kStandardSigma) {
        fmt::print(stderr, "bench_body: this is not the standard scene\n");
        return 1;
    }
    const double rate = flop_rate(), bytes = bandwidth();
    fmt::print("{}, {:.1f} GFLOP/s, {:.1f} GB/s\n",
               device.is_cuda() ? "a GPU" : fmt::format("{} threads", at::get_num_threads()),
               1e-9 * rate, 1e-9 * bytes);
    const Time tiles = measure(
        [&] {
            Scene again = s;
            const double start = now();
            again.find_tiles();
            return now() - start;
        },
        repeats);
    fmt::print("find_tiles {:.2f} ms (median {:.2f})\n", tiles.best, tiles.median);
    report(s, counts, 36, 1, rate, bytes, repeats);
    report(s, counts, 36, 4, rate, bytes, repeats);
    report(s, counts, 3, 1, rate, bytes, repeats);
    if (device.is_cuda()) {
        for (const int64_t channels : {32, 64, 128})
            report(s, counts, channels, 1, rate, bytes, repeats);
    }
    return 0;
}
