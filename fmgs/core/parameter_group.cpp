#include <fmgs/core/parameter_group.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

namespace fmgs {
namespace {

/// Empty when nobody says.
std::string group_of(const torch::nn::Module& module, const std::string& name) {
    if (const auto* groups = dynamic_cast<const ParameterGroups*>(&module)) {
        if (auto group = groups->parameter_group(name); !group.empty()) return group;
    }
    const auto dot = name.find('.');
    if (dot == std::string::npos) return "";
    const auto children = module.named_children();
    return group_of(*children[name.substr(0, dot)], name.substr(dot + 1));
}

}  // namespace

std::vector<Parameter> grouped_parameters(const torch::nn::Module& module,
                                          const std::string& prefix) {
    std::vector<Parameter> out;
    for (const auto& item : module.named_parameters()) {
        const auto group = group_of(module, item.key());
        if (group.empty()) {
            throw Error(fmt::format(
                "parameter '{}{}' belongs to no group: let the module that owns it, or one around "
                "it, be a ParameterGroups too and say which (fmgs/core/parameter_group.h)",
                prefix, item.key()));
        }
        out.push_back({prefix + item.key(), group, item.value()});
    }
    return out;
}

}  // namespace fmgs
