#include <fmgs/core/body_bases.h>

#include <fmgs/core/named_tensors.h>
#include <torch/types.h>

namespace fmgs {
namespace {

/// How each vertex is turned from rest to the canonical pose, by its skinning weights: [V,3,3].
torch::Tensor canonical_turns(const TensorDict& body) {
    const auto turns = body.at("canonical_inverse").slice(1, 0, 3).slice(2, 0, 3).transpose(1, 2);
    return torch::matmul(body.at("weights"), turns.reshape({-1, 9})).view({-1, 3, 3});
}

}  // namespace

BodyBases bases_of(const Body& body) {
    const int64_t vertices = body.shaped().size(0), numbers = 9 * (body.joint_count() - 1);
    BodyBases out{.pose = torch::zeros({vertices, 3, numbers}, body.shaped().options())};
    if (!dynamic_cast<const BodyModelImpl*>(&body)) return out;
    const auto buffers = named_tensors(body);
    const auto turns = canonical_turns(buffers);
    if (const auto* pose = buffers.find("pose_directions")) out.pose = torch::matmul(turns, *pose);
    if (const auto* shape = buffers.find("shape_directions")) {
        const auto& betas = buffers.at("betas");
        out.shape = torch::matmul(turns, *shape);
        out.betas = torch::constant_pad_nd(betas, {0, shape->size(2) - betas.size(0)});
    }
    return out;
}

BodyModel with_shape(const BodyModel& body, const torch::Tensor& shape_directions) {
    auto buffers = named_tensors(*body);
    buffers.set("shape_directions", shape_directions.to(body->shaped().options()));
    return BodyModel(buffers);
}

}  // namespace fmgs
