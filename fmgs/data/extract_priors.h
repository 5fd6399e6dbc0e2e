#pragma once
/// Priors of a folder of pictures, made by networks.
#include <fmgs/data/prior_network.h>

#include <functional>
#include <map>

namespace fmgs {

/// What a description (YAML) says of the networks.
struct PriorNetworksOptions {
    PriorNetworkOptions seg, normal, depth;

    template <class V>
    void visit(V& v) {
        v.group("seg", seg);
        v.group("normal", normal);
        v.group("depth", depth);
    }
};

struct ExtractOptions {
    /// A folder of pictures, in which folders of pictures may lie (of cameras), or a capture with
    /// images/.
    std::filesystem::path input;
    std::filesystem::path output;                      ///< empty: priors/ of the capture
    std::map<PriorTask, std::filesystem::path> files;  ///< TorchScript files
    PriorNetworksOptions networks;
    int64_t batch = 1;  ///< pictures that go through a network at a time
    bool half = false;
    torch::Device device = torch::kCPU;
};

struct ExtractReport {
    std::filesystem::path output;
    int64_t pictures = 0;
    int64_t made = 0, kept = 0;  ///< maps: of each picture one for each network
    std::vector<std::string> notes;
};

/// Writes output/seg/NAME.npy (H,W) bool, the person, and NAME_seg.npy (H,W) int64;
/// normal/NAME.npy (H,W,3) float32; depth/NAME.npy (H,W) float32: the names of Sapiens' own
/// scripts; and what they are into priors.json. Maps that are there and whole
/// are kept, others are written aside and renamed, so that a call after one that was killed goes
/// on. One network is in memory at a time.
///
/// `progress` hears how many of how many maps are done, after each batch; what it throws ends the
/// call. Error, naming file and cure: no pictures, two of one name, a picture that its EXIF data
/// turn, priors of other conventions or as pictures that are there already, and those of
/// PriorNetwork.
ExtractReport extract_priors(const ExtractOptions& options,
                             const std::function<void(int64_t done, int64_t all)>& progress = {});

}  // namespace fmgs
