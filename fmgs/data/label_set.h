#pragma once
/// What the numbers and colours of stored label maps mean, and how they become classes.
#include <torch/types.h>

#include <array>
#include <string>
#include <vector>

namespace fmgs {

/// The class of pixels that say nothing: no loss looks at them.
inline constexpr int64_t kIgnoredLabel = 255;

/// The labels of a network, or of one's own.
struct LabelSet {
    std::string name;
    std::vector<std::string> labels;  ///< their names, by the number in files
    /// The class of each label; kIgnoredLabel: none, -1: a number that is no label.
    std::vector<int64_t> classes;
    std::vector<std::array<int64_t, 3>> colors;  ///< red, green, blue of each label; may be empty
};

/// The classes that the labels of every known set become, background first: those of Sapiens.
const std::vector<std::string>& library_classes();

/// Of this name. Known are sapiens28 (goliath), sapiens29 (sapiens2), lip20 (schp_lip), atr18
/// (schp_atr) and cihp20. Error, which lists them, for another one.
LabelSet known_label_set(const std::string& name);
bool is_label_set(const std::string& name);

/// Numbers of labels [H,W] → their classes, int64 [H,W]; 255 is ignored in every set. Error with
/// file, place and number where there is no such label.
torch::Tensor classes_of(const torch::Tensor& numbers, const LabelSet& set,
                         const std::string& file);
/// Colours [3,H,W] of 0 to 255 → numbers of labels, int64 [H,W]. A channel may be off by
/// kColorSlack, for some programs round. Error with file, place and colour of what is none of the
/// set's.
torch::Tensor numbers_of(const torch::Tensor& colors, const LabelSet& set, const std::string& file);
inline constexpr int64_t kColorSlack = 2;

}  // namespace fmgs
