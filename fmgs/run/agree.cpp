#include <fmgs/run/agree.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/io/files.h>
#include <fmgs/version.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>
#include <torch/version.h>
#include <zlib.h>

#include <set>

namespace fmgs {

namespace {

using Facts = std::map<std::string, std::string>;

constexpr char kEndOfKey = '\x1f', kEndOfFact = '\x1e';

/// CRC-32 of all that it was given.
class Digest {
  public:
    void add(const std::string& text) { add(text.data(), text.size()); }
    void add(const torch::Tensor& tensor) {
        const auto values = tensor.cpu().contiguous();
        add(shape_text(values.sizes()));
        add(values.const_data_ptr(), static_cast<size_t>(values.numel() * values.element_size()));
    }
    std::string text() const { return fmt::format("{:08x}", sum_); }

  private:
    void add(const void* bytes, size_t count) {
        sum_ = crc32_z(sum_, static_cast<const Bytef*>(bytes), count);
    }
    uLong sum_ = crc32_z(0, nullptr, 0);
};

/// Frames, cameras and poses, told apart by sums in which each frame weighs otherwise.
std::string heads_text(std::span<const Frame> heads) {
    Digest names;
    double poses = 0, cameras = 0;
    for (size_t k = 0; k < heads.size(); ++k) {
        const auto& camera = heads[k].camera;
        const auto& pose = heads[k].pose;
        names.add(fmt::format("{} {} {}x{}\n", heads[k].name, heads[k].index, camera.width,
                              camera.height));
        const double weight = 1 + static_cast<double>(k % 97) / 97;
        const auto sum = [&](const torch::Tensor& x) {
            const auto values = x.to(torch::kDouble).flatten();
            return weight * (values * torch::arange(1, values.numel() + 1, torch::kDouble))
                                .mean()
                                .item<double>();
        };
        poses += sum(pose.rotations) + 10 * sum(pose.translation);
        cameras += sum(camera.rotation) + sum(camera.translation) + sum(camera.intrinsics);
    }
    return fmt::format("{} frames {}, poses {:.3e}, cameras {:.3e}", heads.size(), names.text(),
                       poses, cameras);
}

/// Maps of eight frames, evenly spread.
std::string maps_text(const FrameList& frames) {
    constexpr size_t kLooked = 8;
    Digest digest;
    const size_t count = std::min(kLooked, frames.size());
    for (size_t k = 0; k < count; ++k) {
        for (const auto& [name, map] : frames[k * frames.size() / count].maps) {
            digest.add(name);
            digest.add(map);
        }
    }
    return "maps " + digest.text();
}

std::string shapes_text(const TensorDict& model) {
    Digest digest;
    int64_t count = 0;
    for (const auto& [name, tensor] : model) {
        digest.add(fmt::format("{} {} {}\n", name, shape_text(tensor.sizes()),
                               c10::toString(tensor.scalar_type())));
        count += tensor.numel();
    }
    return fmt::format("{} numbers, {}", count, digest.text());
}

}  // namespace

Facts facts_of(const Run& run, const TensorDict& model) {
    static const std::set<std::string> kPlaces = {"output",    "train.device", "data.root",
                                                  "data.body", "data.memory",  "train.timeout"};
    Facts facts;
    for (const auto& [key, value] : flattened(run.options))
        if (!kPlaces.contains(key)) facts["option " + key] = value;
    facts["the version of libfmgs"] = FMGS_VERSION;
    facts["the version of LibTorch"] = TORCH_VERSION;
    if (std::filesystem::is_regular_file(run.options.data.body)) {
        Digest body;
        body.add(read_whole(run.options.data.body));
        facts["the body's file"] = body.text();
    }
    const auto& frames = run.capture.splits.at("train");
    facts["the capture"] = heads_text(frames.heads()) + ", " + maps_text(frames.without_truth());
    facts["what is learned"] = shapes_text(model);
    return facts;
}

std::string disagreements(const std::vector<Facts>& facts_of_ranks) {
    const auto value = [](const Facts& facts, const std::string& key) {
        const auto found = facts.find(key);
        return found == facts.end() ? std::string("nothing") : found->second;
    };
    std::string text;
    const auto& first = facts_of_ranks.at(0);
    for (size_t rank = 1; rank < facts_of_ranks.size(); ++rank) {
        auto keys = first;
        keys.insert(facts_of_ranks[rank].begin(), facts_of_ranks[rank].end());
        for (const auto& [key, any] : keys) {
            const auto here = value(facts_of_ranks[rank], key), there = value(first, key);
            if (here != there)
                text += fmt::format("{}rank {}: {} is {}, rank 0 has {}", text.empty() ? "" : "\n",
                                    rank, key, here, there);
        }
    }
    return text;
}

void check_agreement(Ranks& ranks, const Facts& facts) {
    if (ranks.alone()) return;
    std::string mine;
    for (const auto& [key, value] : facts) mine += key + kEndOfKey + value + kEndOfFact;
    std::vector<Facts> all;
    for (const auto& text : ranks.texts(mine)) {
        Facts theirs;
        for (size_t at = 0; at < text.size();) {
            const auto middle = text.find(kEndOfKey, at), end = text.find(kEndOfFact, middle);
            theirs[text.substr(at, middle - at)] = text.substr(middle + 1, end - middle - 1);
            at = end + 1;
        }
        all.push_back(std::move(theirs));
    }
    const auto text = disagreements(all);
    if (!text.empty())
        throw AgreedError(fmt::format("the ranks do not mean the same run:\n{}", text));
}

void share_state(Ranks& ranks, TrainState& state, const TensorDict& model,
                 const TensorDict& moments) {
    if (ranks.alone()) return;
    auto numbers = torch::tensor({static_cast<double>(state.step), state.score}, torch::kDouble);
    std::vector<torch::Tensor> all = {numbers};
    for (const auto* tensors : {&model, &moments})
        for (const auto& [name, tensor] : *tensors) all.push_back(tensor);
    ranks.take_from_first(all);
    state = {static_cast<int64_t>(numbers[0].item<double>()), numbers[1].item<double>()};
}

}  // namespace fmgs
