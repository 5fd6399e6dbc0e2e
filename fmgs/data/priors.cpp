#include <fmgs/data/priors.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/npz_reader.h>
#include <fmgs/core/names.h>
#include <fmgs/data/image_io.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/nn/functional/pooling.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

bool is_npy(const fs::path& file) { return file.extension() == ".npy"; }

void one_of(const std::string& value, const std::vector<std::string>& allowed,
            const std::string& where) {
    if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return;
    throw Error(
        fmt::format("{}: expected one of {}, got '{}'", where, fmt::join(allowed, ", "), value));
}

// Channel and sign of OpenCV's axis that a letter stands for.
std::pair<int64_t, double> axis_of(char letter) {
    switch (letter) {
        case 'R':
            return {0, 1};
        case 'L':
            return {0, -1};
        case 'D':
            return {1, 1};
        case 'U':
            return {1, -1};
        case 'F':
            return {2, 1};
        case 'B':
            return {2, -1};
        default:
            return {-1, 0};
    }
}

bool are_axes(const std::string& axes) {
    bool seen[3] = {false, false, false};
    for (const char letter : axes) {
        const int64_t channel = axis_of(letter).first;
        if (channel < 0 || seen[channel]) return false;
        seen[channel] = true;
    }
    return axes.size() == 3;
}

// (H,W,3), (3,H,W), (1,3,H,W) → [3,H,W].
torch::Tensor channels_first(torch::Tensor x, const fs::path& file) {
    if (x.dim() == 4 && x.size(0) == 1) x = x[0];
    if (x.dim() == 3 && x.size(0) == 3) return x;
    if (x.dim() == 3 && x.size(2) == 3) return x.permute({2, 0, 1});
    throw Error(fmt::format("{}: expected (H,W,3) or (3,H,W), got {}", file.string(),
                            shape_text(x.sizes())));
}

// (H,W), (1,H,W), (H,W,1) → [H,W].
torch::Tensor plane(torch::Tensor x, const fs::path& file) {
    if (x.dim() == 3 && x.size(0) == 1) x = x[0];
    if (x.dim() == 3 && x.size(2) == 1) x = x.select(2, 0);
    if (x.dim() != 2)
        throw Error(
            fmt::format("{}: expected (H,W), got {}", file.string(), shape_text(x.sizes())));
    return x.contiguous();
}

torch::Tensor unit_or_zero(const torch::Tensor& n, const torch::Tensor& valid) {
    const auto length = n.norm(2, 0, true);
    return torch::where(valid & (length > 1e-3), n / length.clamp_min(1e-3),
                        torch::zeros({}, n.options()));
}

}  // namespace

std::vector<std::string> label_names(const std::string& label_set) {
    if (label_set != "sapiens28") return {};
    return {"Background",      "Apparel",         "Face_Neck",      "Hair",       "Left_Foot",
            "Left_Hand",       "Left_Lower_Arm",  "Left_Lower_Leg", "Left_Shoe",  "Left_Sock",
            "Left_Upper_Arm",  "Left_Upper_Leg",  "Lower_Clothing", "Right_Foot", "Right_Hand",
            "Right_Lower_Arm", "Right_Lower_Leg", "Right_Shoe",     "Right_Sock", "Right_Upper_Arm",
            "Right_Upper_Leg", "Torso",           "Upper_Clothing", "Lower_Lip",  "Upper_Lip",
            "Lower_Teeth",     "Upper_Teeth",     "Tongue"};
}

