// The sources of the CUDA hash grid, run on the CPU (cuda_shim/): against the CPU backend, in every
// order of threads.
#include <cuda_runtime.h>
#include <fmgs/core/random.h>
#include <fmgs/fields/hash/hash_encode.h>
#include <fmgs/fields/hash/hash_levels.h>

#include "cuda_shim/hash_grid.h"
#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

/// Six levels, of which the first are dense and the last are hashed.
HashGridOptions small(int64_t features = 2) {
    return {.levels = 6,
            .features_per_level = features,
            .base_resolution = 4,
            .finest_resolution = 40,
            .log2_hashmap_size = 9};
}

torch::Tensor unit_box() { return torch::tensor({{0.0, 0.0, 0.0}, {1.0, 1.0, 1.0}}); }

torch::Tensor normal(torch::IntArrayRef shape, uint64_t seed) {
    return torch::randn(shape, Random{seed}.generator("test"), torch::kDouble);
}

/// Points of the unit cube; the first lie on its faces, outside, and nowhere.
torch::Tensor points_of(int64_t count, uint64_t seed = 1) {
    auto x = torch::rand({count, 3}, Random{seed}.generator("points"), torch::kDouble);
    const auto odd = torch::tensor({{0.0, 1.0, 0.5},
                                    {1.0, 1.0, 1.0},
                                    {-2.0, 0.25, 3.0},
                                    {double(NAN), 0.5, 0.75},
                                    {0.5, double(INFINITY), -double(INFINITY)}},
                                   torch::kDouble);
    const int64_t special = std::min<int64_t>(count / 2, odd.size(0));
    x.slice(0, 0, special).copy_(odd.slice(0, 0, special));
    return x;
}

/// A grid with a table of ordinary size, and everything that a call of the op takes.
struct Case {
    HashGridOptions options;
    torch::Tensor table, x, grad;
    std::vector<torch::Tensor> corners;

    Case(const HashGridOptions& o, int64_t count, bool fixed, torch::Dtype dtype = torch::kDouble)
        : options(o), x(points_of(count).to(dtype)) {
        HashGrid grid(o, unit_box());
        grid->to(dtype);
        table = normal({grid->entries(), o.features_per_level}, 2).to(dtype);
        grad = normal({count, o.levels * o.features_per_level}, 3).to(dtype);
        if (!fixed) return;
        const auto at = grid->locate(x);
        corners = {at.indices, at.fractions, at.row_offsets, at.columns, at.values};
    }
    std::vector<torch::Tensor> on_cpu() const {
        auto t = table.clone().requires_grad_(true), p = x.clone().requires_grad_(true);
        const auto out = fmgs::detail::hash_encode(t, p, options, corners);
        const auto g = torch::autograd::grad({out}, {t, p}, {grad}, false, false, true);
        return {out.detach(), g[0], g[1]};
    }
    std::vector<torch::Tensor> on_device() const {
        const std::array<bool, 2> needs{true, corners.empty()};
        const auto g = shim_hash_encode_backward(grad, table, x, options, corners, needs);
        return {shim_hash_encode(table, x, options, corners), std::get<0>(g), std::get<1>(g)};
    }
};

/// Rows of the table of a grid, whatever a HashGrid thinks of its options.
int64_t entries_of(const HashGridOptions& o) {
    const auto last = fmgs::detail::hash_levels(o.levels, o.base_resolution, o.finest_resolution,
                                                o.log2_hashmap_size)
                          .back();
    return last.start + last.entries;
}

/// Largest difference of any result, relative to the largest of its kind.
double difference(const std::vector<torch::Tensor>& ours,
                  const std::vector<torch::Tensor>& theirs) {
    double worst = 0;
    for (size_t k = 0; k < ours.size(); ++k) {
        if (ours[k].defined() != theirs[k].defined()) return INFINITY;
        if (!ours[k].defined() || ours[k].numel() == 0) continue;
        if (ours[k].sizes() != theirs[k].sizes()) return INFINITY;
        const double gap = (ours[k] - theirs[k]).abs().max().item<double>(),
                     scale = theirs[k].abs().max().item<double>();
        worst = std::max(worst, std::isfinite(gap) ? gap / std::max(scale, 1e-30) : INFINITY);
    }
    return worst;
}

}  // namespace

TEST_CASE("the kernels encode and differentiate as the CPU backend does, in double",
          "[hash_grid]") {
    for (const bool fixed : {false, true}) {
        for (const int64_t features : {1, 2, 3, 4, 6}) {
            // Less than a warp, whole blocks, and a block and a bit.
            for (const int64_t count : {1, 64, 301}) {
                CAPTURE(fixed, features, count);
                const Case c(small(features), count, fixed);
                REQUIRE(difference(c.on_device(), c.on_cpu()) <= 1e-14);  // measured 4e-16
            }
        }
    }
}

