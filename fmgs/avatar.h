#pragma once
/// The avatar: frame → canonical surfels (§4.1–4.3, eqs. 2–9).
#include <fmgs/core/body_model.h>
#include <fmgs/core/random.h>
#include <fmgs/core/surfel_set.h>
#include <fmgs/core/surfels.h>
#include <fmgs/fields/appearance_field.h>
#include <fmgs/fields/feature_field.h>
#include <fmgs/fields/geometry_field.h>
#include <fmgs/fields/pose_encoder.h>
#include <fmgs/fields/skinning_field.h>

#include <map>

namespace fmgs {

struct AvatarOptions {
    int64_t subdivisions = -1;  ///< midpoint subdivisions of the template; -1: chosen from the capture (`auto`)
    double box_padding = 0.1;   ///< of the canonical box, share of the extent
    bool geometry_field = true; ///< off: the surfels stay on the template
    SurfelSetOptions surfels;
    PoseEncoderOptions encoder;
    GeometryFieldOptions geometry;
    SkinningFieldOptions skinning;
    AppearanceFieldOptions appearance;
    std::map<std::string, FeatureFieldOptions> modalities = {{"semantic", {}}};

    template <class V>
    void visit(V& v) {
        v("subdivisions", subdivisions, "midpoint subdivisions of the template; -1 chooses by the projected surfel size");
        v("box_padding", box_padding, "padding of the canonical box, share of its extent");
        v("geometry_field", geometry_field, "learn residual geometry (eq. 3); off keeps the surfels on the template");
        v.group("surfels", surfels);
        v.group("encoder", encoder);
        v.group("geometry", geometry);
        v.group("skinning", skinning);
        v.group("appearance", appearance);
        v.groups("modalities", modalities, "feature fields by name; each is rendered under its name");
    }
};

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
    /// Canonical surfels with colour for this camera and pose. With `random` (training) encoder input and view direction are perturbed.
    Surfels forward(const Camera& camera, const BodyPose& pose, const Random* random = nullptr);
    const AvatarParts& parts() const { return parts_; }

  private:
    AvatarParts parts_;
    FixedPoints at_;     ///< corners of μ in every volume that shares the first one's layout
};
TORCH_MODULE(Avatar);

/// The bare posed template as surfels: what an untrained avatar should look like; exact skinning weights, grey.
Surfels template_surfels(const BodyModel& body, const SurfelSet& surfels, int64_t subdivisions, const BodyPose& pose);

}  // namespace fmgs
