#pragma once
/// Maps that people bring along, whatever their axes and polarity: read, brought to our
/// conventions, shrunk.
#include <fmgs/data/prior_format.h>
#include <torch/types.h>

#include <filesystem>

namespace fmgs {

/// Unit normals with these axes [3,H,W] → OpenCV (x right, y down, z forward).
torch::Tensor normals_to_opencv(const torch::Tensor& normal, const std::string& axes);

// What follows reads files of the kinds of read_stored_map. Of those that hold integers, as
// pictures do, 0 (0,0,0) says "none".

/// → [3,H,W] unit, OpenCV; 0 = none, which a pixel outside of an alpha channel is, too. Error:
/// grey; values that are not of format.normal_encoding.
torch::Tensor read_normal(const std::filesystem::path& file, const PriorFormat& format);
/// A depth, or the points of a camera's view (H,W,3) whose z is taken → [1,H,W], larger = farther,
/// positive; 0 = none. Right up to order only. mask: [1,H,W]; pixels outside have no value
/// (networks also write something there).
torch::Tensor read_relative_depth(const std::filesystem::path& file, const PriorFormat& format,
                                  const torch::Tensor& mask);
/// Whole numbers as they are → [H,W] int64. Error for fractions and bool.
torch::Tensor read_labels(const std::filesystem::path& file);
/// Numbers of labels, or a picture in the palette of the label set → classes, [H,W] int64;
/// kIgnoredLabel where there is none. Error with the place of what is no label.
torch::Tensor read_classes(const std::filesystem::path& file, const PriorFormat& format);
/// Where the person is, [1,H,W] of 0 and 1: 0 and 255, 0 and 1, 0 and 100, fractions, labels or
/// classes in colours (all but 0, black or Sapiens' background), or a cut-out's alpha channel.
/// Error for a photograph.
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
