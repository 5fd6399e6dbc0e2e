#include <fmgs/run/influence.h>

#include <fmgs/core/named_tensors.h>
#include <torch/autograd.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>

namespace fmgs {

Columns make_leaves(Surfels& s) {
    Columns columns;
    const auto leaf = [&](const std::string& name, torch::Tensor& x) {
        x = x.detach().requires_grad_(true);
        columns.emplace_back(name, x);
    };
    leaf("position", s.position);
    leaf("rotation", s.rotation);
    leaf("scale", s.scale);
    leaf("opacity", s.opacity);
    leaf("skinning", s.skinning);
    s.bones = s.bones.detach();
    for (auto* maps : {&s.features, &s.latents}) {
        Maps leaves;
        for (auto [name, value] : *maps) {
            leaf(maps == &s.features ? name : name + ".latent", value);
            leaves.set(name, value);
        }
        *maps = leaves;
    }
    return columns;
}

std::vector<torch::Tensor> gradient_sizes(const ObjectiveImpl::Entry& entry, const Surfels& surfels,
                                          const Columns& columns, const Frame& frame) {
    Objective alone;
    alone->add(entry.name, entry.loss, 1.0, entry.reach);
    const auto total = alone->forward(surfels, frame, Random{}, 1).total;
    if (!total.requires_grad()) return std::vector<torch::Tensor>(columns.size());  // L_skin
    torch::autograd::variable_list leaves;
    for (const auto& [name, leaf] : columns) leaves.push_back(leaf);
    auto found = torch::autograd::grad({total}, leaves, {}, {}, false, /*allow_unused=*/true);
    for (auto& g : found) {
        if (!g.defined()) continue;
        g = g.flatten(1).norm(2, 1);
        if (g.max().item<double>() == 0) g = torch::Tensor();
    }
    return found;
}

std::vector<std::pair<std::string, double>> mean_gradients(Objective& objective, Surfels surfels,
                                                           const Frame& frame) {
    const auto columns = make_leaves(surfels);
    const auto owned = named_tensors(*objective);
    TensorDict before;
    for (const auto& [name, tensor] : owned) before.set(name, tensor.clone());
    std::vector<std::pair<std::string, double>> means;
    for (const auto& entry : objective->entries()) {
        const auto sizes = gradient_sizes(entry, surfels, columns, frame);
        for (size_t k = 0; k < columns.size(); ++k)
            means.emplace_back(entry.name + ":" + columns[k].first,
                               sizes[k].defined() ? sizes[k].mean().item<double>() : NAN);
    }
    copy_tensors(before, owned, "losses");
    return means;
}

torch::Tensor heat(const torch::Tensor& size, int64_t n, const torch::TensorOptions& like) {
    if (!size.defined()) return torch::full({n, 3}, 0.15, like);
    const auto most = std::get<0>(size.kthvalue(std::max<int64_t>(1, n * 99 / 100)));
    const auto x = (size / most.clamp_min(1e-30)).clamp(0, 1).sqrt().unsqueeze(1);
    return (3 * x - torch::tensor({0.0F, 1.0F, 2.0F}, like)).clamp(0, 1);
}

}  // namespace fmgs
