#include <ATen/Parallel.h>
#include <fmgs/core/random.h>
#include <fmgs/fields/hash_grid.h>

#include "support/gradcheck.h"
#include "support/test.h"

using namespace fmgs;

namespace {

torch::Tensor unit_box() { return torch::tensor({{0.0, 0.0, 0.0}, {1.0, 1.0, 1.0}}); }

/// Six levels, of which the first are dense and the last are hashed.
HashGridOptions small() {
    return {.levels = 6,
            .features_per_level = 2,
            .base_resolution = 4,
            .finest_resolution = 40,
            .log2_hashmap_size = 9};
}

torch::Tensor random_points(int64_t count, uint64_t seed = 1) {
    return torch::rand({count, 3}, Random{seed}.generator("points"), torch::kFloat32);
}

/// The definition (recipe 2.2), one point at a time.
torch::Tensor by_definition(const HashGridOptions& o, const torch::Tensor& table,
                            const torch::Tensor& points) {
    auto out = torch::zeros({points.size(0), o.levels * o.features_per_level},
                            table.options().requires_grad(false));
    const double growth =
        std::exp(std::log(double(o.finest_resolution) / o.base_resolution) / (o.levels - 1));
    int64_t start = 0;
    for (int64_t l = 0; l < o.levels; ++l) {
        const double scale = o.base_resolution * std::pow(growth, l) - 1;
        const int64_t r = int64_t(std::ceil(scale - 1e-9)) + 1;
        const int64_t entries =
            std::min((r * r * r + 7) / 8 * 8, int64_t{1} << o.log2_hashmap_size);
        for (int64_t n = 0; n < points.size(0); ++n) {
            for (int c = 0; c < 8; ++c) {
                double weight = 1;
                uint32_t v[3];
                for (int k = 0; k < 3; ++k) {
                    const double p = points[n][k].item<double>() * scale + 0.5,
                                 cell = std::floor(p);
                    const bool upper = c >> k & 1;
                    v[k] = uint32_t(cell) + (upper ? 1 : 0);
                    weight *= upper ? p - cell : 1 - (p - cell);
                }
                const bool dense = r * r * r <= (int64_t{1} << o.log2_hashmap_size);
                const uint32_t row = dense ? uint32_t(v[0] + v[1] * r + v[2] * r * r)
                                           : v[0] ^ (v[1] * 2654435761u) ^ (v[2] * 805459861u);
                out[n].slice(0, l * o.features_per_level, (l + 1) * o.features_per_level) +=
                    weight * table[start + row % entries].detach();
            }
        }
        start += entries;
    }
    return out;
}

}  // namespace

TEST_CASE("the level rule gives tiny-cuda-nn's number of entries", "[hash_grid]") {
    HashGrid grid(HashGridOptions{}, unit_box());
    REQUIRE(grid->entries() == 898024);  // recipe 2.2: 16, 23, 31 dense, then 13 levels of 2^16
    REQUIRE(grid->width() == 32);
}

TEST_CASE("the table starts within 1e-4, from its own seed", "[hash_grid]") {
    HashGrid a(small(), unit_box(), 1), b(small(), unit_box(), 1), c(small(), unit_box(), 2);
    const auto x = a->parameters()[0];
    REQUIRE(x.abs().max().item<double>() <= 1e-4);
    REQUIRE(x.abs().max().item<double>() > 0.9e-4);
    REQUIRE(torch::equal(x, b->parameters()[0]));
    REQUIRE_FALSE(torch::equal(x, c->parameters()[0]));
}

TEST_CASE("the encoding is the definition, for live and for fixed points", "[hash_grid]") {
    for (const int64_t features : {1, 2, 3, 4}) {
        auto options = small();
        options.features_per_level = features;
        HashGrid grid(options, unit_box());
        grid->to(torch::kDouble);
        const auto points = random_points(20).to(torch::kDouble);
        const auto expected = by_definition(options, grid->parameters()[0], points);
        // measured 0 relative to the entries' 1e-4
        REQUIRE_CLOSE(grid->forward(points) * 1e4, expected * 1e4, 1e-10);
        REQUIRE_CLOSE(grid->forward(grid->locate(points)) * 1e4, expected * 1e4, 1e-10);
    }
}

TEST_CASE("fixed and live points give the same bits and the same table gradient", "[hash_grid]") {
    HashGrid grid(small(), unit_box());
    const auto points = random_points(700);
    const auto live = grid->forward(points), fixed = grid->forward(grid->locate(points));
    REQUIRE(torch::equal(live, fixed));
    const auto weight = random_points(700, 2).repeat({1, 4});
    const auto table = grid->parameters();
    const auto a = torch::autograd::grad({(live * weight).sum()}, table);
    const auto b = torch::autograd::grad({(fixed * weight).sum()}, table);
    REQUIRE(torch::equal(a[0], b[0]));  // both add in the order of the points
}

