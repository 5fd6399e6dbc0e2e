#pragma once
/// Evaluation: per-picture metrics, tables, and files.
#include <fmgs/core/types.h>

#include <filesystem>

namespace fmgs {

/// PSNR over all pixels and channels: -10 log10(mean (a-b)²) of pictures [3,H,W], clamped to [0,1]
/// first. 100 dB when equal.
double psnr(const torch::Tensor& image, const torch::Tensor& truth);
/// The same over the pixels of mask [1,H,W] > 0.5 only. NaN when the mask is empty.
double psnr(const torch::Tensor& image, const torch::Tensor& truth, const torch::Tensor& mask);
/// SSIM, Gaussian window 11, σ 1.5, range 1, K 0.01 and 0.03, zeros outside the picture (as the
/// loss), mean over all pixels and channels; clamped to [0,1] first.
double mean_ssim(const torch::Tensor& image, const torch::Tensor& truth);
/// |A∩B| / |A∪B| of alpha > 0.5 and mask > 0.5, both [1,H,W]. 1 when both are empty.
double mask_iou(const torch::Tensor& alpha, const torch::Tensor& mask);
/// Mean |depth - truth| in metres over `where` [1,H,W] bool. NaN when it is empty.
double depth_mae(const torch::Tensor& depth, const torch::Tensor& truth,
                 const torch::Tensor& where);
/// Mean angle in degrees between normals [3,H,W], normalised first, over `where` [1,H,W] bool. NaN
/// when it is empty.
double normal_degrees(const torch::Tensor& normal, const torch::Tensor& truth,
                      const torch::Tensor& where);

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

/// Metric → value, in order.
using MetricValues = std::vector<std::pair<std::string, double>>;

/// All metrics that this picture allows: psnr, ssim, psnr_person, mask_iou, depth_mae, normal_deg.
/// Truth comes from frame.truth, and from frame.maps for color and mask where truth has none; the
/// picture is on black. Depth and normals: over true mask ∩ rendered
/// alpha > 0.5 ∩ where the true map is valid (depth > 0, normal ≠ 0). `confusion` takes the labels
/// when both have "semantic".
MetricValues evaluate_frame(const Maps& rendered, const Frame& frame,
                            Confusion* confusion = nullptr);

/// One split: rows of pictures, and what only the whole split has (miou).
struct SplitMetrics {
    std::vector<std::pair<std::string, MetricValues>> frames;  ///< name → values
    MetricValues whole;

    /// Mean of each metric over the pictures that have it (NaN left out), then `whole`.
    MetricValues mean() const;
    /// A header, then one row per picture.
    std::string csv() const;
};

/// {SPLIT: {metric: mean}}; NaN as null.
std::string metrics_json(const std::vector<std::pair<std::string, SplitMetrics>>& splits);
/// Rows (a split, or the bare template on it) × metrics, as Markdown.
std::string metrics_table(const std::vector<std::pair<std::string, MetricValues>>& rows);

}  // namespace fmgs