TEST_CASE("the kernels agree with the CPU backend in float", "[hash_grid]") {
    for (const bool fixed : {false, true}) {
        const Case c(small(), 2000, fixed, torch::kFloat);
        const double worst = difference(c.on_device(), c.on_cpu());
        CAPTURE(fixed, worst);
        REQUIRE(worst <= 1e-6);  // measured 3e-7
    }
}

TEST_CASE("float kernels are as near to double as float is", "[hash_grid]") {
    // A position among 40 cells is rounded to 40 · 2^-24 of one.
    const Case single(small(), 2000, true, torch::kFloat);
    Case twice(small(), 2000, false);
    twice.x = single.x.to(torch::kDouble);
    twice.table = single.table.to(torch::kDouble);
    twice.grad = single.grad.to(torch::kDouble);
    auto ours = single.on_device(), theirs = twice.on_device();
    for (auto& x : ours) x = x.defined() ? x.to(torch::kDouble) : x;
    ours.pop_back();
    theirs.pop_back();
    const double worst = difference(ours, theirs);
    CAPTURE(worst);
    REQUIRE(worst <= 1e-5);  // measured 2e-6
}

TEST_CASE("more levels than the stage holds take several rounds", "[hash_grid]") {
    const HashGridOptions many{.levels = 32,
                               .features_per_level = 4,
                               .base_resolution = 2,
                               .finest_resolution = 50,
                               .log2_hashmap_size = 7};
    for (const bool fixed : {false, true}) {
        const Case c(many, 70, fixed);
        REQUIRE(difference(c.on_device(), c.on_cpu()) <= 1e-13);
    }
}

TEST_CASE("one level is enough", "[hash_grid]") {
    for (const bool fixed : {false, true}) {
        const Case c({.levels = 1,
                      .features_per_level = 2,
                      .base_resolution = 5,
                      .finest_resolution = 5,
                      .log2_hashmap_size = 8},
                     40, fixed);
        REQUIRE(difference(c.on_device(), c.on_cpu()) <= 1e-14);
    }
}

TEST_CASE("entries with many columns are added up by the whole warp", "[hash_grid]") {
    // The coarsest level has 8 entries for 3,000 points; of the finest, some are read by none.
    const HashGridOptions coarse{.levels = 3,
                                 .features_per_level = 2,
                                 .base_resolution = 2,
                                 .finest_resolution = 16,
                                 .log2_hashmap_size = 13};
    for (const bool fixed : {false, true}) {
        Case c(coarse, 3000, fixed);
        const auto row_offsets = fixed ? c.corners[2]
                                       : shim_live_transpose(c.table.to(torch::kFloat),
                                                             c.x.to(torch::kFloat), coarse)[0];
        REQUIRE(row_offsets.diff().max().item<int32_t>() > 500);
        REQUIRE(row_offsets.diff().min().item<int32_t>() == 0);
        REQUIRE(difference(c.on_device(), c.on_cpu()) <= 1e-13);  // measured 1e-15
    }
}

TEST_CASE("the columns of live points are those that locate finds", "[hash_grid]") {
    HashGrid grid(small(), unit_box());
    const auto x = points_of(300).to(torch::kFloat);
    const auto expected = grid->locate(x);
    const auto lists = shim_live_transpose(grid->parameters()[0].detach(), x, small());
    REQUIRE(torch::equal(lists[0], expected.row_offsets));
    REQUIRE(torch::equal(lists[1], expected.columns));
    REQUIRE(torch::equal(lists[2], expected.values));
}

TEST_CASE("no result of a kernel depends on the order of its threads", "[hash_grid]") {
    for (const bool fixed : {false, true}) {
        const Case c(small(), 333, fixed, torch::kFloat);
        std::vector<torch::Tensor> first;
        for (const uint64_t seed : {0, 1, 2, 3}) {
            cuda_shim::set_schedule(seed);
            const auto results = c.on_device();
            if (first.empty()) first = results;
            for (size_t k = 0; k < results.size(); ++k) {
                if (results[k].defined()) REQUIRE(torch::equal(results[k], first[k]));
            }
        }
        cuda_shim::set_schedule(0);
    }
}

TEST_CASE("no points give no rows and a zero gradient on a GPU", "[hash_grid]") {
    for (const bool fixed : {false, true}) {
        const Case c(small(), 0, fixed);
        const auto out = c.on_device();
        REQUIRE(out[0].sizes() == torch::IntArrayRef({0, 12}));
        REQUIRE(out[1].sizes() == c.table.sizes());
        REQUIRE(out[1].abs().max().item<double>() == 0);
        if (!fixed) REQUIRE(out[2].sizes() == torch::IntArrayRef({0, 3}));
    }
}