TEST_CASE("gradients to the table and to positions are right in double", "[hash_grid]") {
    HashGrid grid(HashGridOptions{.levels = 3,
                                  .features_per_level = 2,
                                  .base_resolution = 3,
                                  .finest_resolution = 9,
                                  .log2_hashmap_size = 6},
                  torch::tensor({{-1.0, 0.0, 0.5}, {1.0, 3.0, 0.75}}));
    grid->to(torch::kDouble);
    {
        torch::NoGradGuard guard;
        grid->parameters()[0].mul_(1e4);
    }
    const auto low = torch::tensor({-1.0, 0.0, 0.5}, torch::kDouble),
               extent = torch::tensor({2.0, 3.0, 0.25}, torch::kDouble);
    const auto points = low + extent * random_points(5).to(torch::kDouble);
    const auto mix = torch::arange(1, 31, torch::kDouble).view({5, 6});
    const auto to_points = [&](const std::vector<torch::Tensor>& in) {
        return (grid->forward(in[0]).sin() * mix).sum();
    };
    REQUIRE(test::gradient_error(to_points, {points}) < 1e-7);  // measured below

    const auto table = grid->parameters()[0];
    const auto located = grid->locate(points);
    for (const bool fixed : {false, true}) {
        const auto value = [&] {
            return ((fixed ? grid->forward(located) : grid->forward(points)).sin() * mix).sum();
        };
        const auto analytic = torch::autograd::grad({value()}, {table})[0];
        torch::NoGradGuard guard;
        double worst = 0;
        for (int64_t e = 0; e < table.size(0); ++e) {
            for (int64_t f = 0; f < 2; ++f) {
                const double start = table[e][f].item<double>(), h = 1e-6;
                table[e][f] = start + h;
                const double up = value().item<double>();
                table[e][f] = start - h;
                const double down = value().item<double>();
                table[e][f] = start;
                const double numeric = (up - down) / (2 * h);
                worst = std::max(worst, std::abs(analytic[e][f].item<double>() - numeric) /
                                            (1 + std::abs(numeric)));
            }
        }
        REQUIRE(worst < 1e-7);
    }
}

TEST_CASE("a grid lies in its box: moved and stretched with it, a point has the same code",
          "[hash_grid]") {
    const auto low = torch::tensor({-1.0, 2.0, 0.5}), extent = torch::tensor({2.0, 3.0, 0.25});
    HashGrid unit(small(), unit_box()), moved(small(), torch::stack({low, low + extent}));
    for (auto* grid : {&unit, &moved}) (*grid)->to(torch::kDouble);
    const auto points = random_points(50).to(torch::kDouble);
    const auto there = low.to(torch::kDouble) + extent.to(torch::kDouble) * points;
    const auto expected = unit->forward(points) * 1e4;
    REQUIRE_CLOSE(moved->forward(there) * 1e4, expected, 1e-9);
    REQUIRE_CLOSE(moved->forward(moved->locate(there)) * 1e4, expected, 1e-9);
}

TEST_CASE("inputs outside the box are clamped and do not move", "[hash_grid]") {
    HashGrid grid(small(), unit_box());
    const auto outside =
        torch::tensor({{-3.0f, 0.5f, 0.5f}, {0.5f, 7.0f, 0.5f}}).requires_grad_(true);
    const auto edge = torch::tensor({{0.0f, 0.5f, 0.5f}, {0.5f, 1.0f, 0.5f}});
    const auto out = grid->forward(outside);
    REQUIRE(torch::equal(out, grid->forward(edge)));
    out.sum().backward();
    REQUIRE(outside.grad()[0][0].item<float>() == 0);
    REQUIRE(outside.grad()[1][1].item<float>() == 0);
    REQUIRE(outside.grad()[0][1].item<float>() != 0);
    const auto bad = torch::full({1, 3}, NAN);
    REQUIRE(grid->forward(bad).isfinite().all().item<bool>());
    REQUIRE(grid->forward(torch::full({1, 3}, INFINITY)).isfinite().all().item<bool>());
}

TEST_CASE("values and gradients are the same bits for any number of threads", "[hash_grid]") {
    HashGrid grid(HashGridOptions{.levels = 8, .finest_resolution = 256, .log2_hashmap_size = 12},
                  unit_box());
    const auto points = random_points(3000).requires_grad_(true);
    const auto located = grid->locate(points);
    const auto weight = random_points(3000, 3).repeat({1, 6}).slice(1, 0, 16);
    const auto run = [&] {
        const auto fixed = grid->forward(located), live = grid->forward(points);
        const auto a = torch::autograd::grad({(fixed * weight).sum()}, {grid->parameters()[0]});
        const auto b =
            torch::autograd::grad({(live * weight).sum()}, {grid->parameters()[0], points});
        return std::vector<torch::Tensor>{fixed, live, a[0], b[0], b[1]};
    };
    const int threads = at::get_num_threads();
    at::set_num_threads(1);
    const auto one = run();
    for (const int count : {2, 3, 11}) {  // more than there are levels: parts of levels
        at::set_num_threads(count);
        const auto many = run();
        for (size_t k = 0; k < one.size(); ++k) REQUIRE(torch::equal(one[k], many[k]));
    }
    at::set_num_threads(threads);
}

