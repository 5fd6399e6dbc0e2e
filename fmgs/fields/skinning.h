#pragma once
/// F_w (eq. 9): skinning weights anywhere in canonical space, W = softmax(mlp(H(x))).
#include <fmgs/core/mesh.h>
#include <fmgs/core/parameter_group.h>
#include <fmgs/fields/hash_grid.h>
#include <fmgs/fields/mlp.h>

#include <functional>

namespace fmgs {

struct SkinningFieldOptions {
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
        v.group("volume", volume);
        v("hidden", hidden, "width of the hidden layers");
        v("layers", layers, "hidden layers");
        v("prefit", prefit, "fit to the template's skinning weights before training");
        v("prefit_steps", prefit_steps, "Adam steps of the pre-fit");
        v("prefit_points", prefit_points, "points per pre-fit step");
        v("prefit_shell", prefit_shell, "how far off the surface pre-fit points lie, metres");
    }
};

class SkinningFieldImpl : public torch::nn::Module, public ParameterGroups {
  public:
    SkinningFieldImpl(const SkinningFieldOptions& options, const torch::Tensor& box,
                      int64_t joint_count, uint64_t seed = 0);
    /// x: [N,3] canonical positions, metres; gradient to x. Returns [N,J]; rows sum to one.
    virtual torch::Tensor forward(const torch::Tensor& x);
    /// Fits the field to the template's weights [V,J], barycentrically, on and around its surface;
    /// returns the last L_skin. `progress(step, steps, loss)` is called now and then; it may be
    /// empty.
    double prefit(const Mesh& canonical, const torch::Tensor& weights, uint64_t seed,
                  const std::function<void(int64_t, int64_t, double)>& progress = {});
    std::string parameter_group(const std::string&) const override { return "skinning"; }

  private:
    SkinningFieldOptions options_;
    int64_t joint_count_;
    HashGrid volume_{nullptr};
    Mlp mlp_{nullptr};
};
TORCH_MODULE(SkinningField);

}  // namespace fmgs
