#include <fmgs/train/checkpoint.h>

#include <fcntl.h>
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

constexpr const char* kAside = ".unfinished-";
constexpr const char* kKind = "fmgs-checkpoint";
constexpr int64_t kFormat = 1;

/// The step that a checkpoint's folder is named for, without leading zeros.
std::string digits_of(const fs::path& folder) {
    const auto name = folder.filename().string();
    return name.substr(std::min(name.find_first_not_of('0'), name.size() - 1));
}

/// The files that a checkpoint consists of beside its state.
constexpr std::array<const char*, 2> kFiles = {"model.safetensors", "optimizer.safetensors"};

/// CRC-32 of a file's bytes, as hexadecimal digits.
std::string checksum(const fs::path& file) {
    const auto bytes = read_whole(file);
    const auto sum = crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
    return fmt::format("{:08x}", sum);
}

/// state.json, or an Error.
nlohmann::json read_json(const fs::path& folder) {
    const auto file = folder / "state.json";
    auto json = nlohmann::json::parse(read_whole(file), nullptr, /*allow_exceptions=*/false);
    if (!json.is_object() || !json.contains("step") || !json["step"].is_number_unsigned() ||
        json["step"].get<uint64_t>() > uint64_t{INT64_MAX}) {
        throw Error(fmt::format("{}: expected a JSON object with a step; the file is damaged",
                                file.string()));
    }
    // The first checkpoints named no format.
    const auto format = json.value("format", nlohmann::json(1));
    check_format(file.string(), format.is_number_integer() ? format.get<int64_t>() : 0, kFormat);
    return json;
}

TrainState state_of(const nlohmann::json& json, const fs::path& folder) {
    TrainState state;
    state.step = json["step"].get<int64_t>();
    if (digits_of(folder) != std::to_string(state.step))
        throw Error(fmt::format("{}: says step {}; the file is damaged",
                                (folder / "state.json").string(), state.step));
    if (json.contains("score") && json["score"].is_number())
        state.score = json["score"].get<double>();
    return state;
}

TrainState read_state(const fs::path& folder) { return state_of(read_json(folder), folder); }

/// Error when a file's bytes are not those that were saved; the first checkpoints had no sums.
void check_sum(const nlohmann::json& state, const fs::path& folder, const char* file) {
    const auto sums = state.value("crc32", nlohmann::json::object());
    if (!sums.is_object() || !sums.contains(file)) return;
    if (sums[file] != checksum(folder / file))
        throw Error(fmt::format("{}: its bytes are not those that were saved; the file is damaged",
                                (folder / file).string()));
}

/// How to go on without a checkpoint that is damaged.
std::string way_back(const fs::path& damaged) {
    const auto all = list_checkpoints(damaged.parent_path());
    const Checkpoint* before = nullptr;
    for (const auto& c : all)
        if (c.folder != damaged) before = &c;
    if (!before) return {};
    return fmt::format("; to go on from step {}, remove {}", before->state.step, damaged.string());
}

void check_finite(const TensorDict& tensors) {
    for (const auto& [name, tensor] : tensors) {
        if (tensor.is_floating_point() && !tensor.isfinite().all().item<bool>())
            throw Error(fmt::format("'{}' is not finite", name));
    }
}

/// By step; the name of a folder is its step.
std::vector<fs::path> checkpoint_folders(const fs::path& checkpoints) {
    std::vector<fs::path> out;
    if (!fs::is_directory(checkpoints)) return out;
    for (const auto& entry : fs::directory_iterator(checkpoints)) {
        const auto name = entry.path().filename().string();
        if (!entry.is_directory() || name.find_first_not_of("0123456789") != std::string::npos)
            continue;
        if (fs::exists(entry.path() / "state.json")) out.push_back(entry.path());
    }
    std::sort(out.begin(), out.end(), [](const fs::path& a, const fs::path& b) {
        const auto x = digits_of(a), y = digits_of(b);
        return x.size() != y.size() ? x.size() < y.size() : x < y;
    });
    return out;
}

void remove_unfinished(const fs::path& checkpoints) {
    std::vector<fs::path> leftovers;
    for (const auto& entry : fs::directory_iterator(checkpoints)) {
        if (entry.path().filename().string().rfind(kAside, 0) == 0)
            leftovers.push_back(entry.path());
    }
    for (const auto& path : leftovers) fs::remove_all(path);
}

/// Puts the folder `aside` at `place`, at once even where a checkpoint of this step exists.
void move_into_place(const fs::path& aside, const fs::path& place) {
    if (!fs::exists(place)) {
        fs::rename(aside, place);
        return;
    }
    if (::renameat2(AT_FDCWD, aside.c_str(), AT_FDCWD, place.c_str(), RENAME_EXCHANGE) != 0) {
        throw Error(fmt::format("{}: cannot replace the checkpoint of this step: {}",
                                place.string(), std::strerror(errno)));
    }
    fs::remove_all(aside);
}

