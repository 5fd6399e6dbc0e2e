#pragma once
/// Captures as people have them on disk, one file per layout (layouts/). A layout says what there
/// is: for each frame of each split its picture, mask, camera and pose. What is common to all,
/// read_capture does: betas, priors, masks, memory, decoding, splits (docs/extend/layout.md).
#include <fmgs/data/capture.h>
#include <fmgs/data/capture_poses.h>
#include <fmgs/data/frame_files.h>

namespace fmgs {

/// One split as it lies on disk.
struct SplitSource {
    std::string name;                 ///< "train", "test", "test_view" or "novel_motion"
    std::filesystem::path pose_path;  ///< where the poses are from: messages name it
    PoseFile poses;
    std::vector<FrameSource> frames;  ///< each with its row of `poses`
};

/// What a layout found.
struct CaptureSource {
    std::string description;          ///< "ZJU-MoCap, raw"
    std::vector<SplitSource> splits;  ///< those that were asked for, the train split first
    std::vector<std::string> notes;   ///< decisions and conventions the user should know
};

/// A capture with all that is common to layouts settled, and no picture opened.
struct OpenCapture {
    CaptureSource source;  ///< with SMPL's transl, for the train split's betas
    torch::Tensor betas;   ///< [B] of the train split
    /// what data.body holds; null where it is not set
    std::shared_ptr<const BodyData> body;
    FrameReading reading;      ///< of the train split's frames; others have no priors
    int64_t joint_count = 24;  ///< of the poses
};
/// Takes the train frames that are asked for, brings translations and betas of all splits together,
/// checks units and finds the priors. rest: of data.body. Errors as read_capture's.
OpenCapture open_capture(CaptureSource source, const CaptureOptions& options,
                         const std::map<std::string, std::string>& modalities,
                         const CaptureParts& parts, const RestJoints& rest);

/// What is asked of a layout.
struct CaptureRequest {
    const CaptureOptions& options;
    const CaptureParts& parts;
    const RestJoints& rest;  ///< of data.body, which is read when it is first needed, once

    std::filesystem::path root() const { return options.root; }
    /// The train split always is.
    bool is_wanted(const std::string& split) const;
    /// Error, which lists `existing`, when a split is asked for that there is not.
    void check_splits(const std::vector<std::string>& existing) const;
};

/// A layout: how it is recognised and who reads it.
struct Layout {
    const char* name;
    const char* files;  ///< what it is recognised by: "annots.npy"
    bool (*recognise)(const std::filesystem::path& root);
    /// Opens cameras and poses, and no picture. Error: missing or corrupt file, counts that do not
    /// match, NaN; the message names the file.
    CaptureSource (*read)(const CaptureRequest& request);
};

/// All that there are; the first that recognises a folder reads it.
const std::vector<Layout>& layouts();
/// The one that recognises the folder; null: none does.
const Layout* find_layout(const std::filesystem::path& root);
/// The same. Error, which lists all that are known, when none does.
const Layout& layout_of(const std::filesystem::path& root);

}  // namespace fmgs
