#pragma once
/// The avatar: frame → canonical surfels (§4.1–4.3, eqs. 2–9).
#include <fmgs/core/body_model.h>
#include <fmgs/core/config/range.h>
#include <fmgs/core/random.h>
#include <fmgs/core/surfel_set.h>
#include <fmgs/core/surfels.h>
#include <fmgs/core/template_mesh.h>
#include <fmgs/fields/appearance.h>
#include <fmgs/fields/blendshapes.h>
#include <fmgs/fields/feature.h>
#include <fmgs/fields/geometry.h>
#include <fmgs/fields/pose_encoder.h>
#include <fmgs/fields/pose_projection.h>
#include <fmgs/fields/skinning.h>

#include <map>

namespace fmgs {

struct AvatarOptions {
    /// midpoint subdivisions of the template; -1: chosen from the capture (`auto`)
    int64_t subdivisions = -1;
    double star_degrees = 30;    ///< each leg's spread in the canonical pose
    double box_padding = 0.1;    ///< of the canonical box, share of the extent
    TemplateOptions shape = {};  ///< `template`: the mesh that carries the surfels
    SurfelSetOptions surfels = {};
    BlendshapeOptions blendshapes = {};
    PoseProjectionOptions pose_projection = {};
    PoseEncoderOptions encoder = {};
    GeometryFieldOptions geometry = {};
    SkinningFieldOptions skinning = {};
    AppearanceFieldOptions appearance = {};
    std::map<std::string, FeatureFieldOptions> modalities = {
        {"semantic", {}}};  ///< by name of the rendered map

    /// The options of an avatar whose file or run lacks keys because they came later, with what was
    /// done before they came.
    static AvatarOptions before_all_keys();

    template <class V>
    void visit(V& v) {
        v("subdivisions", subdivisions, Range::of(-1, 4),
          "midpoint subdivisions of the template; -1 chooses by the projected surfel size");
        v("star_degrees", star_degrees, Range::of(0, 90),
          "how far each leg is spread in the canonical pose, degrees (3DGS-Avatar: 45)");
        v("box_padding", box_padding, Range::of(0, 10),
          "padding of the canonical box, share of its extent");
        v.group("template", shape);
        v.group("surfels", surfels);
        v.group("blendshapes", blendshapes);
        v.group("pose_projection", pose_projection);
        v.group("encoder", encoder);
        v.group("geometry", geometry);
        v.group("skinning", skinning);
        v.group("appearance", appearance);
        v.renamed("geometry_field", "geometry.type");
        // `modalities` is a table of its own at the top of a configuration.
    }
};

/// The canonical template after midpoint subdivisions, with the skinning weights of its vertices.
struct Template {
    Mesh mesh;
    torch::Tensor weights;  ///< [V,J]
};
Template canonical_template(const Body& body, int64_t subdivisions);
/// The skinning weights of the faces' centres: [F,J].
torch::Tensor face_weights(const Template& shape);

/// `auto`: 1 when the median surfel of the once subdivided template still has σ ≥ 0.8 px in this
/// camera and pose, else 0 (surfels finer than the pixels take three times as long to train).
int64_t choose_subdivisions(const Body& body, const SurfelSetOptions& options, const Camera& camera,
                            const BodyPose& pose);

/// The exchangeable parts. Replace a member, then construct the Avatar. Three may be null:
/// `blendshapes` and `geometry`, without which the surfels stay on the template, and `projection`.
struct AvatarParts {
    std::shared_ptr<Body> body;
    std::shared_ptr<SurfelSetImpl> surfels;
    std::shared_ptr<TemplateBlendshapesImpl> blendshapes;
    std::shared_ptr<PoseProjectionImpl> projection;
    std::shared_ptr<PoseEncoderImpl> encoder;
    std::shared_ptr<Geometry> geometry;
    std::shared_ptr<Skinning> skinning;
    std::shared_ptr<Appearance> appearance;
    /// by name of the rendered map
    std::vector<std::pair<std::string, std::shared_ptr<Feature>>> features;
};

/// The paper's parts for this body. options.subdivisions must be ≥ 0 here. Error for a part of an
/// unknown type.
AvatarParts paper_parts(std::shared_ptr<Body> body, const AvatarOptions& options,
                        uint64_t seed = 0);
template <class Impl>
AvatarParts paper_parts(const torch::nn::ModuleHolder<Impl>& body, const AvatarOptions& options,
                        uint64_t seed = 0) {
    return paper_parts(std::shared_ptr<Body>(body.ptr()), options, seed);
}

/// The parts make surfels alike in both modes of a module, train() and eval(), but for the pose
/// projection, which is left out in train(), the mode in which a module is born.
class AvatarImpl : public Module {
  public:
    /// Error that names a part which is missing.
    explicit AvatarImpl(AvatarParts parts);
    /// Canonical surfels with colour for this camera and pose. With `random` (training) encoder
    /// input and view direction are perturbed. progress = step / steps, for what starts later
    /// (geometry.start).
    Surfels forward(const Camera& camera, const BodyPose& pose, const Random* random = nullptr,
                    double progress = 1);
    /// The same surfels, of which geometry, skinning and features stay, coloured for another
    /// camera. So a step over several cameras costs one forward() and one seen_from() for each
    /// further camera; add up the totals of the objective and go backward once.
    Surfels seen_from(Surfels surfels, const Camera& camera, const Random* random = nullptr,
                      double progress = 1) const;
    const AvatarParts& parts() const { return parts_; }
    /// Fits the pose projection, where there is one, to these poses: those of the training.
    void fit_projection(const std::vector<BodyPose>& poses);
    /// A deep copy that trains on its own; a part that stands in two places is copied once. Error
    /// when a part of one's own does not implement clone().
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;

  private:
    AvatarParts parts_;
    LocatedPoints centers_;  // μ never moves: its corners in the volumes are found once
};
TORCH_MODULE(Avatar);

/// The bare posed template as surfels, with exact skinning weights and grey colour: what an
/// untrained avatar looks like.
Surfels template_surfels(const Body& body, const SurfelSetImpl& surfels, int64_t subdivisions,
                         const BodyPose& pose);

}  // namespace fmgs
