#pragma once
/// The avatar: frame → canonical surfels (§4.1–4.3, eqs. 2–9).
#include <fmgs/core/body_model.h>
#include <fmgs/core/random.h>
#include <fmgs/core/surfel_set.h>
#include <fmgs/core/surfels.h>
#include <fmgs/fields/appearance.h>
#include <fmgs/fields/feature.h>
#include <fmgs/fields/geometry.h>
#include <fmgs/fields/pose_encoder.h>
#include <fmgs/fields/skinning.h>

#include <map>

namespace fmgs {

struct AvatarOptions {
    /// midpoint subdivisions of the template; -1: chosen from the capture (`auto`)
    int64_t subdivisions = -1;
    double star_degrees = 30;    ///< each leg's spread in the canonical pose
    double box_padding = 0.1;    ///< of the canonical box, share of the extent
    bool geometry_field = true;  ///< off: the surfels stay on the template
    SurfelSetOptions surfels = {};
    PoseEncoderOptions encoder = {};
    GeometryFieldOptions geometry = {};
    SkinningFieldOptions skinning = {};
    AppearanceFieldOptions appearance = {};
    std::map<std::string, FeatureFieldOptions> modalities = {
        {"semantic", {}}};  ///< by name of the rendered map

    template <class V>
    void visit(V& v) {
        v("subdivisions", subdivisions,
          "midpoint subdivisions of the template; -1 chooses by the projected surfel size");
        v("star_degrees", star_degrees,
          "how far each leg is spread in the canonical pose, degrees (3DGS-Avatar: 45)");
        v("box_padding", box_padding, "padding of the canonical box, share of its extent");
        v("geometry_field", geometry_field,
          "learn residual geometry (eq. 3); off keeps the surfels on the template");
        v.group("surfels", surfels);
        v.group("encoder", encoder);
        v.group("geometry", geometry);
        v.group("skinning", skinning);
        v.group("appearance", appearance);
        // `modalities` is a table of its own at the top of a configuration.
    }
};

/// The canonical template after midpoint subdivisions, with the skinning weights of its vertices.
struct Template {
    Mesh mesh;
    torch::Tensor weights;  ///< [V,J]
};
Template canonical_template(const BodyModel& body, int64_t subdivisions);

/// `auto`: 1 when the median surfel of the once subdivided template still has σ ≥ 0.8 px in this
/// camera and pose, else 0 (surfels finer than the pixels take three times as long to train).
int64_t choose_subdivisions(const BodyModel& body, const SurfelSetOptions& options,
                            const Camera& camera, const BodyPose& pose);

/// The exchangeable parts. Replace a member, then construct the Avatar. `geometry` may be null.
struct AvatarParts {
    BodyModel body{nullptr};
    SurfelSet surfels{nullptr};
    PoseEncoder encoder{nullptr};
    std::shared_ptr<GeometryFieldImpl> geometry;
    std::shared_ptr<SkinningFieldImpl> skinning;
    std::shared_ptr<AppearanceFieldImpl> appearance;
    std::vector<std::pair<std::string, std::shared_ptr<FeatureFieldImpl>>> features;
};

/// The paper's parts for this body. options.subdivisions must be ≥ 0 here.
AvatarParts paper_parts(const BodyModel& body, const AvatarOptions& options, uint64_t seed = 0);

class AvatarImpl : public torch::nn::Module {
  public:
    explicit AvatarImpl(AvatarParts parts);
    /// Canonical surfels with colour for this camera and pose. With `random` (training) encoder
    /// input and view direction are perturbed. progress = step / steps: before geometry.start the
    /// geometry field is off (no residuals, z_g = 0).
    Surfels forward(const Camera& camera, const BodyPose& pose, const Random* random = nullptr,
                    double progress = 1);
    const AvatarParts& parts() const { return parts_; }
    using torch::nn::Module::to;
    /// The corners that are found once move along.
    void to(torch::Device device, bool non_blocking = false) override;

  private:
    /// μ never moves, so its corners in each volume are found once; volumes of one layout share
    /// them.
    void locate_surfels();

    AvatarParts parts_;
    /// corners of μ in the volumes; caches, never saved; one storage where layouts agree
    FixedPoints at_geometry_, at_appearance_;
    std::vector<FixedPoints> at_features_;
};
TORCH_MODULE(Avatar);

/// The bare posed template as surfels, with exact skinning weights and grey colour: what an
/// untrained avatar looks like.
Surfels template_surfels(const BodyModel& body, const SurfelSet& surfels, int64_t subdivisions,
                         const BodyPose& pose);

}  // namespace fmgs
