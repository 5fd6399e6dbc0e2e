#pragma once
/// The one include of a test: Catch2 and torch together (both define CHECK; Catch2's wins here),
/// closeness of tensors, and a folder that disappears.
#include <torch/autograd.h>
#include <torch/nn/module.h>
#include <torch/types.h>
#include <torch/utils.h>

#undef CHECK
#if __has_include(<catch2/catch_all.hpp>)  // Catch2 3
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else  // Catch2 2
#include <catch2/catch.hpp>
#endif
#include <filesystem>
#include <string>

#include <fmgs/core/check.h>

namespace fmgs::test {

/// Largest |a - b| / (1 + |b|) over all elements; infinity when shapes differ or anything is not
/// finite.
inline double distance(const torch::Tensor& a, const torch::Tensor& b) {
    if (a.sizes() != b.sizes()) return INFINITY;
    if (a.numel() == 0) return 0;
    auto x = a.to(torch::kDouble), y = b.to(torch::kDouble);
    if (!x.isfinite().all().item<bool>() || !y.isfinite().all().item<bool>()) return INFINITY;
    return ((x - y).abs() / (1 + y.abs())).max().item<double>();
}

/// True when f throws fmgs::Error whose message contains `words`; shows what came otherwise.
template <class F>
bool throws_error(F&& f, const std::string& words) {
    try {
        f();
    } catch (const Error& e) {
        if (std::string(e.what()).find(words) != std::string::npos) return true;
        UNSCOPED_INFO("message: " << e.what() << "\nlacks: " << words);
        return false;
    }
    UNSCOPED_INFO("no fmgs::Error was thrown; expected: " << words);
    return false;
}

/// A fresh folder, deleted at the end of the scope.
struct TemporaryFolder {
    std::filesystem::path path;
    TemporaryFolder() {
        std::string pattern =
            (std::filesystem::temp_directory_path() / "fmgs-test-XXXXXX").string();
        path = mkdtemp(pattern.data());
    }
    ~TemporaryFolder() { std::filesystem::remove_all(path); }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
};

}  // namespace fmgs::test

#define REQUIRE_CLOSE(a, b, tolerance) REQUIRE(fmgs::test::distance((a), (b)) <= (tolerance))
