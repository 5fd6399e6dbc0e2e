#pragma once
/// One surfel per face of the (subdivided) canonical template (§4.1.1, eq. 2). Their number never
/// changes.
#include <fmgs/core/config/range.h>
#include <fmgs/core/mesh.h>
#include <fmgs/core/module.h>
#include <fmgs/core/parameter_group.h>

namespace fmgs {

struct SurfelSetOptions {
    double initial_opacity = 0.9;
    double initial_scale = 0.7;  ///< times the Steiner circum-ellipse
    bool learn_opacity = true;
    bool free = false;       ///< position and rotation are parameters too (Fig. 3's baseline)
    double far_side = 0.02;  ///< as Surfels::far_side; free surfels have 1
    bool mip = true;         ///< as Surfels::mip

    template <class V>
    void visit(V& v) {
        v("initial_opacity", initial_opacity, Range::inside(0, 1), "opacity at step 0");
        v("initial_scale", initial_scale, Range::more_than(0),
          "initial scale, times the Steiner circum-ellipse of the face");
        v("learn_opacity", learn_opacity, "learn the opacity");
        v("free", free, "make position and rotation parameters (the paper's Fig. 3 baseline)");
        v("far_side", far_side, Range{.low = 0, .high = 1, .low_is_in = false},
          "share of their opacity that surfels keep in depth and normals where they face away from "
          "the camera; 1: as in colour (2DGS, and free surfels)");
        v("mip", mip,
          "the low-pass keeps what a surfel adds up to (Mip-Splatting); false: it adds to it "
          "(2DGS)");
    }
};

class SurfelSetImpl : public Module, public ParameterGroups {
  public:
    explicit SurfelSetImpl(const Mesh& canonical, const SurfelSetOptions& options = {});
    /// From frames and neighbours ([N,4] int64) that are there already.
    SurfelSetImpl(const FaceFrames& frames, const torch::Tensor& neighbours,
                  const SurfelSetOptions& options);

    int64_t size() const { return center_.size(0); }
    /// [N,3] where the surfels were put, metres: the buffer itself; μ but for the offset of free
    /// ones
    const torch::Tensor& center() const { return center_; }
    torch::Tensor position() const;            ///< [N,3] μ (eq. 2), metres
    torch::Tensor rotation() const;            ///< [N,3,3] columns t_u, t_v, n
    torch::Tensor normal() const;              ///< [N,3] the face normal n
    torch::Tensor scale() const;               ///< [N,2] metres, exp(log_scale)
    torch::Tensor opacity() const;             ///< [N,1] sigmoid(opacity_logit)
    bool mip() const { return options_.mip; }  ///< as Surfels::mip
    /// As Surfels::far_side.
    double far_side() const { return options_.free ? 1 : options_.far_side; }
    /// [N,4] int64, by canonical distance; repeated when N < 5
    const torch::Tensor& neighbours() const { return neighbours_; }
    /// scale, opacity, offset or turn.
    std::string parameter_group(const std::string& name) const override;
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    SurfelSetOptions options_;
    torch::Tensor center_, frame_, neighbours_;  // buffers
    torch::Tensor log_scale_, opacity_logit_;    // parameters
    torch::Tensor offset_, turn_;  // parameters when free: [N,3] metres, [N,3] radians
};
TORCH_MODULE(SurfelSet);

}  // namespace fmgs
