#pragma once
/// Maps that people bring along, whatever their axes and polarity: read, brought to our
/// conventions, shrunk.
#include <torch/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace fmgs {

/// How prior files are to be read: priors.json (data_layouts in the docs). The defaults are
/// Sapiens' conventions.
struct PriorFormat {
    /// Where the normal's x, y and z point, as seen by the viewer: a letter each of R L U D
    /// F(orward) B(ack to the viewer). RUB: Sapiens, Marigold, ICON; RDF: OpenCV; LUB: DSINE,
    /// StableNormal; RDB: Omnidata.
    std::string normal_axes = "RUB";
    std::string normal_order = "xyz";  ///< or "bgr": channels stored the other way round
    /// "depth": larger = farther; "inverse": larger = nearer (Depth-Anything, MiDaS).
    std::string depth_kind = "depth";
    std::string label_set = "sapiens28";
    std::string normal_folder = "normal", depth_folder = "depth",
                seg_folder = "seg";   ///< relative to priors.json
    std::vector<std::string> unread;  ///< keys of the file that mean nothing here: remarks
};

/// The classes of a label set in order, background first; empty when the set is not known. Known:
/// "sapiens28".
std::vector<std::string> label_names(const std::string& label_set);

/// Reads priors.json; keys that it lacks keep their defaults. Error: not JSON, a word that is not
/// known, a key that is nearly a known one; names file and key.
PriorFormat read_prior_format(const std::filesystem::path& file);
/// Writes a priors.json that says all of this.
void write_prior_format(const std::filesystem::path& file, const PriorFormat& format);

/// Unit normals with these axes [3,H,W] → OpenCV (x right, y down, z forward).
torch::Tensor normals_to_opencv(const torch::Tensor& normal, const std::string& axes);

/// .png ((n+1)/2 in 8 bit, 0,0,0 = none) or .npy ((H,W,3) or (3,H,W) in [-1,1]) → [3,H,W] unit,
/// OpenCV; 0 = none.
torch::Tensor read_normal(const std::filesystem::path& file, const PriorFormat& format);
/// .png (8 or 16 bit, 0 = none) or .npy → [1,H,W], larger = farther, positive; 0 = none. Right up
/// to order only. mask: [1,H,W]; pixels outside have no value (networks also write something
/// there).
torch::Tensor read_relative_depth(const std::filesystem::path& file, const PriorFormat& format,
                                  const torch::Tensor& mask);
/// .png or .npy → [H,W] int64.
torch::Tensor read_labels(const std::filesystem::path& file);
/// .png (0/255, 0/1, labels, colours of classes, or a cut-out with an alpha channel) or .npy (bool,
/// 0/1) → [1,H,W] of 0 and 1.
torch::Tensor read_mask(const std::filesystem::path& file);
/// The alpha channel of a .png, [1,H,W] of 0 and 1. Error when there is none.
torch::Tensor read_alpha(const std::filesystem::path& file);
/// .npy [C,H,W], or (H,W) as one channel → [C,H,W] float.
torch::Tensor read_feature(const std::filesystem::path& file);

/// Blocks of n×n pixels to one; columns and rows that fill no whole block are cut off on the right
/// and below. Mean over all pixels: [C,H,W] → [C,H/n,W/n].
torch::Tensor shrink_area(const torch::Tensor& x, int64_t n);
/// Mean over the valid pixels of a block; 0 where none is valid or, with `whole`, where not all
/// are. valid: [1,H,W] bool.
torch::Tensor shrink_valid(const torch::Tensor& x, const torch::Tensor& valid, int64_t n,
                           bool whole);
/// The same for unit normals (0 = none), unit again.
torch::Tensor shrink_normals(const torch::Tensor& normal, int64_t n, bool whole);
/// The pixel at the centre of the block (below right of it when n is even): [..., H,W] of any type.
torch::Tensor shrink_nearest(const torch::Tensor& x, int64_t n);

}  // namespace fmgs
