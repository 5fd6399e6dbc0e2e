#pragma once
/// L_d (eqs. 15, 16): the order of depths.
#include <fmgs/core/config/range.h>
#include <fmgs/losses/loss.h>

namespace fmgs {

struct DepthRankingOptions {
    int64_t pairs = 8192;   ///< drawn per step
    double sharpness = 10;  ///< α of eq. 16, per metre
    double min_gap = 0.02;  ///< share of the prior's range in F below which a pair has no order
    /// pixels whose rendered normal is seen at less are dropped; 0 drops none
    double min_cosine = 0.2;
    /// pairs in the right order: "push" them further (paper) or "ignore" them
    std::string satisfied = "push";

    template <class V>
    void visit(V& v) {
        v("pairs", pairs, Range::of(1, 10'000'000), "pixel pairs drawn per step");
        v("sharpness", sharpness, Range::more_than(0), "alpha of eq. 16, per metre");
        v("min_gap", min_gap, Range::at_least(0),
          "pairs whose priors differ by less than this share of the foreground range are dropped");
        v("min_cosine", min_cosine, Range{.low = 0, .high = 1, .high_is_in = false},
          "pixels whose rendered normal is seen at a smaller cosine are dropped; 0 drops none");
        v("satisfied", satisfied, "pairs already in the right order: push (the paper) or ignore");
    }
};

/// L_d = mean over pairs of |tanh(α (D(x₁) - D(x₂))) - sign(D̄(x₁) - D̄(x₂))|, x₁, x₂ random pixels
/// of F where the prior D̄ is finite and not 0 and the rendered normal faces the camera (a grazing
/// pixel straddles an edge). D̄ is right only up to order; larger is farther. `ignore` counts pairs
/// in the right order as 0. Draws: random.generator("depth_pairs").
class DepthRankingLoss : public Loss {
  public:
    /// Error: options.satisfied is neither "push" nor "ignore"; pairs < 1, sharpness ≤ 0, min_gap <
    /// 0, or min_cosine outside [0,1).
    explicit DepthRankingLoss(DepthRankingOptions options = {});
    std::vector<std::string> needs() const override { return {"depth"}; }
    std::vector<std::string> looks_at() const override;
    std::vector<std::string> targets() const override { return {"depth", "mask"}; }
    bool stays_in_mask() const override { return true; }
    torch::Tensor forward(const LossInput& input) override;

  private:
    DepthRankingOptions options_;
};

}  // namespace fmgs
