#pragma once
/// Learnable blendshapes (HRAvatar) on the vertices of the template: what a shape and a pose do to
/// it before it is skinned.
#include <fmgs/core/body_bases.h>
#include <fmgs/core/config/range.h>
#include <fmgs/core/module.h>
#include <fmgs/core/parameter_group.h>

namespace fmgs {

/// (basis₀ + delta)·c for P points in L coefficients: a given basis, and what is learned to it.
class LinearBlendshapesImpl : public Module, public ParameterGroups {
  public:
    /// basis: [P,3,L], metres per unit of a coefficient. learned: delta [P,3,L], 0 at first, is a
    /// parameter; else there is none.
    explicit LinearBlendshapesImpl(const torch::Tensor& basis, bool learned = true);
    /// coefficients: [B,L] → [B,P,3], metres.
    torch::Tensor forward(const torch::Tensor& coefficients) const;
    /// Mean of delta², m²; undefined when there is none.
    torch::Tensor penalty() const;
    const torch::Tensor& basis() const { return basis_; }  ///< [P,3,L] as given
    std::string parameter_group(const std::string&) const override { return "blendshapes"; }
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    torch::Tensor basis_, delta_;  // buffer; parameter or undefined
};
TORCH_MODULE(LinearBlendshapes);

struct BlendshapeOptions {
    bool shape = false, pose = false, betas = false;

    bool any() const { return shape || pose || betas; }

    template <class V>
    void visit(V& v) {
        v("shape", shape, "learn what is added to the body's shape basis");
        v("pose", pose, "take the body's pose blendshapes, and learn what is added to them");
        v("betas", betas, "learn the shape coefficients; the joints stay where they are");
    }
};

/// How the faces of the template carry their surfels.
struct SurfelMotion {
    torch::Tensor offset;  ///< [N,3] of the centres, metres
    torch::Tensor turn;    ///< [N,3,3] of the frames, canonical axes
};

/// The blendshapes of a body on its canonical template, for N surfels on the faces of a subdivision
/// of it. Of the shape only the change from the template counts, which has its own betas in it; the
/// pose's are all new to an avatar, whose bare template has none.
class TemplateBlendshapesImpl : public Module, public ParameterGroups {
  public:
    /// canonical: the template that `bases` belong to, not subdivided. Error: options ask for a
    /// shape basis that the body does not have.
    TemplateBlendshapesImpl(const BodyBases& bases, const Mesh& canonical, int64_t subdivisions,
                            const BlendshapeOptions& options);
    /// rotations: [J,3,3] local; the root's does not count.
    SurfelMotion forward(const torch::Tensor& rotations) const;
    /// How the vertices move: [V,3] metres.
    torch::Tensor offsets(const torch::Tensor& rotations) const;
    /// Sum of the penalties of what is learned of the bases; undefined when nothing is.
    torch::Tensor penalty() const;
    const torch::Tensor& betas() const { return betas_; }  ///< [B]
    std::string parameter_group(const std::string& name) const override {
        return own_group(name, "betas");
    }
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    BlendshapeOptions options_;
    int64_t subdivisions_;
    LinearBlendshapes shape_{nullptr}, pose_{nullptr};
    torch::Tensor betas_;             // parameter or buffer, with shape_ only
    torch::Tensor born_;              // buffer [V,3]: basis₀·betas₀
    torch::Tensor vertices_, faces_;  // buffers: the template
    torch::Tensor inside_;            // buffer [N/F,3]: barycentric centres of a face's children
};
TORCH_MODULE(TemplateBlendshapes);

}  // namespace fmgs