TEST_CASE("only gradients that are needed are made", "[hash_grid]") {
    const Case c(small(), 9, false);
    const auto run = [&](bool table, bool x) {
        return shim_hash_encode_backward(c.grad, c.table, c.x, c.options, {}, {table, x});
    };
    const auto expected = c.on_device();
    REQUIRE_FALSE(std::get<1>(run(true, false)).defined());
    REQUIRE_FALSE(std::get<0>(run(false, true)).defined());
    REQUIRE(torch::equal(std::get<0>(run(true, false)), expected[1]));
    REQUIRE(torch::equal(std::get<1>(run(false, true)), expected[2]));
}

TEST_CASE("a point that is NaN spreads to nothing else", "[hash_grid]") {
    Case c(small(), 50, false);
    const auto out = c.on_device();
    for (const auto& x : out) REQUIRE(x.isfinite().all().item<bool>());
    c.grad[7][3] = NAN;  // a cotangent that is: its columns only
    const auto bad = c.on_device();
    REQUIRE(bad[1].isnan().sum().item<int64_t>() == 8);
    REQUIRE(bad[2].isnan().any(1).sum().item<int64_t>() == 1);
}

TEST_CASE("tables and caches may start anywhere in memory", "[hash_grid]") {
    Case c(small(4), 40, true);
    const auto expected = c.on_device();
    const auto shifted = [](const torch::Tensor& x) {
        return torch::cat({torch::zeros({1}, x.options()), x.flatten()})
            .narrow(0, 1, x.numel())
            .view(x.sizes());
    };
    c.table = shifted(c.table);
    c.grad = shifted(c.grad);
    c.corners[0] = shifted(c.corners[0]);
    const auto moved = c.on_device();
    REQUIRE(torch::equal(moved[0], expected[0]));
    REQUIRE(torch::equal(moved[1], expected[1]));
}

TEST_CASE("caches that are none stop the kernels before they read astray", "[hash_grid]") {
    const Case good(small(), 70, true, torch::kFloat);
    const auto entries = static_cast<int32_t>(good.table.size(0));
    const auto nonzeros = static_cast<int32_t>(good.corners[3].size(0));
    const auto refused = [&](size_t tensor, int64_t at, int32_t value) {
        Case bad = good;
        bad.corners[tensor] = good.corners[tensor].clone();
        bad.corners[tensor].view({-1})[at] = value;
        REQUIRE_THROWS_WITH(bad.on_device(), "a kernel trapped");
    };
    refused(0, 100, -1);  // an index below and past the table
    refused(0, 100, entries);
    refused(2, 0, -1);  // a list that starts before, ends after, runs backwards
    refused(2, entries, nonzeros + 1);
    refused(2, 50, nonzeros);
    refused(3, 200, -1);  // a column that is no point
    refused(3, 200, 70);
    REQUIRE(difference(good.on_device(), good.on_cpu()) <= 1e-6);
}

TEST_CASE("what the GPU cannot do is refused by name", "[hash_grid]") {
    // The options of a HashGrid end before these.
    const auto refused = [](const HashGridOptions& options, const std::string& words) {
        Case beyond(small(), 3, false);
        const int64_t features = options.features_per_level;
        beyond.options = options;
        beyond.table = torch::zeros({entries_of(options), features}, torch::kDouble);
        beyond.grad = torch::zeros({3, options.levels * features}, torch::kDouble);
        return throws_error([&] { beyond.on_device(); }, words);
    };
    REQUIRE(refused({.levels = 33,
                     .features_per_level = 1,
                     .base_resolution = 2,
                     .finest_resolution = 40,
                     .log2_hashmap_size = 4},
                    "at most 32 levels on a GPU, got 33"));
    REQUIRE(refused({.levels = 1,
                     .features_per_level = 200,
                     .base_resolution = 2,
                     .finest_resolution = 2,
                     .log2_hashmap_size = 3},
                    "features per level on a GPU, got 200"));
    const Case twice(small(), 3, false);
    REQUIRE(throws_error([&] { shim_hash_encode_entry(twice.table, twice.x, twice.options); },
                         "expected float on a GPU, got Double"));
    const Case single(small(), 3, false, torch::kFloat);
    REQUIRE(torch::equal(shim_hash_encode_entry(single.table, single.x, single.options),
                         single.on_device()[0]));
}

TEST_CASE("every kernel of the hash grid was run", "[hash_grid]") {
    const auto launches_of = [](const Case& c) {
        const int64_t before = cuda_shim::launches();
        c.on_device();
        return cuda_shim::launches() - before;
    };
    REQUIRE(launches_of(Case(small(), 5, true)) == 2);   // encode, table
    REQUIRE(launches_of(Case(small(), 5, false)) == 5);  // encode, corners, columns, table, points
}
