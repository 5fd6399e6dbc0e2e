#pragma once
/// The embedded capture: a clothed person whose geometry, appearance and labels are known, rendered
/// without any surfel.
#include <fmgs/core/body_model.h>
#include <fmgs/core/config/range.h>
#include <fmgs/data/capture.h>
#include <fmgs/data/synthetic/prior_errors.h>
#include <fmgs/data/synthetic/subject.h>

#include <functional>

namespace fmgs {

struct SyntheticOptions {
    int64_t size = 256;            ///< width and height of the pictures, pixels
    int64_t train_frames = 40;     ///< over one full turn
    int64_t test_frames = 10;      ///< held-out poses of the same motion
    int64_t test_views = 8;        ///< train poses seen by other cameras
    int64_t novel_frames = 8;      ///< poses of another motion
    int64_t subdivisions = 2;      ///< of the body mesh that is dressed and drawn
    int64_t samples = 3;           ///< per pixel and axis, odd
    double height_share = 0.80;    ///< of the picture that the person fills
    int64_t seed = 7;              ///< of the errors of the priors
    std::string light = "A";       ///< synthetic_light
    std::string garment = "none";  ///< as SubjectOptions::garment

    template <class V>
    void visit(V& v) {
        v("size", size, Range::of(16, 8192), "width and height of the pictures, pixels");
        v("train_frames", train_frames, Range::at_least(1), "train frames, over one full turn");
        v("test_frames", test_frames, Range::at_least(0), "held-out poses of the same motion");
        v("test_views", test_views, Range::at_least(0), "train poses seen by other cameras");
        v("novel_frames", novel_frames, Range::at_least(0), "poses of another motion");
        v("subdivisions", subdivisions, Range::of(0, 4),
          "midpoint subdivisions of the body mesh that is dressed and drawn");
        v("samples", samples, Range::of(1, 31), "samples per pixel and axis, odd");
        v("height_share", height_share, Range::inside(0.05, 0.95),
          "share of the picture's height that the person fills");
        v("seed", seed, Range::at_least(0), "seed of the errors of the priors");
        v("light", light, "light that the person stands in: A or B");
        v("garment", garment, "worn over the other clothes: none, or skirt");
    }
};

/// Called after each frame with how many are done, possibly from several threads, one at a time.
using SyntheticProgress = std::function<void(int64_t done, int64_t total)>;

/// Who is seen in that capture. Error: not 24 joints in SMPL's order.
ClothedSubject synthetic_subject(const BodyData& body, const SyntheticOptions& options = {});

/// A mesh in the canonical pose of that body, as one would bring along for a template: the naked
/// body, not subdivided, with the garment and without what it hides. Error as above.
Mesh synthetic_template(const BodyData& body, const SyntheticOptions& options = {});

/// Splits train, test, test_view and novel_motion. World = the first camera, OpenCV axes. Every
/// frame has maps color and mask, and truth {color, mask, depth, normal, semantic}; train frames
/// also have the priors normal, depth and semantic, which are wrong as a network's are (see
/// PriorErrors). A test_view frame carries its train frame's index; test and novel_motion carry -1.
/// Same arguments, same bits, whatever the number of threads.
/// Error: not 24 joints in SMPL's order; no such light.
Capture synthetic_capture(const BodyData& body, const SyntheticOptions& options = {},
                          const SyntheticProgress& progress = {});

}  // namespace fmgs
