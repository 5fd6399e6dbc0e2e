#pragma once
/// The person of the synthetic capture: a body in cloth of known thickness, with folds that follow
/// the pose.
#include <fmgs/core/body_model.h>
#include <fmgs/data/synthetic/light.h>
#include <fmgs/data/synthetic/mesh_renderer.h>

namespace fmgs {

struct SubjectOptions {
    int64_t subdivisions = 2;       ///< midpoint subdivisions of the body mesh
    double largest_offset = 0.030;  ///< no cloth lies further outside the body, metres
    /// mean height of the folds that follow the pose, metres; 2/3 to 4/3 of it occurs
    double fold_height = 0.0045;
    SyntheticLight light = synthetic_light("A");
    std::string garment = "none";  ///< none, or skirt: worn over the other clothes
};

/// A clothed body that can be posed and drawn. Cloth is an offset along the normals of the finely
/// subdivided body in its canonical pose: thickness by region with smooth borders, still folds, and
/// around shoulders, waist, hips and knees waves a(θ)·g(x)·sin(k·x + φ(θ)), whose height a and
/// phase φ follow the joint's rotation. Then exact linear blend skinning.
class ClothedSubject {
  public:
    /// labels: [V] int64, Sapiens' classes of the body's vertices; bare torso, limbs and feet are
    /// dressed.
    ClothedSubject(BodyModel body, const torch::Tensor& labels, const SubjectOptions& options = {});

    const torch::Tensor& faces() const { return canonical_.faces; }
    /// What the cloth lies on, in the body's canonical pose, with the garment: a template that has
    /// it.
    const Mesh& canonical() const { return canonical_; }
    /// Distance of the cloth outside the body [V'], metres, in this pose.
    torch::Tensor offset(const BodyPose& pose) const;
    /// The clothed mesh in the world, V' vertices.
    Mesh posed(const BodyPose& pose) const;
    /// Colour, mask, depth, normals and labels of this pose (see render_mesh). Lambert shading by
    /// the lights of the options, fixed in the world, so that it moves over a turning person.
    Maps render(const BodyPose& pose, const Camera& camera, int64_t samples = 3) const;

  private:
    void dress(const torch::Tensor& classes);
    void fold();
    void put_on_skirt();
    SurfaceLook look(const SurfacePoint& point) const;

    BodyModel body_;
    SubjectOptions options_;
    Mesh canonical_;                // naked, subdivided
    torch::Tensor normals_;         // [V',3] of canonical_
    torch::Tensor rest_;            // [V',3] the T-pose positions that the texture is a function of
    torch::Tensor weights_;         // [V',J]
    std::vector<int64_t> classes_;  // the C classes that occur
    torch::Tensor shares_;          // [V',C] smoothed membership
    torch::Tensor thickness_;       // [V'] still part of the offset, metres
    torch::Tensor fold_sin_, fold_cos_;  // [V',folds] g·sin(k·x), g·cos(k·x)
    float crown_ = 0;                    // height of the top of the head at rest, metres
    torch::Tensor rest_joints_;          // [J,3]
};

}  // namespace fmgs