namespace {

/// A key of priors.json, and where its word goes; nowhere where there is one choice only.
struct PriorKey {
    const char *group, *key;
    std::string PriorFormat::*value;
    std::vector<std::string> words;  // that there are; empty: any
};

const std::vector<PriorKey> kPriorKeys = {
    {"normal", "folder", &PriorFormat::normal_folder, {}},
    {"normal", "axes", &PriorFormat::normal_axes, {}},
    {"normal", "channel_order", &PriorFormat::normal_order, {"xyz", "bgr"}},
    {"normal", "encoding", nullptr, {"unorm"}},
    {"depth", "folder", &PriorFormat::depth_folder, {}},
    {"depth", "kind", &PriorFormat::depth_kind, {"depth", "inverse"}},
    {"depth", "scale", nullptr, {"relative"}},
    {"seg", "folder", &PriorFormat::seg_folder, {}},
    {"seg", "label_set", &PriorFormat::label_set, {}},
};

/// The keys of a group; the groups themselves for an empty one.
std::vector<std::string> known_keys(const std::string& group) {
    if (group.empty()) return {"normal", "depth", "seg"};
    std::vector<std::string> keys;
    for (const auto& entry : kPriorKeys) {
        if (entry.group == group) keys.emplace_back(entry.key);
    }
    return keys;
}

void take_word(const PriorKey& entry, const nlohmann::json& word, const std::string& where,
               PriorFormat& out) {
    if (!word.is_string())
        throw Error(fmt::format("{}: expected a word, got {}", where, word.type_name()));
    const auto value = word.get<std::string>();
    if (!entry.words.empty()) one_of(value, entry.words, where);
    if (entry.value) out.*entry.value = value;
}

/// Whether it is one of these keys. A slip of the pen for one of them is an Error; any other is a
/// remark of the file's.
bool is_key(const std::string& name, const std::vector<std::string>& keys,
            const std::string& where) {
    const size_t slip = name.size() > 5 ? 2 : 1;
    for (const auto& key : keys) {
        if (detail::edit_distance(name, key) > slip) continue;
        check_known(where, "key", name, keys);
        return true;
    }
    return false;
}

void take_group(const std::string& group, const nlohmann::json& values, const std::string& where,
                PriorFormat& out) {
    const auto keys = known_keys(group);
    if (!values.is_object())
        throw Error(fmt::format("{}: expected an object with {}, got {}", where,
                                fmt::join(keys, ", "), values.type_name()));
    for (const auto& item : values.items()) {
        if (!is_key(item.key(), keys, where)) out.unread.push_back(group + "." + item.key());
        for (const auto& entry : kPriorKeys) {
            if (entry.group == group && entry.key == item.key())
                take_word(entry, item.value(), where + "." + item.key(), out);
        }
    }
}

}  // namespace

PriorFormat read_prior_format(const fs::path& file) {
    PriorFormat out;
    const auto json = nlohmann::json::parse(read_text(file), nullptr, /*allow_exceptions=*/false);
    if (!json.is_object())
        throw Error(
            fmt::format("{}: expected a JSON object with normal, depth and seg", file.string()));
    for (const auto& group : json.items()) {
        if (is_key(group.key(), known_keys(""), file.string()))
            take_group(group.key(), group.value(), file.string() + ": " + group.key(), out);
        else
            out.unread.push_back(group.key());
    }
    if (!are_axes(out.normal_axes)) {
        throw Error(fmt::format(
            "{}: normal.axes: expected three letters, one each of R/L, U/D, F/B (Sapiens: RUB, "
            "OpenCV: RDF), got '{}'",
            file.string(), out.normal_axes));
    }
    return out;
}

void write_prior_format(const fs::path& file, const PriorFormat& format) {
    nlohmann::json out;
    for (const auto& entry : kPriorKeys)
        out[entry.group][entry.key] = entry.value ? format.*entry.value : entry.words.front();
    write_whole(file, out.dump(1) + "\n");
}

torch::Tensor normals_to_opencv(const torch::Tensor& normal, const std::string& axes) {
    check_shape(normal, {3, -1, -1}, "normal");
    if (!are_axes(axes))
        throw Error(fmt::format("axes: expected three letters such as RUB, got '{}'", axes));
    auto out = torch::empty_like(normal, at::MemoryFormat::Contiguous);
    for (int64_t i = 0; i < 3; ++i) {
        const auto [channel, sign] = axis_of(axes[static_cast<size_t>(i)]);
        out[channel].copy_(normal[i] * sign);
    }
    return out;
}

torch::Tensor read_normal(const fs::path& file, const PriorFormat& format) {
    torch::Tensor normal, valid;
    if (is_npy(file)) {
        normal = channels_first(read_npy_tensor(file).to(torch::kFloat), file);
        valid = normal.isfinite().all(0, true);
        normal = normal.nan_to_num(0.0, 0.0, 0.0);
    } else {
        const auto stored = read_color(file);
        valid = (stored > 0).any(0, true);
        normal = stored * 2 - 1;
    }
    if (format.normal_order == "bgr") normal = normal.flip(0);
    return normals_to_opencv(unit_or_zero(normal, valid), format.normal_axes);
}

