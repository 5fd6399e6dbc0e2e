#pragma once
/// The files of tests/data/pickles, which Python's own libraries wrote (make_pickles.py).
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/value.h>

#include <filesystem>
#include <string>

namespace fmgs::test {

inline std::filesystem::path pickles() {
    return std::filesystem::path(FMGS_SOURCE_DIR) / "tests/data/pickles";
}
inline Value pickled(const std::string& name) { return read_value(pickles() / name); }

/// Values of an array as doubles.
inline torch::Tensor reals(const Value& value) { return value.tensor().to(torch::kDouble); }

/// 0, ¼, ½, … in this shape: what make_pickles.py's array() holds.
inline torch::Tensor quarters(torch::IntArrayRef shape) {
    int64_t count = 1;
    for (const auto size : shape) count *= size;
    return torch::arange(count, torch::kDouble).view(shape) / 4;
}

}  // namespace fmgs::test
