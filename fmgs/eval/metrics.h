#pragma once
/// Evaluation: the metrics of one picture.
#include <fmgs/core/types.h>
#include <fmgs/eval/map_metrics.h>
#include <fmgs/eval/pictures.h>
#include <fmgs/eval/presets.h>
#include <fmgs/eval/tables.h>

namespace fmgs {

/// Labels of rendered logits [K,H,W]: argmax over classes ≥ 1 where alpha [1,H,W] > 0.5, else 0.
/// [H,W] int64.
torch::Tensor rendered_labels(const torch::Tensor& logits, const torch::Tensor& alpha);

/// One confusion matrix for many pictures.
class Confusion {
  public:
    explicit Confusion(int64_t classes);
    /// labels and truth [H,W] int64; pixels whose truth lies outside [0,classes) are left out.
    void add(const torch::Tensor& labels, const torch::Tensor& truth);
    /// Mean IoU over classes ≥ 1 that make up at least `share` of the true foreground. NaN when
    /// there is none.
    double mean_iou(double share = 0.001) const;

  private:
    torch::Tensor counts_;  // [K,K] int64, row = truth
};

/// The picture and its truth on black, as presets compare them, without a body_box; color is
/// undefined when either has none. Truth comes from frame.truth, and from frame.maps for color and
/// mask where truth has none; a mask that is nowhere is 1 everywhere.
Compared compared(const Maps& rendered, const Frame& frame);

/// All metrics that this picture allows:
///   psnr, ssim, lpips, lpips_alex  by the preset "clean", the last two where there are networks
///   psnr_person                    PSNR inside the true mask
///   mae                            mean absolute error of colour
///   mask_iou, mask_boundary_f
///   depth_mae, depth_mae_aligned   metres; the latter after scale and shift
///   normal_deg, normal_median_deg  degrees
///   normal_11, normal_22, normal_30  shares of pixels below 11.25, 22.5 and 30 degrees
///   depth_normal_deg               normals of the rendered depth, degrees: where normal_deg is
///                                  measured and the four neighbours are drawn
/// Depth and normals: over true mask ∩ rendered alpha > 0.5 ∩ where the true map is valid (depth >
/// 0, normal ≠ 0). Priors are no truth. `confusion` takes the labels when both have "semantic".
MetricValues evaluate_frame(const Maps& rendered, const Frame& frame,
                            Confusion* confusion = nullptr, const LpipsNetworks& networks = {});

}  // namespace fmgs