torch::Tensor read_relative_depth(const fs::path& file, const PriorFormat& format,
                                  const torch::Tensor& mask) {
    torch::Tensor depth, valid;
    if (is_npy(file)) {
        depth = plane(read_npy_tensor(file).to(torch::kFloat), file);
        valid = depth.isfinite();
        depth = depth.nan_to_num(0.0, 0.0, 0.0);
    } else {
        const auto stored = read_gray(file);
        depth = stored.to(torch::kFloat) / (stored.max().item<int64_t>() > 255 ? 65535.0 : 255.0);
        valid = stored > 0;
    }
    check_shape(mask, {1, depth.size(0), depth.size(1)},
                (file.string() + ": mask beside it").c_str());
    valid = valid & (mask[0] > 0);
    if (format.depth_kind == "inverse") depth = -depth;
    if (const auto values = depth.masked_select(valid); values.numel() > 0) {
        // Only the order counts, and 0 says "none": move what is there above it.
        const auto [low, high] = values.aminmax();
        const double least = low.item<double>(), range = high.item<double>() - least;
        if (least <= 0) depth = depth - least + std::max(1e-3 * range, 1e-6);
    }
    return (depth * valid).unsqueeze(0);
}

torch::Tensor read_labels(const fs::path& file) {
    if (!is_npy(file)) return read_gray(file);
    const auto values = read_npy_tensor(file);
    if (values.is_floating_point())
        throw Error(fmt::format("{}: expected integer labels, got fractions", file.string()));
    return plane(values.to(torch::kLong), file);
}

torch::Tensor read_mask(const fs::path& file) {
    auto values = is_npy(file) ? read_labels(file).unsqueeze(0) : read_channels(file);
    // The alpha channel of a cut-out; the classes of a coloured map, black being none.
    const int64_t channels = values.size(0), last = channels - 1;
    const bool alpha =
        (channels == 2 || channels == 4) && (values[last] != values[last][0][0]).any().item<bool>();
    values = alpha
                 ? values.slice(0, last)
                 : std::get<0>(values.slice(0, 0, channels == 2 || channels == 4 ? last : channels)
                                   .max(0, true));
    // 0/1 and label maps (few small numbers) against 0..255: what is white differs.
    const int64_t top = values.numel() ? values.max().item<int64_t>() : 0;
    return (top <= 40 ? values > 0 : values >= 128).to(torch::kFloat);
}

torch::Tensor read_alpha(const fs::path& file) {
    const auto values = read_channels(file);
    if (values.size(0) != 2 && values.size(0) != 4)
        throw Error(fmt::format("{}: expected an alpha channel, which is the mask here, got {}",
                                file.string(), values.size(0) == 1 ? "grey" : "colours alone"));
    return (values.slice(0, values.size(0) - 1) >= 128).to(torch::kFloat);
}

torch::Tensor read_feature(const fs::path& file) {
    auto values = read_npy_tensor(file).to(torch::kFloat);
    if (values.dim() == 4 && values.size(0) == 1) values = values[0];
    if (values.dim() == 2) values = values.unsqueeze(0);
    if (values.dim() != 3)
        throw Error(
            fmt::format("{}: expected [C,H,W], got {}", file.string(), shape_text(values.sizes())));
    if (!values.isfinite().all().item<bool>())
        throw Error(fmt::format("{}: holds NaN or infinity", file.string()));
    return values.contiguous();
}

torch::Tensor shrink_area(const torch::Tensor& x, int64_t n) {
    if (n == 1) return x;
    return torch::avg_pool2d(x.unsqueeze(0), {n, n}).squeeze(0);
}

torch::Tensor shrink_valid(const torch::Tensor& x, const torch::Tensor& valid, int64_t n,
                           bool whole) {
    const auto weight = shrink_area(valid.to(x.scalar_type()), n);
    const auto mean = shrink_area(x * valid, n) / weight.clamp_min(1e-6);
    const double share = whole ? 1 - 1e-4 : 1e-6;
    return torch::where(weight > share, mean, torch::zeros({}, x.options()));
}

torch::Tensor shrink_normals(const torch::Tensor& normal, int64_t n, bool whole) {
    if (n == 1) return normal;
    const auto valid = (normal != 0).any(0, true);
    const auto mean = shrink_valid(normal, valid, n, whole);
    return unit_or_zero(
        mean, torch::ones_like(valid.narrow(1, 0, mean.size(1)).narrow(2, 0, mean.size(2))));
}

torch::Tensor shrink_nearest(const torch::Tensor& x, int64_t n) {
    if (n == 1) return x;
    const int64_t h = x.size(-2) / n, w = x.size(-1) / n;
    const auto rows = x.slice(-2, n / 2, (h - 1) * n + n / 2 + 1, n);
    return rows.slice(-1, n / 2, (w - 1) * n + n / 2 + 1, n).contiguous();
}

}  // namespace fmgs
