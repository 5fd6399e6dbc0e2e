#include <fmgs/losses/skin.h>

#include <fmgs/core/check.h>
#include <fmgs/core/mesh.h>

namespace fmgs {

SkinLoss::SkinLoss(std::shared_ptr<Skinning> field, std::shared_ptr<const Body> body,
                   int64_t points)
    : field_(std::move(field)), body_(std::move(body)), points_(points) {
    if (!field_ || !body_) throw Error("skin loss: expected a skinning field and a body, got null");
    if (points < 1) throw Error("skin loss: expected at least one point");
}

torch::Tensor SkinLoss::forward(const LossInput& input) {
    const auto mesh = body_->canonical();
    const auto at = sample_surface(mesh, points_, input.random.generator("skin"));
    const auto wanted = interpolate(at, mesh.faces, body_->weights());
    const auto found = field_->forward(interpolate(at, mesh.faces, mesh.vertices));
    return (found - wanted).square().sum(1).mean();
}

SkinningTableLoss::SkinningTableLoss(std::shared_ptr<SkinningTableImpl> table)
    : table_(std::move(table)) {
    if (!table_) throw Error("skin loss: expected a skinning table, got null");
}

torch::Tensor SkinningTableLoss::forward(const LossInput& input) {
    return (table_->forward(input.canonical.position) - table_->born()).square().sum(1).mean();
}

}  // namespace fmgs
