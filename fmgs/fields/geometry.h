#pragma once
/// F_g (eq. 3): pose-dependent residuals of every surfel. (δd, δs, δr, z_g) = mlp([V_g(μ), Z_p]).
#include <fmgs/fields/hash_grid.h>
#include <fmgs/fields/mlp.h>

namespace fmgs {

struct GeometryFieldOptions {
    HashGridOptions volume = {};
    int64_t hidden = 128;
    int64_t layers = 3;           ///< hidden layers
    int64_t code = 16;            ///< width of z_g
    double offset_bound = 0.05;   ///< metres: δd = bound · tanh(m)
    double rotation_bound = 0.8;  ///< radians: δr = bound · tanh(m / bound)
    double scale_bound = 1.0;     ///< δs = bound · tanh(m / bound)
    bool free_offset = false;     ///< a 3-D offset instead of one along the normal
    double start = 0;             ///< fraction of the run before which the field is off

    template <class V>
    void visit(V& v) {
        v.group("volume", volume);
        v("hidden", hidden, "width of the hidden layers");
        v("layers", layers, "hidden layers");
        v("code", code, "width of the geometry code z_g");
        v("offset_bound", offset_bound, "largest |δd|, metres");
        v("rotation_bound", rotation_bound, "largest |δr| per axis, radians");
        v("scale_bound", scale_bound, "largest |δs|");
        v("free_offset", free_offset, "a free 3-D offset instead of one along the normal");
        v("start", start, "fraction of the run before which there are no residuals");
    }
};

struct GeometryResidual {
    torch::Tensor offset;    ///< [N,1] δd, or [N,3] when free, metres
    torch::Tensor scale;     ///< [N,2] δs
    torch::Tensor rotation;  ///< [N,3] δr, radians
    torch::Tensor code;      ///< [N,16] z_g
};

class GeometryFieldImpl : public torch::nn::Module {
  public:
    GeometryFieldImpl(const GeometryFieldOptions& options, const torch::Tensor& box,
                      int64_t pose_code_width, uint64_t seed = 0);
    /// pose_code: [16]. The heads of δd, δs, δr start at zero: step 0 is exactly the template.
    virtual GeometryResidual forward(const FixedPoints& at, const torch::Tensor& pose_code);
    const HashGrid& volume() const { return volume_; }
    double start() const { return options_.start; }  ///< fraction of the run

  private:
    GeometryFieldOptions options_;
    HashGrid volume_{nullptr};
    Mlp mlp_{nullptr};
};
TORCH_MODULE(GeometryField);

}  // namespace fmgs
