#pragma once
/// The stage before training in which the template is learned: avatar.template.type = offsets.
#include <fmgs/core/template_offsets.h>
#include <fmgs/run/run.h>

#include <functional>

namespace fmgs {

/// One surfel per face of a mesh whose vertices [V,3] may have a gradient, posed as those of
/// template_surfels, with their opacity and scale at step 0. Tangents are conjugate semi-diameters
/// of the face's ellipse, not its axes: it is the same ellipse, and smooth in the vertices.
Surfels face_surfels(const torch::Tensor& vertices, const torch::Tensor& faces, const Body& body,
                     const SurfelSetOptions& options, const BodyPose& pose);

/// Moves the offsets, an Adam step for each drawn frame, by the loss
///   λ_m L_m + λ_d L_d + λ_n L_n of the bare template's surfels (losses/mask.h, depth_ranking.h,
///   normal.h) + λ_lap laplacian + λ_e edge_length + λ_nc normal_consistency.
/// Frames are drawn as training draws them. `progress(step, steps, loss)` is called now and then
/// and may be empty. Returns the last loss. Error: a frame without a map that a loss needs; a
/// gradient that is not finite.
double fit_offsets(TemplateOffsetsImpl& offsets, const Body& body, const SurfelSetOptions& surfels,
                   const TemplateOffsetsOptions& options, const FrameList& frames, uint64_t seed,
                   const std::function<void(int64_t, int64_t, double)>& progress = {});

/// Does nothing unless the options ask for offsets. Fits them to the frames, says so, and rebuilds
/// the run's avatar on the moved template, in place: body, surfels and all that depends on them.
/// Leaves the template as RUN/template.obj and, before and after over some frames,
/// RUN/template.png. Error: an avatar with parts of one's own.
void fit_template(Run& run, const FrameList& frames, const RunFolder& folder,
                  std::ostream& progress);

}  // namespace fmgs
