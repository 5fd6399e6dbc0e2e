/// Projection and its gradient a pack of surfels at a time, in every instruction set, against the
/// same formulas for one surfel.
#include <fmgs/raster/cpu/call.h>

#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "support/raster_probe.h"

namespace {

using namespace fmgs::raster;
using fmgs::test::instruction_sets;

constexpr int64_t kWidth = 61, kHeight = 47;

/// Surfels of all kinds: seen, behind the camera, off screen, faint, and with a number that is
/// none.
template <class T>
struct Rows {
    std::vector<T> center, tangents, opacity, intrinsics{T(50), T(55), T(30.5), T(23.25)};

    explicit Rows(int64_t n, uint64_t seed = 7) {
        std::mt19937_64 random(seed);
        std::uniform_real_distribution<double> uniform(-1, 1);
        for (int64_t i = 0; i < n; ++i) {
            for (const double scale : {1.2, 1.0, 1.0}) center.push_back(T(scale * uniform(random)));
            center.back() += i % 5 == 4 ? T(-2) : T(2);
            for (int k = 0; k < 6; ++k) tangents.push_back(T(0.1 * uniform(random)));
            opacity.push_back(i % 7 == 6 ? T(0.003) : T(0.5 + 0.5 * uniform(random)));
            constexpr T kNone[] = {std::numeric_limits<T>::quiet_NaN(),
                                   std::numeric_limits<T>::infinity(), T(0)};
            if (i % 11 == 10) center[static_cast<size_t>(3 * i + i % 3)] = kNone[i % 3];
            if (i % 13 == 12) tangents[static_cast<size_t>(6 * i + i % 6)] = kNone[i % 2];
            if (i % 17 == 16) opacity.back() = kNone[i % 2];
        }
    }
    SurfelRows<T> rows() const {
        return {center.data(), tangents.data(), opacity.data(), intrinsics.data(),
                T(0.2),        T(0.7),          kWidth,         kHeight};
    }
    Surfel<T> operator[](int64_t i) const {
        const T *p = center.data() + 3 * i, *t = tangents.data() + 6 * i;
        return {{p[0], p[1], p[2]},
                {t[0], t[2], t[4]},
                {t[1], t[3], t[5]},
                opacity[static_cast<size_t>(i)]};
    }
};

template <class T>
bool same(const Projected<T>& a, const Projected<T>& b) {
    if (a.x1 < a.x0 || b.x1 < b.x0) return a.x1 < a.x0 && b.x1 < b.x0;
    return std::memcmp(&a, &b, sizeof a) == 0;
}

template <class T>
void check_projection(InstructionSet set, int64_t n) {
    const Rows<T> surfels(n);
    const int64_t first = n / 3;
    std::vector<Projected<T>> out(static_cast<size_t>(n - first + 1));
    out.back().x0 = 77;
    functions_of<T>(tile_backend(set)).project(surfels.rows(), first, n, out.data());
    REQUIRE(out.back().x0 == 77);
    int64_t seen = 0;
    for (int64_t i = first; i < n; ++i) {
        Projected<T> expected{};
        const auto rows = surfels.rows();
        seen += project<ScalarMath<T>>(surfels[i], rows.intrinsics, rows.near, rows.low_pass,
                                       kWidth, kHeight, expected);
        INFO("surfel " << i << " of " << n << ", set " << static_cast<int>(set));
        REQUIRE(same(out[static_cast<size_t>(i - first)], expected));
    }
    if (n > 100) REQUIRE((seen > (n - first) / 4 && seen < (n - first) * 3 / 4));
}

/// Slots of n surfels: surfel i has i % 4, and each third was not written.
template <class T>
struct Listed {
    std::vector<int64_t> start{0};
    std::vector<uint8_t> touched;
    std::vector<T> slots;
    size_t size;

