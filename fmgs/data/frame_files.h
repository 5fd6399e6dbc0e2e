#pragma once
/// The files of one frame: picture, mask, priors and exact maps → Frame.
#include <fmgs/data/priors.h>
#include <fmgs/data/source_camera.h>
#include <fmgs/data/stored_map.h>

#include <filesystem>
#include <map>
#include <memory>

namespace fmgs {

/// Where a frame's mask is.
struct MaskSource {
    enum class Says {
        person,      ///< where the mask is white, or any label
        background,  ///< the other way round
        alpha,       ///< the picture's own alpha channel; no files
        everything,  ///< there is none yet, and all counts; no files
    };
    /// Several: a pixel is the person's when any of them says so.
    std::vector<std::filesystem::path> files;
    Says says = Says::person;
    /// Row of the data set "masks" when the file is HDF5.
    int64_t row = 0;
};

/// One picture of a capture, and what belongs to it.
struct FrameSource {
    std::string name;  ///< its own within the split: CAMERA/NAME where there are several
    std::filesystem::path picture;  ///< or a video
    int64_t video_frame = -1;       ///< of the video; -1: the picture is a file
    MaskSource mask;
    std::filesystem::path folder;  ///< in which gt/ may lie
    SourceCamera camera;
    int64_t row = 0;  ///< of the poses of its split
};

class FrameDecoders;

/// Which maps are there to be read beside picture and mask, and how.
struct FrameReading {
    int64_t downscale = 1;
    bool truth = true;  ///< the exact maps in gt/, where they are
    /// the colour of all pixels as stored; else it is black where the mask is not
    bool background = false;
    PriorFormat format;
    std::filesystem::path normal, depth, semantic;          ///< folders; empty: not there
    std::map<std::string, std::filesystem::path> features;  ///< modality → folder
    std::shared_ptr<FrameDecoders> decoders;
};

/// What stays open or computed between the frames of one capture: videos, sets of masks, lenses.
/// May be used by several threads.
std::shared_ptr<FrameDecoders> make_decoders();

/// The channels of a feature prior, by its header.
int64_t feature_channels(const std::filesystem::path& file);

/// Where a semantic prior of this frame is, or would be.
std::filesystem::path find_labels(const std::filesystem::path& folder, const std::string& name);

/// Bytes that the maps of this frame take, by the headers of its files.
struct FrameBytes {
    double decoded = 0;  ///< as read_frame_files returns them
    double kept = 0;     ///< as CompactFrame keeps them
};
FrameBytes frame_bytes(const FrameSource& source, const FrameReading& reading);

/// Error when a file of the frame is missing, is none that can be read, or is of another size, as
/// far as its header tells.
void check_frame_files(const FrameSource& source, const FrameReading& reading);

/// The camera of the frame that read_frame_files makes.
Camera frame_camera(const FrameSource& source, const FrameReading& reading);

/// Reads the maps of a frame: maps color, mask and what `reading` has; truth color, mask and, where
/// gt/ has the frame, depth [1,H,W] metres, normal [3,H,W], semantic [H,W]. Distortion of the
/// camera's lens is taken out of all of them. Error: a file that is missing, damaged or of another
/// size, which its header tells before anything is decoded.
void read_frame_files(const FrameSource& source, const FrameReading& reading, Frame& frame);

}  // namespace fmgs
