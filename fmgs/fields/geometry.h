#pragma once
/// F_g (eq. 3): pose-dependent residuals of every surfel. (δd, δs, δr, z_g) = mlp([V_g(μ), Z_p]).
#include <fmgs/core/config/range.h>
#include <fmgs/core/module.h>
#include <fmgs/fields/field_input.h>
#include <fmgs/fields/mlp.h>

namespace fmgs {

struct GeometryFieldOptions {
    std::string type = "field";
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
        v("type", type, "field: residuals (eq. 3); none: the surfels stay on the template");
        v.group("volume", volume);
        v("hidden", hidden, Range::of(1, 4096), "width of the hidden layers");
        v("layers", layers, Range::of(1, 32), "hidden layers");
        v("code", code, Range::of(1, 4096), "width of the geometry code z_g");
        v("offset_bound", offset_bound, Range::more_than(0), "largest |δd|, metres");
        v("rotation_bound", rotation_bound, Range::more_than(0), "largest |δr| per axis, radians");
        v("scale_bound", scale_bound, Range::more_than(0), "largest |δs|");
        v("free_offset", free_offset, "a free 3-D offset instead of one along the normal");
        v("start", start, Range::of(0, 1),
          "fraction of the run before which there are no residuals");
    }
};

struct GeometryResidual {
    torch::Tensor offset;    ///< [N,1] δd, or [N,3] when free, metres
    torch::Tensor scale;     ///< [N,2] δs
    torch::Tensor rotation;  ///< [N,3] δr, radians
    torch::Tensor code;      ///< [N,16] z_g
};

/// Pose-dependent residuals of the surfels: derive from it for a geometry of your own.
class Geometry : public Module, public ParameterGroups {
  public:
    using Module::Module;
    /// input.geometry_code, direction, eye and posed are not there yet.
    virtual GeometryResidual forward(const FieldInput& input) = 0;
    /// Parameters that it owns directly; submodules speak for theirs.
    std::string parameter_group(const std::string& name) const override {
        return own_group(name, "network");
    }
};

class GeometryFieldImpl : public Geometry {
  public:
    GeometryFieldImpl(const GeometryFieldOptions& options, const torch::Tensor& box,
                      int64_t pose_code_width, uint64_t seed = 0);
    /// Reads `at`, pose_code and progress. The heads of δd, δs, δr start at zero: step 0 is exactly
    /// the template, and so is every step before `start`, with z_g = 0.
    GeometryResidual forward(const FieldInput& input) override;
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    GeometryFieldOptions options_;
    int64_t pose_code_width_;
    HashGrid volume_{nullptr};
    Mlp mlp_{nullptr};
};
TORCH_MODULE(GeometryField);

}  // namespace fmgs
