#pragma once
/// A binary glTF 2.0 file (.glb) in the making: its one buffer, and what the JSON says of it.
#include <torch/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace fmgs {

/// What an accessor's numbers are for. Positions and times have their bounds in the JSON.
enum class GlbUse { kData, kTimes, kVertices, kPositions, kIndices };

class GlbBuffer {
  public:
    /// Appends rows [n], [n,2], [n,3], [n,4] or [n,4,4] (matrices, stored by columns) of float,
    /// uint8, int16 or int32 (these two without negative numbers) and returns the index of their
    /// accessor.
    int64_t add(const torch::Tensor& values, GlbUse use = GlbUse::kData);
    /// Appends bytes, a picture, and returns the index of their buffer view.
    int64_t add_bytes(const std::string& bytes);

    /// Replaces `file`, whole or not at all. `json`: the text of an object with everything but
    /// asset, buffers, bufferViews and accessors. Error: disk full; more than 4 GB.
    void write(const std::filesystem::path& file, const std::string& json) const;

  private:
    struct View {
        size_t offset, length;
        GlbUse use;
    };
    struct Accessor {
        int64_t view, count;
        int component;
        const char* type;
        std::vector<double> least, largest;  // empty: not said
    };

    std::string bytes_;
    std::vector<View> views_;
    std::vector<Accessor> accessors_;
};

}  // namespace fmgs