TEST_CASE("grids of equal options and box share fixed points, others do not", "[hash_grid]") {
    HashGrid a(small(), unit_box(), 1), b(small(), unit_box(), 2), wider(small(), unit_box() * 2);
    auto options = small();
    options.finest_resolution = 50;
    HashGrid finer(options, unit_box());
    REQUIRE(a->layout() == b->layout());
    REQUIRE_FALSE(a->layout() == wider->layout());
    REQUIRE_FALSE(a->layout() == finer->layout());
    const auto points = random_points(10);
    REQUIRE(torch::equal(b->forward(a->locate(points)), b->forward(points)));
    options.levels = 5;
    HashGrid shorter(options, unit_box());
    for (auto* other : {&wider, &finer, &shorter})
        REQUIRE(test::throws_error([&] { (*other)->forward(a->locate(points)); },
                                   "a grid with the same options and box"));
}

TEST_CASE("a cached corner outside its level is refused", "[hash_grid]") {
    HashGrid grid(small(), unit_box());
    const auto located = grid->locate(random_points(4));
    const auto& rows = located.indices;
    const int64_t end = grid->entries();
    // The last is a row of the level before.
    for (const int64_t bad :
         {int64_t{-1}, int64_t{INT32_MIN}, int64_t{INT32_MAX}, end, int64_t{0}}) {
        for (const int64_t corner : {0, 3, 4, 7}) {
            auto damaged = located;
            damaged.indices = rows.clone();
            damaged.indices[2][1][corner] = bad;
            REQUIRE(
                test::throws_error([&] { grid->forward(damaged); }, "indices of the fixed points"));
        }
    }
}

TEST_CASE("no points give no rows and a zero gradient", "[hash_grid]") {
    HashGrid grid(small(), unit_box());
    const auto none = torch::zeros({0, 3});
    const auto fixed = grid->forward(grid->locate(none)), live = grid->forward(none);
    REQUIRE(fixed.size(0) == 0);
    for (const auto& out : {fixed, live}) {
        const auto grad = torch::autograd::grad({out.sum()}, {grid->parameters()[0]})[0];
        REQUIRE(grad.abs().max().item<float>() == 0);
    }
}

TEST_CASE("a second derivative raises", "[hash_grid]") {
    HashGrid grid(small(), unit_box());
    const auto points = random_points(4).requires_grad_(true);
    const auto first =
        torch::autograd::grad({grid->forward(points).square().sum()}, {points}, {}, true, true)[0];
    REQUIRE(test::throws_error([&] { first.sum().backward(); }, "no second derivative"));
}

TEST_CASE("the op is registered", "[hash_grid]") {
    auto& dispatcher = c10::Dispatcher::singleton();
    REQUIRE(dispatcher.findSchema({"fmgs::hash_encode", ""}).has_value());
    REQUIRE(dispatcher.findSchema({"fmgs::_hash_encode_backward", ""}).has_value());
}

TEST_CASE("wrong options, boxes and points are errors", "[hash_grid]") {
    REQUIRE(
        test::throws_error([] { HashGrid(HashGridOptions{.levels = 0}, unit_box()); }, "levels"));
    REQUIRE(
        test::throws_error([] { HashGrid(HashGridOptions{.log2_hashmap_size = 40}, unit_box()); },
                           "log2_hashmap_size"));
    REQUIRE(test::throws_error(
        [] {
            HashGrid(HashGridOptions{}, torch::zeros({2, 3}));
        },
        "upper above lower"));
    REQUIRE(test::throws_error([] { HashGrid(HashGridOptions{}, torch::zeros({3})); }, "[2,3]"));
    HashGrid grid(small(), unit_box());
    REQUIRE(test::throws_error([&] { grid->forward(torch::zeros({4, 2})); }, "[any,3]"));
    REQUIRE(test::throws_error([&] { grid->forward(FixedPoints{}); }, "locate"));
}

TEST_CASE("the padded box encloses the vertices with a margin on each side", "[hash_grid]") {
    const auto box = padded_box(torch::tensor({{0.0f, 0.0f, 0.0f}, {1.0f, 2.0f, 4.0f}}), 0.1);
    REQUIRE_CLOSE(box, torch::tensor({{-0.1f, -0.2f, -0.4f}, {1.1f, 2.2f, 4.4f}}),
                  1e-6);  // measured 0
}
