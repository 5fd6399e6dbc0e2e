#pragma once
/// Seeded randomness: every draw takes a generator made from (seed, step, purpose). Nothing touches
/// torch's global one, so there is no state to save, and switching one draw off leaves all others
/// as they were.
#include <ATen/core/Generator.h>

#include <cstdint>
#include <string_view>

namespace fmgs {

struct Random {
    uint64_t seed = 0;
    int64_t step = 0;

    /// A CPU generator for one purpose ("view_noise", "depth_pairs", …) at this step. Same
    /// arguments, same numbers.
    at::Generator generator(std::string_view purpose) const;
    /// The 64-bit number that seeds `generator(purpose)`.
    uint64_t number(std::string_view purpose) const;
};

}  // namespace fmgs
