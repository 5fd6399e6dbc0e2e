#pragma once
/// Baking: the BakedAvatar that comes closest to a trained avatar over its training poses.
#include <fmgs/avatar_scene.h>
#include <fmgs/baked_avatar.h>

#include <functional>

namespace fmgs {

struct BakeOptions {
    int64_t components = 8;  ///< K
    int64_t poses = 200;     ///< at most so many of the training poses are looked at, evenly spread
    int64_t views = 4;       ///< cameras around each pose that look for its colours
    /// Standard deviation of the noise on each number of a pose against which the fit is steady.
    double noise = 0.1;
};

/// Evaluates the avatar in the scene's poses, with its camera carried around the person, and fits
/// each surfel's attributes (BakedParts) by least squares:
///   skinning   the mean over the poses, of which the four largest weights stay;
///   colour     of each pose: the mean over the views, each counted by what the surfel adds to the
///              picture there;
///   mean       over the poses;
///   components of all linear maps of rank K from the numbers of a pose to the attributes the one
///              with the least squared error plus F·noise²·‖map‖², the mean of what noise on the
///              F poses would do: directions in which they hardly differ say nothing. Offset,
///              scales, turn and colour count alike, each by its own variance. The first k
///              components are those of K = k.
/// The avatar's body has to be a BodyModel. One that is linear has no pose projection: an avatar
/// with one is baked in train() mode, without it. `progress` is called after each pose with done
/// and total. Error: more components than the poses are independent (at most poses - 1); a pose
/// projection in eval() mode; joints that the body has not.
BakedAvatar bake(const Avatar& avatar, const AvatarScene& scene, const BakeOptions& options = {},
                 const std::function<void(int64_t, int64_t)>& progress = {});

namespace detail {

/// c = projectionᵀ x + bias, y ≈ ȳ + Σ_k c_k Σ_f mixing_kf (y_f - ȳ).
struct LinearFit {
    torch::Tensor projection;  ///< [P,K]
    torch::Tensor bias;        ///< [K]
    torch::Tensor mixing;      ///< [K,F]
};
/// The best linear map of rank `count` from inputs [F,P] to outputs whose centred Gram matrix is
/// `gram` [F,F], by squared error plus ridge·‖map‖² (reduced-rank regression, Izenman 1975). All in
/// double. Error: count is above the rank of the inputs.
LinearFit fit_linear(const torch::Tensor& inputs, const torch::Tensor& gram, double ridge,
                     int64_t count);

}  // namespace detail
}  // namespace fmgs
