#pragma once
/// Editing baked avatars by the classes of their surfels: hide, tint, take from another avatar.
#include <fmgs/baked_avatar.h>

#include <array>

namespace fmgs {

/// The class that `word` names: one of `names`, in which capitals, blanks and '_' make no
/// difference, or its number. Error naming the nearest, and all that there are.
int64_t find_class(const std::string& word, const std::vector<std::string>& names);

/// How much an edit of the surfels `chosen` [N] bool counts on each face of the mesh [N]: 1 inside
/// and 0 outside but for the two rings of faces along the seam, 2/3 on the chosen side and 1/3 on
/// the other. Faces are neighbours when they share a vertex.
torch::Tensor feathered(const torch::Tensor& chosen, const torch::Tensor& faces);

/// The avatar whose surfels of these classes are transparent. Error, as below: the avatar has no
/// labels, or no surfel of one of the classes.
BakedParts hide_classes(BakedParts avatar, const std::vector<int64_t>& classes);
/// The avatar whose surfels of this class have `color` [3] in [0,1] as their mean colour, lighter
/// and darker where they were: color·(1 + (Y - Ȳ) / max(Ȳ, 0.2)) with their luma Y; feathered.
BakedParts tint_class(BakedParts avatar, int64_t label, const std::array<double, 3>& color);
/// `avatar` dressed in these classes of `other`: offsets, scales, turns, colours, opacity and
/// labels of all surfels that have one of the classes in either avatar are the other's, feathered;
/// bones and skinning stay. Each part follows the pose as it did before: K is the sum of both.
/// Error, too, when the templates or rigs differ.
BakedParts take_classes(BakedParts avatar, const BakedParts& other,
                        const std::vector<int64_t>& classes);

}  // namespace fmgs