    Listed(int64_t n, int64_t slot_size) : size(static_cast<size_t>(slot_size)) {
        std::mt19937_64 random(11);
        std::uniform_real_distribution<double> uniform(-1, 1);
        for (int64_t i = 0; i < n; ++i) start.push_back(start.back() + i % 4);
        const auto count = static_cast<size_t>(start.back());
        slots.assign(count * size + 16, std::numeric_limits<T>::quiet_NaN());
        for (size_t j = 0; j < count; ++j) {
            touched.push_back(j % 3 != 0);
            for (size_t c = 0; touched[j] && c < size; ++c)
                slots[j * size + c] = T(uniform(random));
        }
    }
    /// The sum of a surfel's slots; false when none was written.
    bool add_up(int64_t i, std::vector<T>& sum) const {
        sum.assign(size, T(0));
        bool any = false;
        for (auto j = static_cast<size_t>(start[static_cast<size_t>(i)]);
             j < static_cast<size_t>(start[static_cast<size_t>(i + 1)]); ++j) {
            for (size_t c = 0; touched[j] && c < size; ++c) sum[c] += slots[j * size + c];
            any = any || touched[j];
        }
        return any;
    }
};

template <class T>
void check_gather(InstructionSet set, int64_t n, int64_t routes, int64_t channels) {
    const Rows<T> surfels(n);
    const Listed<T> listed(n, routes * kSums + channels);
    std::vector<int32_t> channel;
    for (int64_t c = channels; c-- > 0;) channel.push_back(static_cast<int32_t>(c));
    const auto of = [n](int64_t rows, int64_t columns) {
        return std::vector<T>(static_cast<size_t>(rows * n * columns), T(9));
    };
    auto center = of(routes, 3), tangents = of(routes, 6), opacity = of(routes, 1),
         features = of(1, channels);
    std::vector<T> workspace(static_cast<size_t>(slot_workspace_size(channels, routes)));
    T intrinsics[4] = {1, 2, 3, 4}, expected[4] = {1, 2, 3, 4};
    const auto rows = surfels.rows();
    functions_of<T>(tile_backend(set))
        .gather(rows,
                {listed.start.data(), listed.slots.data(), listed.touched.data(), channel.data(), n,
                 channels, routes, center.data(), tangents.data(), opacity.data(), features.data(),
                 workspace.data()},
                0, n, intrinsics);
    const auto equal = [](T a, T b) { return a == b || (a != a && b != b); };
    std::vector<T> sum;
    for (int64_t i = 0; i < n; ++i) {
        const bool any = listed.add_up(i, sum);
        for (int64_t c = 0; c < channels; ++c)
            REQUIRE(features[static_cast<size_t>(i * channels + channel[static_cast<size_t>(c)])] ==
                    sum[static_cast<size_t>(routes * kSums + c)]);
        for (int64_t r = 0; r < routes; ++r) {
            Surfel<T> grad{};
            if (any)
                project_vjp<ScalarMath<T>>(surfels[i], rows.intrinsics,
                                           1 / (rows.low_pass * rows.low_pass),
                                           sum.data() + r * kSums, grad, expected);
            const auto row = static_cast<size_t>(r * n + i);
            for (size_t k = 0; k < 3; ++k) {
                REQUIRE(equal(center[3 * row + k], grad.p[k]));
                REQUIRE(equal(tangents[6 * row + 2 * k], grad.a[k]));
                REQUIRE(equal(tangents[6 * row + 2 * k + 1], grad.b[k]));
            }
            REQUIRE(equal(opacity[row], grad.opacity));
        }
    }
    for (int k = 0; k < 4; ++k)
        REQUIRE((expected[k] != expected[k] || intrinsics[k] == Approx(expected[k]).epsilon(1e-3)));
}

}  // namespace

TEST_CASE("a pack of surfels is projected like each of them, to the bit", "[raster]") {
    for (const auto set : instruction_sets()) {
        for (const int64_t n : {1, 7, 8, 16, 17, 250}) {
            check_projection<float>(set, n);
            check_projection<double>(set, n);
        }
    }
}

TEST_CASE("slots add up to the gradients of their surfels; without any these are zero",
          "[raster]") {
    for (const auto set : instruction_sets()) {
        for (const int64_t n : {1, 9, 10, 40}) {
            check_gather<float>(set, n, 1, 3);
            check_gather<float>(set, n, 3, 0);
            check_gather<double>(set, n, 2, 31);
        }
    }
}

TEST_CASE("a surfel whose squares overflow on the way to a sample is culled", "[raster]") {
    constexpr float kIntrinsics[] = {50, 55, 30.5F, 23.25F};
    const auto seen = [&](float size) {
        // q0 is 1e3 times the tangent's image, which alone may still be squared.
        const Surfel<float> surfel{{0, 0, 1e3F}, {size, 0, 0}, {0, size, 0}, 0.9F};
        Projected<float> out{};
        return project<ScalarMath<float>>(surfel, kIntrinsics, 0.2F, 0.7F, kWidth, kHeight, out);
    };
    REQUIRE(seen(1e12F));
    REQUIRE(!seen(1e16F));
}

TEST_CASE("the logarithm of boxes is that of the standard library", "[raster]") {
    for (double x = 1; x < 300; x *= 1.0037) {
        const auto single = static_cast<float>(x);
        REQUIRE(std::abs(log_of<ScalarMath<float>>(single) - std::log(double{single})) <=
                1.5e-7 * std::max(1.0, std::log(x)));
        REQUIRE(log_of<ScalarMath<double>>(x) == std::log(x));
    }
}