void prune(const fs::path& checkpoints) {
    auto all = list_checkpoints(checkpoints);
    if (all.size() <= 2) return;
    all.resize(all.size() - 2);
    const auto last = list_checkpoints(checkpoints);
    const Checkpoint* best = nullptr;
    for (const auto& c : last) {
        if (!std::isnan(c.state.score) && (!best || c.state.score >= best->state.score)) best = &c;
    }
    for (const auto& c : all) {
        if (best && c.folder == best->folder) continue;
        // Renamed first: a removal that is cut short must not leave half a checkpoint.
        const auto aside = checkpoints / (kAside + c.folder.filename().string());
        fs::rename(c.folder, aside);
        fs::remove_all(aside);
    }
}

/// Earlier checkpoints had all rotations of the training poses in one tensor.
TensorDict with_root_apart(const TensorDict& model) {
    TensorDict out;
    for (const auto& [name, tensor] : model) {
        if (name != "poses.axis_angle" || tensor.dim() != 3 || tensor.size(1) == 0) {
            out.set(name, tensor);
            continue;
        }
        out.set("poses.root", tensor.select(1, 0).contiguous());
        out.set("poses.joints", tensor.slice(1, 1).contiguous());
    }
    return out;
}

}  // namespace

fs::path save_checkpoint(const fs::path& checkpoints, const TrainState& state,
                         const TensorDict& model, const TensorDict& optimizer) {
    const auto name = fmt::format("{:06d}", state.step);
    const auto aside = checkpoints / (kAside + name), place = checkpoints / name;
    nlohmann::ordered_json json = {{"format", kFormat}, {"step", state.step}};
    const Metadata metadata = {{"format", fmt::format("{} {}", kKind, kFormat)}};
    if (!std::isnan(state.score)) json["score"] = state.score;
    try {
        check_finite(model);
        check_finite(optimizer);
        fs::create_directories(checkpoints);
        remove_unfinished(checkpoints);
        fs::create_directory(aside);
        write_safetensors(aside / "model.safetensors", model, metadata);
        write_safetensors(aside / "optimizer.safetensors", optimizer, metadata);
        for (const auto* file : kFiles) json["crc32"][file] = checksum(aside / file);
        write_synced(aside / "state.json", {json.dump(2) + "\n"});
        sync_folder(aside);
        move_into_place(aside, place);
        sync_folder(checkpoints);
    } catch (const std::exception& e) {
        std::error_code ignored;
        fs::remove_all(aside, ignored);
        throw Error(
            fmt::format("the checkpoint of step {} was not saved (earlier ones are untouched): {}",
                        state.step, e.what()));
    }
    try {
        prune(checkpoints);
    } catch (const std::exception& e) {
        throw Error(fmt::format(
            "the checkpoint of step {} was saved, but an earlier one cannot be removed: {}",
            state.step, e.what()));
    }
    return place;
}

std::vector<Checkpoint> list_checkpoints(const fs::path& checkpoints) {
    std::vector<Checkpoint> out;
    for (const auto& folder : checkpoint_folders(checkpoints)) {
        try {
            out.push_back({folder, read_state(folder)});
        } catch (const Error&) {
            continue;  // of the newest, latest_checkpoint tells
        }
    }
    return out;
}

std::optional<Checkpoint> latest_checkpoint(const fs::path& checkpoints) {
    const auto all = checkpoint_folders(checkpoints);
    if (all.empty()) return std::nullopt;
    try {
        return Checkpoint{all.back(), read_state(all.back())};
    } catch (const Error& error) {
        throw Error(error.what() + way_back(all.back()));
    }
}

TrainState load_checkpoint(const fs::path& checkpoint, const TensorDict& model,
                           const TensorDict* optimizer) {
    if (!fs::is_directory(checkpoint))
        throw Error(fmt::format("{}: there is no such checkpoint", checkpoint.string()));
    const auto json = read_json(checkpoint);
    const auto state = state_of(json, checkpoint);
    const auto read = [&](const char* name) {
        Metadata metadata;
        const auto file = checkpoint / name;
        TensorDict tensors;
        try {
            tensors = read_safetensors(file, &metadata);
            check_sum(json, checkpoint, name);
        } catch (const Error& error) {
            throw Error(error.what() + way_back(checkpoint));
        }
        if (metadata.contains("format")) check_kind(metadata, kKind, kFormat, file.string());
        return tensors;
    };
    TensorDict saved_model, saved_optimizer;
    for (const auto& [name, tensor] : with_root_apart(read("model.safetensors"))) {
        const bool can_do_without =
            name.starts_with("losses.") ||
            (name.starts_with("avatar.projection.") && !model.contains(name));
        if (optimizer || !can_do_without) saved_model.set(name, tensor);
    }
    if (optimizer) saved_optimizer = read("optimizer.safetensors");
    const auto list =
        mismatches(saved_model, model) + (optimizer ? mismatches(saved_optimizer, *optimizer) : "");
    if (!list.empty())
        throw Error(fmt::format("{}: does not fit this model; was it made with other options?{}",
                                checkpoint.string(), list));
    copy_tensors(saved_model, model, checkpoint.string());
    if (optimizer) copy_tensors(saved_optimizer, *optimizer, checkpoint.string());
    return state;
}

}  // namespace fmgs
