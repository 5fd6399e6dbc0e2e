#pragma once
/// How the files of priors are to be read: priors.json (data_layouts in the docs).
#include <fmgs/data/label_set.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace fmgs {

/// The defaults are Sapiens' conventions.
struct PriorFormat {
    /// Where the normal's x, y and z point, as seen by the viewer: a letter each of R L U D
    /// F(orward) B(ack to the viewer). RUB: Sapiens, Marigold, ICON; RDF: OpenCV; LUB: DSINE,
    /// StableNormal; RDB: Omnidata.
    std::string normal_axes = "RUB";
    std::string normal_order = "xyz";  ///< or "bgr": channels stored the other way round
    /// "float": n; "unorm": (n+1)/2; empty: float for arrays of fractions, else unorm
    std::string normal_encoding;
    /// "depth": larger = farther; "inverse": larger = nearer (Depth-Anything, MiDaS).
    std::string depth_kind = "depth";
    std::string depth_scale = "relative";  ///< or "metric"; the order counts in both
    std::string label_set = "sapiens28";   ///< as known_label_set; a mere name beside the next two
    std::map<int64_t, std::string> label_map;  ///< number of a label → one of library_classes()
    std::vector<std::string> classes;  ///< of one's own, by number, background first; else empty
    std::vector<std::string> ignored;  ///< labels that say nothing: numbers, or their names
    std::string normal_folder = "normal", depth_folder = "depth",
                seg_folder = "seg";  ///< relative to priors.json
    /// which of the arrays in an .npz; empty: the only one
    std::string normal_array, depth_array, seg_array;
    std::vector<std::string> unread;  ///< keys of the file that are remarks
};

/// The labels that files of this format hold. Error: a set that is not known, a name in it that is
/// not.
LabelSet label_set_of(const PriorFormat& format);
/// The classes that they become, background first.
const std::vector<std::string>& class_names(const PriorFormat& format);

/// Reads priors.json; keys that it lacks keep their defaults. Keys that begin with '_', and those
/// that the docs list as remarks, are not read. Error: not JSON, any other key, a word that is not
/// known; names file, key and the nearest known one.
PriorFormat read_prior_format(const std::filesystem::path& file);
/// Writes a priors.json that says all of this.
void write_prior_format(const std::filesystem::path& file, const PriorFormat& format);

/// Three letters, one each of R/L, U/D and F/B.
bool are_axes(const std::string& axes);

}  // namespace fmgs
