#include <fmgs/data/prior_network.h>

#include <ATen/core/ivalue.h>
#include <c10/core/InferenceMode.h>
#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/io/torchscript.h>
#include <fmgs/core/memory.h>
#include <fmgs/core/vector_map.h>
#include <fmgs/data/label_set.h>
#include <fmt/format.h>
#include <torch/cuda.h>

#include <algorithm>
#include <cmath>

namespace fmgs {

namespace fs = std::filesystem;
using torch::Tensor;

std::string task_name(PriorTask task) {
    switch (task) {
        case PriorTask::seg:
            return "seg";
        case PriorTask::normal:
            return "normal";
        case PriorTask::depth:
            return "depth";
    }
    return {};
}

struct PriorNetwork::State {
    std::string file;
    PriorTask task;
    PriorNetworkOptions options;
    torch::Device device;
    bool half;
    torch::jit::Module module;
};

namespace {

Tensor rgb(const RgbOptions& color, torch::Device device) {
    return torch::tensor({color.red, color.green, color.blue}, torch::kDouble)
        .to(torch::kFloat)
        .to(device)
        .reshape({1, 3, 1, 1});
}

// [N,C,H,W] → [N,C,height,width].
Tensor resize(const Tensor& x, int64_t height, int64_t width) {
    if (x.size(2) == height && x.size(3) == width) return x;
    return at::upsample_bilinear2d(x, {height, width}, /*align_corners=*/false);
}

// Where a picture lies in the network's input.
struct Place {
    int64_t top = 0, left = 0, height = 0, width = 0;
};

Place place_of(const PriorNetworkOptions& options, int64_t height, int64_t width) {
    if (!options.keep_aspect) return {0, 0, options.height, options.width};
    const auto h = static_cast<double>(height), w = static_cast<double>(width);
    const double scale =
        std::min(static_cast<double>(options.height) / h, static_cast<double>(options.width) / w);
    const auto fitted = [&](double size) {
        return std::max<int64_t>(1, std::llround(std::nearbyint(size * scale)));
    };
    const int64_t rows = fitted(h), columns = fitted(w);
    return {(options.height - rows) / 2, (options.width - columns) / 2, rows, columns};
}

// [3,H,W] in [0,1] → [1,3,height,width], normalised.
Tensor input_of(const PriorNetworkOptions& options, const Tensor& color, torch::Device device) {
    const auto at = place_of(options, color.size(1), color.size(2));
    // Rounded as a picture of 8 bits is when it is resized.
    const auto levels =
        resize((color.to(device) * 255).round().unsqueeze(0), at.height, at.width).add(0.5).floor();
    auto input = torch::zeros({1, 3, options.height, options.width}, levels.options());
    input.narrow(2, at.top, at.height).narrow(3, at.left, at.width).copy_(levels);
    return (input - rgb(options.mean, device)) / rgb(options.deviation, device);
}

// What comes out is one of many things: a tensor, a tuple, a list or a dictionary of them.
Tensor tensor_of(const c10::IValue& value, const std::string& wanted, const std::string& file) {
    if (value.isTensor() && wanted.empty()) return value.toTensor();
    std::vector<std::pair<std::string, c10::IValue>> parts;
    if (value.isTuple() || value.isList()) {
        const auto elements =
            value.isTuple() ? value.toTupleRef().elements().vec() : value.toListRef().vec();
        for (size_t i = 0; i < elements.size(); ++i)
            parts.emplace_back(std::to_string(i), elements[i]);
    } else if (value.isGenericDict()) {
        for (const auto& item : value.toGenericDict())
            parts.emplace_back(item.key().isString() ? item.key().toStringRef() : "", item.value());
    }
    std::string names;
    for (const auto& [name, part] : parts) {
        if (part.isTensor() && (wanted.empty() || wanted == name)) return part.toTensor();
        names += (names.empty() ? "" : ", ") + name;
    }
    throw Error(
        fmt::format("{}: expected a tensor{} from the network, got {}{}; set `output` in "
                    "the description (--model)",
                    file, wanted.empty() ? "" : fmt::format(" called '{}'", wanted),
                    value.tagKind(), names.empty() ? "" : " of " + names));
}

constexpr int64_t kSapiens2 = 29;

bool has_channels_of(PriorTask task, int64_t channels, const std::string& label_set) {
    if (task == PriorTask::normal) return channels == 3;
    if (task == PriorTask::depth) return channels == 1;
    if (label_set == "sapiens28" && channels == kSapiens2) return true;
    if (!is_label_set(label_set)) return channels > 1;
    return channels == static_cast<int64_t>(known_label_set(label_set).labels.size());
}

void check_channels(const PriorNetwork::State& s, int64_t channels) {
    if (has_channels_of(s.task, channels, s.options.label_set)) return;
    std::string other;
    for (const auto task : {PriorTask::seg, PriorTask::normal, PriorTask::depth}) {
        if (has_channels_of(task, channels, "sapiens28")) other = task_name(task);
    }
    throw Error(fmt::format(
        "{}: given as a network of --{}, but its output has {} channels ({}); {}", s.file,
        task_name(s.task), channels,
        other.empty() ? "expected 28 or 29 for seg, 3 for normal, 1 for depth"
                      : "that is one of --" + other,
        other.empty() ? "for other classes name their label_set in the description (--model)"
                      : "give it as --" + other));
}

// What may help after a network failed.
std::string cure(const PriorNetwork::State& s, int64_t count, bool memory) {
    std::string text;
    if (count > 1) text = fmt::format("--batch {}", memory ? count / 2 : 1);
    if (s.half && !memory) text += std::string(text.empty() ? "" : ", or ") + "without --half";
    if (!s.half && memory && s.device.is_cuda())
        text += std::string(text.empty() ? "" : ", or ") + "--half";
    if (!text.empty()) return "try " + text;
    return memory ? "use a smaller network"
                  : "is it one for pictures of this size? A description (--model) can say another";
}

Tensor forward(PriorNetwork::State& s, const Tensor& input) {
    const int64_t count = input.size(0);
    c10::IValue value;
    try {
        value = s.module.forward({s.half ? input.to(torch::kHalf) : input});
    } catch (const std::exception&) {
        const auto reason = detail::torchscript_reason(std::current_exception());
        const bool memory = detail::is_want_of_memory(reason);
        throw Error(fmt::format("{}: {} on {} pictures of {}x{}{}: {}; {}", s.file,
                                memory ? "memory does not suffice" : "the network fails", count,
                                input.size(3), input.size(2), s.half ? " in half precision" : "",
                                reason, cure(s, count, memory)));
    }
    auto out = tensor_of(value, s.options.output, s.file);
    if (out.dim() == 3 && s.task == PriorTask::depth) out = out.unsqueeze(1);
    if (out.dim() != 4 || out.size(0) != count || out.numel() == 0 || !out.is_floating_point())
        throw Error(fmt::format("{}: expected maps [{},C,H,W] from the network, got {} {}; {}",
                                s.file, count, shape_text(out.sizes()),
                                torch::toString(out.scalar_type()), cure(s, count, false)));
    check_channels(s, out.size(1));
    return out.to(torch::kFloat);
}

// One picture's output [1,C,h,w] → its map, of the picture's size.
Tensor map_of(const PriorNetwork::State& s, Tensor out, int64_t height, int64_t width) {
    // Interpolation, and what is made of it.
    if (s.device.is_cpu())
        check_memory(8.0 * static_cast<double>(out.size(1) * height * width),
                     fmt::format("{}: maps of {}x{}", s.file, width, height),
                     "give smaller pictures");
    if (s.options.keep_aspect) {
        const auto at = place_of(s.options, height, width);
        out = resize(out, s.options.height, s.options.width)
                  .narrow(2, at.top, at.height)
                  .narrow(3, at.left, at.width);
    }
    out = resize(out, height, width)[0];
    if (s.task == PriorTask::depth) return out[0].cpu().contiguous();
    if (s.task == PriorTask::normal) return (out / (lengths(out) + 1e-5)).cpu().contiguous();
    auto labels = out.argmax(0).cpu();
    const bool newer = s.options.label_set == "sapiens28" && out.size(0) == kSapiens2;
    return newer ? classes_of(labels, known_label_set("sapiens29"), s.file) : labels;
}

}  // namespace

PriorNetwork::PriorNetwork(const fs::path& file, PriorTask task, const PriorNetworkOptions& options,
                           torch::Device device, bool half) {
    check_ranges(options, task_name(task));
    for (const double value :
         {options.deviation.red, options.deviation.green, options.deviation.blue}) {
        if (!(value > 0))
            throw Error(fmt::format("{}.deviation: expected numbers more than 0, got {}",
                                    task_name(task), value));
    }
    if (device.is_cuda() && !torch::cuda::is_available())
        throw Error(
            "--device cuda: LibTorch sees no GPU (one for CPUs alone, or no driver); use --device "
            "cpu");
    state_.reset(new State{file.string(), task, options, device, half,
                           detail::load_torchscript(file, device, half)});
}

PriorNetwork::~PriorNetwork() = default;
PriorNetwork::PriorNetwork(PriorNetwork&&) noexcept = default;
PriorNetwork& PriorNetwork::operator=(PriorNetwork&&) noexcept = default;

std::vector<Tensor> PriorNetwork::run(const std::vector<NamedPicture>& pictures) {
    std::vector<Tensor> maps;
    if (pictures.empty()) return maps;
    const c10::InferenceMode guard;
    std::vector<Tensor> inputs;
    for (const auto& [name, color] : pictures) {
        check_shape(color, {3, -1, -1}, name.c_str());
        inputs.push_back(input_of(state_->options, color, state_->device));
    }
    const auto out = forward(*state_, torch::cat(inputs));
    for (size_t i = 0; i < pictures.size(); ++i) {
        const auto one = out.narrow(0, static_cast<int64_t>(i), 1);
        if (!one.isfinite().all().item<bool>())
            throw Error(fmt::format("{}: NaN or infinity for {}; {}", state_->file,
                                    pictures[i].name,
                                    state_->half ? "try without --half"
                                                 : "is the file whole, and its input this one "
                                                   "(--model)?"));
        const auto& color = pictures[i].color;
        maps.push_back(map_of(*state_, one, color.size(1), color.size(2)));
    }
    return maps;
}

}  // namespace fmgs
