#pragma once
/// F_c (eq. 7): colour from V_c(μ), z_g, Z_p and the canonicalised view direction in spherical
/// harmonics.
#include <fmgs/core/random.h>
#include <fmgs/fields/hash_grid.h>
#include <fmgs/fields/mlp.h>

namespace fmgs {

struct AppearanceFieldOptions {
    HashGridOptions volume = {};
    int64_t hidden = 64;
    /// degrees: the training-time turn of all view directions (3DGS-Avatar)
    double view_noise = 45;

    template <class V>
    void visit(V& v) {
        v.group("volume", volume);
        v("hidden", hidden, "width of the hidden layer");
        v("view_noise", view_noise, "training noise on the view direction, degrees");
    }
};

/// Real spherical harmonics of degree 1–3 of unit directions [N,3], without the constant: [N,15].
torch::Tensor spherical_harmonics(const torch::Tensor& direction);

class AppearanceFieldImpl : public torch::nn::Module {
  public:
    AppearanceFieldImpl(const AppearanceFieldOptions& options, const torch::Tensor& box,
                        int64_t geometry_code_width, int64_t pose_code_width, uint64_t seed = 0);
    /// geometry_code [N,16], pose_code [16], direction [N,3] unit canonical; `random` (training)
    /// turns it. Returns color [N,3] in (0,1).
    virtual torch::Tensor forward(const FixedPoints& at, const torch::Tensor& geometry_code,
                                  const torch::Tensor& pose_code, const torch::Tensor& direction,
                                  const Random* random = nullptr);
    const HashGrid& volume() const { return volume_; }
    int64_t geometry_code_width() const { return geometry_code_width_; }

  private:
    AppearanceFieldOptions options_;
    int64_t geometry_code_width_;
    HashGrid volume_{nullptr};
    Mlp mlp_{nullptr};
};
TORCH_MODULE(AppearanceField);

}  // namespace fmgs
