#pragma once
/// A template learned from pictures ("SMPL+D"): every vertex of a canonical mesh with an offset.
#include <fmgs/core/config/range.h>
#include <fmgs/core/mesh.h>
#include <fmgs/core/module.h>
#include <fmgs/core/parameter_group.h>

namespace fmgs {

/// The stage before training that finds the offsets: its steps, and the weights of its losses.
struct TemplateOffsetsOptions {
    int64_t steps = 300;
    double rate = 2e-3;
    double mask = 1;
    double depth_ranking = 0.02;
    double normal = 0.1;
    double laplacian = 1;
    double edge_length = 0.02;
    double normal_consistency = 0.05;

    template <class V>
    void visit(V& v) {
        v("steps", steps, Range::at_least(1), "steps of the stage, a training frame each");
        v("rate", rate, Range::more_than(0),
          "learning rate: metres of a step; a tenth of it at the end");
        v("mask", mask, Range::at_least(0), "weight of the silhouette");
        v("depth_ranking", depth_ranking, Range::at_least(0),
          "weight of the order of depths; 0 needs no depth priors");
        v("normal", normal, Range::at_least(0),
          "weight of the normal priors; 0 needs no normal priors");
        v("laplacian", laplacian, Range::at_least(0),
          "weight of the Laplacian of the offsets: neighbours move alike");
        v("edge_length", edge_length, Range::at_least(0),
          "weight of the change of the edges' lengths");
        v("normal_consistency", normal_consistency, Range::at_least(0),
          "weight of the angles between faces that share an edge");
    }
};

/// v = v₀ + D: canonical vertices v₀ [V,3] and a parameter D [V,3], metres, born 0. The penalties
/// have no unit; ℓ is the mean edge length of v₀.
class TemplateOffsetsImpl : public Module, public ParameterGroups {
  public:
    /// Error: a mesh without faces.
    explicit TemplateOffsetsImpl(const Mesh& canonical);
    /// v [V,3], metres.
    torch::Tensor forward() const { return vertices_ + offsets_; }
    const torch::Tensor& faces() const { return faces_; }      ///< [F,3] int64
    const torch::Tensor& offsets() const { return offsets_; }  ///< D
    /// Mean over vertices of ‖D - mean of D over the neighbours‖² / ℓ².
    torch::Tensor laplacian() const;
    /// Mean over edges of (‖e‖ - ‖e₀‖)² / ℓ².
    torch::Tensor edge_length() const;
    /// Mean over pairs of faces that share an edge of 1 - n·n'; 0 when there are none.
    torch::Tensor normal_consistency() const;
    /// offset.
    std::string parameter_group(const std::string&) const override { return "offset"; }
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    /// ‖e‖ [E] with a finite gradient at 0.
    torch::Tensor lengths(const torch::Tensor& vertices) const;

    torch::Tensor vertices_, faces_, edges_, pairs_;  // buffers
    torch::Tensor degrees_, lengths_;                 // buffers: [V,1] neighbours, [E] of v₀
    torch::Tensor offsets_;                           // parameter
};
TORCH_MODULE(TemplateOffsets);

}  // namespace fmgs
