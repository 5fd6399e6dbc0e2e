#include <fmgs/data/fits/read_fit.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

namespace fmgs::detail {

Fit read_fit(const FitInput& input) {
    std::string known;
    for (const auto& layout : fit_layouts()) {
        if (layout.recognise(input.value)) return layout.read(input);
        known += (known.empty() ? "" : "; ") + std::string(layout.name);
    }
    const auto inside =
        input.value.is_dict()
            ? fmt::format("{} keys: {}", input.is_folder ? "files;" : "a dictionary;",
                          input.value.keys())
            : input.value.description();
    throw Error(fmt::format("{}: no poses are recognised in it; it holds {}; known are {}; BVH",
                            input.what, inside, known));
}

}  // namespace fmgs::detail
