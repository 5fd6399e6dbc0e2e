#pragma once
/// F_w (eq. 9): skinning weights anywhere in canonical space, W = softmax(mlp(H(x))).
#include <fmgs/core/config/range.h>
#include <fmgs/core/mesh.h>
#include <fmgs/core/module.h>
#include <fmgs/core/parameter_group.h>
#include <fmgs/fields/hash_grid.h>
#include <fmgs/fields/mlp.h>

#include <functional>

namespace fmgs {

struct SkinningFieldOptions {
    std::string type = "field";
    bool extra_joint = false;  ///< of the table
    HashGridOptions volume{.levels = 8,
                           .features_per_level = 2,
                           .base_resolution = 16,
                           .finest_resolution = 128,
                           .log2_hashmap_size = 16};
    int64_t hidden = 128;
    int64_t layers = 4;  ///< hidden layers
    bool prefit = true;  ///< fit to the template's weights before training
    int64_t prefit_steps = 600;
    int64_t prefit_points = 4096;  ///< per step
    /// metres: samples lie up to this far off the surface, along the normal
    double prefit_shell = 0.03;

    template <class V>
    void visit(V& v) {
        v("type", type, "field: the paper's (eq. 9); table: weights of each surfel (HRAvatar)");
        v("extra_joint", extra_joint,
          "table: a further joint, of weight 0 at first, that goes with the root and never turns");
        v.group("volume", volume);
        v("hidden", hidden, Range::of(1, 4096), "width of the hidden layers");
        v("layers", layers, Range::of(1, 32), "hidden layers");
        v("prefit", prefit, "fit to the template's skinning weights before training");
        v("prefit_steps", prefit_steps, Range::at_least(1), "Adam steps of the pre-fit");
        v("prefit_points", prefit_points, Range::of(1, 10'000'000), "points per pre-fit step");
        v("prefit_shell", prefit_shell, Range::of(0, 10),
          "how far off the surface pre-fit points lie, metres");
    }
};

/// Skinning weights anywhere in canonical space: derive from it for a skinning of your own.
class Skinning : public Module, public ParameterGroups {
  public:
    using Module::Module;
    /// x: [N,3] canonical positions, metres; gradient to x. Returns [N,J]; rows sum to one.
    virtual torch::Tensor forward(const torch::Tensor& x) = 0;
    /// The transforms that the columns of forward() belong to: [J,4,4] from the body's, which they
    /// are by default.
    virtual torch::Tensor bones(const torch::Tensor& body) const { return body; }
    std::string parameter_group(const std::string&) const override { return "skinning"; }
};

class SkinningFieldImpl : public Skinning {
  public:
    SkinningFieldImpl(const SkinningFieldOptions& options, const torch::Tensor& box,
                      int64_t joint_count, uint64_t seed = 0);
    torch::Tensor forward(const torch::Tensor& x) override;
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    SkinningFieldOptions options_;
    int64_t joint_count_;
    HashGrid volume_{nullptr};
    Mlp mlp_{nullptr};
};
TORCH_MODULE(SkinningField);

/// Fits a skinning, through its own forward, to the weights [V,J] of a canonical mesh,
/// barycentrically, on and around its surface; options.prefit_{steps,points,shell} say how. Hash
/// grids take larger steps than other parameters. Returns the last L_skin; `progress(step, steps,
/// loss)` is called now and then and may be empty. Error when the skinning has no parameters, or
/// weights for another number of joints.
double prefit_skinning(Skinning& skinning, const Mesh& canonical, const torch::Tensor& weights,
                       const SkinningFieldOptions& options, uint64_t seed,
                       const std::function<void(int64_t, int64_t, double)>& progress = {});

}  // namespace fmgs
