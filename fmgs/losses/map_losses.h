#pragma once
/// Losses on any rendered map, chosen in YAML by their type. Domain of l1, l2, cosine: F where the
/// target is finite (and not the zero vector, for cosine). Domain of cross_entropy: mask ∩ label ∈
/// [1,K).
#include <fmgs/losses/loss.h>

namespace fmgs {

/// What a term on a modality of one's own is.
struct MapLossOptions {
    std::string type;  ///< l1, l2, cosine, cross_entropy or smoothness
    std::string map;   ///< empty: the term's name

    template <class V>
    void visit(V& v) {
        v("type", type, "l1, l2, cosine, cross_entropy or smoothness");
        v("map", map, "the map or modality that it reads; empty: the term's name");
    }
};

/// Mean over pixels of the mean over channels of |f - f̄|.
class MapL1Loss : public Loss {
  public:
    explicit MapL1Loss(std::string map) : map_(std::move(map)) {}
    std::vector<std::string> needs() const override { return {map_}; }
    std::vector<std::string> targets() const override { return {map_, "mask"}; }
    bool stays_in_mask() const override { return true; }
    torch::Tensor forward(const LossInput& input) override;

  private:
    std::string map_;
};

/// Mean over pixels of the mean over channels of (f - f̄)².
class MapL2Loss : public Loss {
  public:
    explicit MapL2Loss(std::string map) : map_(std::move(map)) {}
    std::vector<std::string> needs() const override { return {map_}; }
    std::vector<std::string> targets() const override { return {map_, "mask"}; }
    bool stays_in_mask() const override { return true; }
    torch::Tensor forward(const LossInput& input) override;

  private:
    std::string map_;
};

/// Mean over pixels of 1 - f·f̄ / (‖f‖ ‖f̄‖).
class MapCosineLoss : public Loss {
  public:
    explicit MapCosineLoss(std::string map) : map_(std::move(map)) {}
    std::vector<std::string> needs() const override { return {map_}; }
    std::vector<std::string> targets() const override { return {map_, "mask"}; }
    bool stays_in_mask() const override { return true; }
    torch::Tensor forward(const LossInput& input) override;

  private:
    std::string map_;
};

/// L_s (eq. 19): mean over mask ∩ label ∈ [1,K) of -log softmax(composited logits [K,H,W])[label];
/// labels [H,W] of any integer type. Background pixels have no logits to speak of, and class 0 is
/// background; a label that is no class, such as 255, says that nobody knows.
class CrossEntropyLoss : public Loss {
  public:
    explicit CrossEntropyLoss(std::string map) : map_(std::move(map)) {}
    std::vector<std::string> needs() const override { return {map_}; }
    std::vector<std::string> targets() const override { return {map_, "mask"}; }
    bool stays_in_mask() const override { return true; }
    torch::Tensor forward(const LossInput& input) override;

  private:
    std::string map_;
};

}  // namespace fmgs
