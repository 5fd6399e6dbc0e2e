#pragma once
/// Networks whose answers are known: TorchScript made in the test.
#include <torch/csrc/jit/api/module.h>

#include "support/test.h"

namespace fmgs::test {

/// Saves one whose forward(self, x) has this body.
inline std::filesystem::path save_network(const std::filesystem::path& file,
                                          const std::string& body) {
    torch::jit::Module module("stand_in");
    module.define("def forward(self, x):\n    " + body + "\n");
    module.save(file.string());
    return file;
}

/// Bodies. Pictures come as levels of 0 to 255 with unscaled().
constexpr const char* kRed = "return x[:, 0:1]";
/// Of 28 classes the one whose number is the level of red.
constexpr const char* kLabels28 =
    "return -(torch.arange(28).reshape([1, 28, 1, 1]) - x[:, 0:1]).abs()";
constexpr const char* kLabels29 =
    "return -(torch.arange(29).reshape([1, 29, 1, 1]) - x[:, 0:1]).abs()";
/// The normal is where the colour is, seen from the middle grey, and 7 times too long.
constexpr const char* kColorAsNormal = "return (x - 100.0) * 7.0";

}  // namespace fmgs::test
