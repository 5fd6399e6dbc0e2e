#pragma once
/// Words that users choose, such as the name of a modality, and words that they look up, such as a
/// column of the routing table.
#include <cstddef>
#include <string>
#include <vector>

namespace fmgs {

/// Error unless `name` may name a modality or a loss of one's own: up to 64 letters, digits, '_'
/// and '-', a letter first, and no word that has a meaning already (a map such as "depth", a column
/// of the routing table such as "position"). `kind` is what the message calls it: "modality".
void check_name(const std::string& kind, const std::string& name);

/// Error "`where`: there is no `kind` 'name'; the nearest is …; there are …" unless `name` is one
/// of `known`.
void check_known(const std::string& where, const std::string& kind, const std::string& name,
                 const std::vector<std::string>& known);

namespace detail {

/// Levenshtein's distance: how many letters differ.
size_t edit_distance(const std::string& a, const std::string& b);

}  // namespace detail

}  // namespace fmgs
