#include <fmgs/data/synthetic/stand_in_backbone.h>

#include <fmgs/core/check.h>
#include <fmgs/core/random.h>
#include <fmt/format.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/types.h>

namespace fmgs {

void write_stand_in_backbone(const std::filesystem::path& file) {
    torch::jit::Module module("backbone");
    std::string body = "def forward(self, x):\n";
    int64_t in = 3;
    for (const int64_t out : {8, 16, 32}) {
        const auto name = fmt::format("weight{}", out);
        module.register_parameter(
            name,
            torch::randn({out, in, 3, 3}, Random{1}.generator(name), torch::kFloat) *
                std::sqrt(2.0 / static_cast<double>(9 * in)),
            false);
        body += fmt::format(
            "    x = torch.relu(torch.conv2d(x, self.{}, stride=[2, 2], padding=[1, 1]))\n", name);
        in = out;
    }
    module.define(body + "    return x\n");
    try {
        module.save(file.string());
    } catch (const std::exception&) {
        throw Error(fmt::format("{}: cannot be written", file.string()));
    }
}

}  // namespace fmgs
