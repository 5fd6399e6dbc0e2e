#include <fmgs/core/random.h>

#include <ATen/CPUGeneratorImpl.h>

namespace fmgs {
namespace {

// The finaliser of splitmix64 (Steele, Lea, Flood 2014): every input bit reaches every output bit.
uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

}  // namespace

uint64_t Random::number(std::string_view purpose) const {
    uint64_t h = mix(seed) ^ static_cast<uint64_t>(step);
    for (const char c : purpose) h = mix(h) ^ static_cast<unsigned char>(c);
    return mix(h);
}

at::Generator Random::generator(std::string_view purpose) const {
    return at::detail::createCPUGenerator(number(purpose));
}

}  // namespace fmgs
