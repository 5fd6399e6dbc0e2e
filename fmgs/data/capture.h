#pragma once
/// A capture: frames of one person by split, in one of the layouts that people have on disk
/// (docs/data_layouts.md).
#include <fmgs/core/config/range.h>
#include <fmgs/data/frame_list.h>
#include <fmgs/data/priors.h>

#include <filesystem>
#include <map>
#include <memory>

namespace fmgs {

struct BodyData;

struct CaptureOptions {
    std::string root;          ///< folder of the capture
    std::string body;          ///< any that read_body takes
    std::string splits;        ///< list of a published protocol's frames; empty: the capture's own
    std::string camera;        ///< the train split's, where there are several; empty: the first
    int64_t downscale = 1;     ///< area-average blocks of this many pixels
    int64_t first = 0;         ///< first train frame
    int64_t last = -1;         ///< last train frame, inclusive; -1: all
    int64_t stride = 1;        ///< every so many train frames
    std::string check = "on";  ///< "on" or "off": whether what contradicts the body is refused
    double memory = 0;  ///< GB of decoded frames that stay in memory; 0: half of what is free

    template <class V>
    void visit(V& v) {
        v.path("root", root, "folder of the capture");
        v.path("body", body, "body: SMPL (.pkl, .npz) and its kin, or any rig");
        v.path("splits", splits, "which frames a published protocol takes (configs/splits/)");
        v("camera", camera, "camera of the train split where there are several; empty: the first");
        v("downscale", downscale, Range::of(1, 64), "area-average blocks of this many pixels");
        v("first", first, Range::at_least(0), "first train frame");
        v("last", last, Range::at_least(-1), "last train frame; -1 takes all");
        v("stride", stride, Range::at_least(1), "take every so many train frames");
        v("check", check,
          "on: no training where masks or priors contradict the posed body; off: whatever it is");
        v("memory", memory, Range::at_least(0),
          "GB of decoded frames that stay in memory; 0: half of what is free");
    }
};

/// Splits: "train", "test" (held-out poses), "test_view" (held-out cameras), "novel_motion"; those
/// that exist. A frame of another split that shows a train frame's pose carries that frame's index;
/// others carry -1.
struct Capture {
    std::string description;  ///< one line: what was recognised
    torch::Tensor betas;      ///< [B] of the train split
    /// what data.body holds, which was needed to read the poses; null where it is not set
    std::shared_ptr<const BodyData> body;
    std::string label_set;     ///< of the semantic priors, as in priors.json; empty: there are none
    PriorFormat prior_format;  ///< how the priors of the train split were read
    std::map<std::string, FrameList> splits;
    /// decisions the user should know, e.g. other betas in another split
    std::vector<std::string> notes;
};

/// Which files of a capture are opened, beside the cameras and poses of the train split, which
/// always are.
struct CaptureParts {
    /// Splits that are read. The train split is there in any case, without maps when it is not
    /// named here. Empty: all that there are.
    std::vector<std::string> splits;
    bool priors = true;  ///< and feature priors, of the train split
    bool truth = true;   ///< the exact maps in gt/
    bool train = true;   ///< where `splits` is empty: whether train is among them
};
/// What training looks at: nothing that is held out, and no exact map.
CaptureParts training_parts();
/// What an avatar is measured on: every split but train, and exact maps; no prior.
CaptureParts held_out_parts();

/// Whether the folder has a layout that read_capture knows.
bool is_capture(const std::filesystem::path& root);

/// Opens a capture in whichever layout its files show, with priors/, and gt/, where they exist:
/// cameras and poses are read, pictures and maps are decoded when a frame is asked for.
/// `modalities`: name → folder of further feature priors ([C,H,W] .npy). Error: no layout that is
/// known, missing or corrupt file, counts that do not match, NaN in poses, a split that there is
/// not, a file of another size, one frame that is more than the free memory, as far as headers
/// tell; the message names the file. Damage further inside a file is an Error of the frame.
Capture read_capture(const CaptureOptions& options,
                     const std::map<std::string, std::string>& modalities = {},
                     const CaptureParts& parts = {});

/// The true surface of a frame: gt/mesh/NAME.ply or .obj (world, metres) in the split's own folder
/// where it has one, else in that of the capture (docs/data_layouts.md). Empty when there is none.
std::filesystem::path find_true_mesh(const std::filesystem::path& root, const std::string& split,
                                     const std::string& frame);

}  // namespace fmgs
