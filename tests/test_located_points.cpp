#include <fmgs/core/random.h>
#include <fmgs/fields/located_points.h>

#include "support/test.h"

using namespace fmgs;

namespace {

HashGridOptions small() {
    return {.levels = 3, .base_resolution = 4, .finest_resolution = 20, .log2_hashmap_size = 8};
}
torch::Tensor box(float size = 1) {
    return size * torch::tensor({{-1.F, -1.F, -1.F}, {1.F, 1.F, 1.F}});
}
torch::Tensor points(uint64_t seed = 1) {
    return torch::rand({30, 3}, Random{seed}.generator("points"), torch::kFloat) * 2 - 1;
}
const void* memory(const FixedPoints& at) { return at.indices.data_ptr(); }

/// Is the encoding at the located points that of the centres as they are now?
bool fresh(HashGrid& grid, const LocatedPoints& at) {
    return torch::equal(grid->forward(at), grid->forward(at.centers().clone()));
}

}  // namespace

TEST_CASE("corners are found once, and shared by grids of one layout", "[located_points]") {
    HashGrid a(small(), box(), 1), b(small(), box(), 2), wider(small(), box(2));
    const LocatedPoints at(points());
    const LocatedPoints copy = at;
    const auto* first = memory(at.in(*a));
    REQUIRE(memory(at.in(*a)) == first);
    REQUIRE(memory(at.in(*b)) == first);
    REQUIRE(memory(copy.in(*a)) == first);
    REQUIRE(memory(at.in(*wider)) != first);
    REQUIRE(memory(at.in(*a)) == first);
    for (auto* grid : {&a, &b, &wider}) REQUIRE(fresh(*grid, at));
}

TEST_CASE("corners are found again when the centres were written", "[located_points]") {
    HashGrid grid(small(), box());
    auto centers = points();
    const LocatedPoints at(centers);
    const auto before = grid->forward(at);
    centers.copy_(points(2));
    REQUIRE_FALSE(torch::equal(grid->forward(at), before));
    REQUIRE(fresh(grid, at));
    centers.set_data(points(3));  // as Module::to() does
    REQUIRE(fresh(grid, at));
    centers[0][0].fill_(0.123);
    REQUIRE(fresh(grid, at));
}

TEST_CASE("corners are found again when the box was written, and others' are refused",
          "[located_points]") {
    HashGrid grid(small(), box());
    const LocatedPoints at(points());
    const auto before = grid->forward(at);
    const auto old = at.in(*grid);
    grid->named_buffers()["box"].copy_(box(2));
    REQUIRE_FALSE(torch::equal(grid->forward(at), before));
    REQUIRE(fresh(grid, at));
    REQUIRE(test::throws_error([&] { grid->forward(old); }, "same options and box"));
}

TEST_CASE("corners follow the grid to another type", "[located_points]") {
    HashGrid grid(small(), box());
    const LocatedPoints at(points());
    grid->forward(at);
    grid->to(torch::kDouble);
    REQUIRE(grid->forward(at).scalar_type() == torch::kDouble);
    REQUIRE(fresh(grid, at));
    grid->to(torch::kFloat);
    REQUIRE(fresh(grid, at));
}

TEST_CASE("points that are none are refused", "[located_points]") {
    HashGrid grid(small(), box());
    REQUIRE(test::throws_error([&] { grid->forward(LocatedPoints()); }, "got none"));
    REQUIRE(test::throws_error([] { LocatedPoints(torch::zeros({3})); }, "expected [any,3]"));
}
