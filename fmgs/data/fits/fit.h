#pragma once
/// What every layout of poses is read into, and the list of them.
#include <fmgs/core/io/value.h>
#include <fmgs/data/pose_file.h>

namespace fmgs::detail {

/// One person, as the layout has it. F rows, double; checked by read_pose_file.
struct Track {
    std::string person;       ///< as the file calls it; empty: it does not
    torch::Tensor rotations;  ///< [F,3J] axis-angle, the root first
    torch::Tensor transl;     ///< [F,3]; undefined: none
    Place place = Place::kSmpl;
    torch::Tensor betas;             ///< [B] or [F,B]; undefined: none that fit SMPL
    torch::Tensor expression;        ///< [F,E]; undefined: none
    std::vector<int64_t> frames;     ///< empty: 0, 1, 2, …
    std::vector<std::string> names;  ///< of the frames; empty: none
    torch::Tensor intrinsics;        ///< [3,3] or [F,3,3]; undefined: none
    torch::Tensor extrinsic;         ///< [F,4,4], see PoseFile
    int64_t width = 0, height = 0;   ///< of its pictures, 0: unknown
};

/// A whole file.
struct Fit {
    std::string layout;
    std::vector<Track> people;
    double fps = 0;       ///< 0: the file does not say
    std::string up_axis;  ///< as PoseFile's
    /// the focal length that the program takes where it is told none
    std::optional<FitCamera> camera{};
    std::vector<std::string> notes{};
};

struct FitInput {
    std::string what;  ///< the file's name, for messages
    std::filesystem::path path;
    Value value;  ///< of a folder: file name without extension → content, in numeric order
    bool is_folder = false;
    const PoseFileOptions& options;
};

struct FitLayout {
    const char* name;  ///< for the list of what is known
    bool (*recognise)(const Value&);
    Fit (*read)(const FitInput&);
};

/// In the order in which they are asked.
const std::vector<FitLayout>& fit_layouts();

// One file each.
extern const FitLayout kRomp, kWham, kVibe, kPhalp, kGvhmr, kGlamr, kMeshcapade, kTram, kRecords,
    kWildMetadata, kSamBody, kNested, kRows, kRowsPerFrame, kBones, kBareArray;

/// Whether there are bone matrices, and no angles.
bool is_bones(const Value& value);

/// BVH is text, and no Value.
bool is_bvh(const std::filesystem::path& file);
Fit read_bvh_fit(const std::filesystem::path& file);

}  // namespace fmgs::detail
