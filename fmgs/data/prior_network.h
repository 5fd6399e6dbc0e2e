#pragma once
/// Networks that guess normals, depth or labels of a picture: TorchScript files (torch.jit.save),
/// run as their makers run them.
#include <fmgs/core/config/range.h>
#include <torch/types.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace fmgs {

/// What a network guesses. Its output says it, too: 28 or 29 channels are classes of Sapiens, 3 a
/// normal, 1 a depth.
enum class PriorTask { seg, normal, depth };
/// "seg", "normal", "depth": the name of its option and of its folder.
std::string task_name(PriorTask task);

struct RgbOptions {
    double red = 0, green = 0, blue = 0;

    template <class V>
    void visit(V& v) {
        v("red", red, Range::at_least(0));
        v("green", green, Range::at_least(0));
        v("blue", blue, Range::at_least(0));
    }
};

/// What a network wants and answers. The defaults are those of Sapiens' first TorchScript files
/// (facebookresearch/sapiens, lite).
struct PriorNetworkOptions {
    int64_t width = 768, height = 1024;
    bool keep_aspect = false;
    RgbOptions mean{123.5, 116.5, 103.5}, deviation{58.5, 57.0, 57.5};
    std::string output;
    std::string axes = "RUB", kind = "depth", label_set = "sapiens28";

    template <class V>
    void visit(V& v) {
        v("width", width, Range::of(1, 16384), "of the input, pixels");
        v("height", height, Range::of(1, 16384), "of the input, pixels");
        v("keep_aspect", keep_aspect,
          "fit the picture into the input, black around it, instead of stretching it");
        v.group("mean", mean, "taken off the input's values, which are 0 to 255");
        v.group("deviation", deviation, "what they are divided by then");
        v("output", output, "key of the dictionary or place in the tuple; empty: the first");
        v("axes", axes, "of a network of normals, as in priors.json");
        v("kind", kind, "of a network of depth, as in priors.json");
        v("label_set", label_set, "of a network of labels, as in priors.json");
    }
};

/// A picture, and the name that messages call it by.
struct NamedPicture {
    std::string name;
    torch::Tensor color;  ///< [3,H,W] in [0,1], RGB
};

/// A network, on its device.
class PriorNetwork {
  public:
    /// Error, naming file and cure: not there, no TorchScript (a safetensors file, a checkpoint of
    /// weights, torch.export), options out of range, no such device.
    PriorNetwork(const std::filesystem::path& file, PriorTask task,
                 const PriorNetworkOptions& options = {}, torch::Device device = torch::kCPU,
                 bool half = false);
    ~PriorNetwork();
    PriorNetwork(PriorNetwork&&) noexcept;
    PriorNetwork& operator=(PriorNetwork&&) noexcept;

    /// The maps of these pictures, which may differ in size, on the CPU. Labels [H,W] int64, a set
    /// of Sapiens always that of 28 (of the 29, Eyeglass becomes Face_Neck); normals [3,H,W],
    /// divided by their length + 1e-5, in the network's axes; depth [H,W] as the network gives it.
    ///
    /// In: resized bilinearly with half-pixel centres and no antialiasing, as OpenCV's INTER_LINEAR
    /// does, to whole numbers of 0 to 255. Out: bilinearly to the picture's size, then the class of
    /// the largest value, or the unit vector.
    ///
    /// Error, naming file and cure: the network fails, memory does not suffice, its output is no
    /// map, has channels of another task, or NaN.
    std::vector<torch::Tensor> run(const std::vector<NamedPicture>& pictures);

    struct State;  // of the .cpp alone

  private:
    std::unique_ptr<State> state_;
};

}  // namespace fmgs
