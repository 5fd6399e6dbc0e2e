#include <fmgs/data/priors.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/npz_reader.h>
#include <fmgs/core/vector_map.h>
#include <fmgs/data/stored_map.h>
#include <fmt/format.h>
#include <torch/nn/functional/pooling.h>

#include <algorithm>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

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
        default:
            return {2, -1};
    }
}

torch::Tensor unit_or_zero(const torch::Tensor& n, const torch::Tensor& valid) {
    const auto length = lengths(n);
    return torch::where(valid & (length > 1e-3), n / length.clamp_min(1e-3),
                        torch::zeros({}, n.options()));
}

// At least half of white: 128 of 255.
torch::Tensor is_white(const torch::Tensor& values, int64_t white) {
    return values >= (white + 1) / 2;
}

// Grey levels, fractions or labels: what is white differs.
torch::Tensor person_of(const torch::Tensor& values) {
    constexpr int64_t kMostLabels = 40;
    const double top = values.numel() ? values.max().item<double>() : 0;
    if (values.is_floating_point() && top <= 1) return values >= 0.5;
    if (top <= kMostLabels) return values > 0;
    const int64_t white = top > 255 ? 65535 : 255;
    // A mask of 0 and 100 is white at 100.
    return is_white(values, std::min(white, top < (white + 1) / 2 ? int64_t(top) : white));
}

bool is_varied(const torch::Tensor& x) { return (x != x[0][0]).any().item<bool>(); }

// What is neither black nor the grey of Sapiens' background in a picture of plain colours [3,H,W].
torch::Tensor painted(const torch::Tensor& colors, const fs::path& file) {
    constexpr int64_t kMostColors = 256;
    const auto c = colors.to(torch::kLong);
    const auto codes = c[0] * 65536 + c[1] * 256 + c[2];
    if (std::get<0>(at::_unique2(codes)).numel() > kMostColors)
        throw Error(
            fmt::format("{}: a photograph, or a lossy picture, is no mask; expected grey levels, "
                        "classes in plain colours, or an alpha channel, as PNG",
                        file.string()));
    const auto background = torch::tensor({50, 50, 50}, torch::kLong).reshape({3, 1, 1});
    return (codes != 0) & ((c - background).abs().amax(0) > kColorSlack);
}

// Pixels of [C,H,W] that an alpha channel, which is taken off, leaves; all where there is none.
torch::Tensor take_alpha(StoredMap& map) {
    const int64_t channels = map.values.size(0);
    if (channels != 2 && channels != 4)
        return torch::ones({map.values.size(1), map.values.size(2)}, torch::kBool);
    const auto alpha = map.values[channels - 1];
    map.values = map.values.slice(0, 0, channels - 1);
    return is_white(alpha, map.white);
}

// One channel, or three that are the same → [H,W].
torch::Tensor plane_of(const StoredMap& map, const fs::path& file) {
    const auto& x = map.values;
    if (x.size(0) == 1 || (x == x[0].unsqueeze(0)).all().item<bool>()) return x[0];
    throw Error(fmt::format("{}: expected one channel, got a picture of {}; save it as grey levels",
                            file.string(), x.size(0)));
}

// Of the vectors [3,H,W] that are not 0, or of (n+1)/2 that were not.
bool is_unit(const torch::Tensor& n) {
    constexpr double kSlack = 0.1;
    const auto there = (n != 0).any(0) & (n != -1).any(0);
    const auto length = lengths(n)[0].masked_select(there);
    return length.numel() > 0 && (length - 1).abs().mean().item<double>() < kSlack;
}

// Components of normals [3,H,W] as they were meant, and where there are any.
std::pair<torch::Tensor, torch::Tensor> components_of(const StoredMap& map,
                                                      const PriorFormat& format,
                                                      const fs::path& file) {
    const bool unorm = format.normal_encoding == "unorm" || !map.is_fraction();
    const auto wrong = [&](const char* what, const char* cure) {
        return Error(fmt::format("{}: {}; {}", file.string(), what, cure));
    };
    if (!map.is_fraction() && (format.normal_encoding == "float" || map.white < 255))
        throw wrong("normals are whole numbers, and neither bytes nor of 16 bit with (n+1)/2",
                    "take normal.encoding: float out of priors.json, or save them as float32");
    const auto stored = map.values.to(torch::kFloat);
    if (!map.is_fraction()) {
        const auto n = stored * (2.0 / static_cast<double>(map.white)) - 1;
        // Middle grey, which some write where there is no normal, is no direction.
        constexpr double kShortest = 0.1;
        return {n, (stored > 0).any(0, true) & (lengths(n) > kShortest)};
    }
    const auto valid = stored.isfinite().all(0, true);
    auto n = stored.nan_to_num(0.0, 0.0, 0.0);
    const double least = n.min().item<double>(), most = n.max().item<double>();
    if (unorm) {
        if (least < -1e-3 || most > 1.001)
            throw wrong("normal.encoding is unorm, and there are values outside of [0,1]",
                        "set \"encoding\": \"float\" for \"normal\" in priors.json");
        return {2 * n - 1, valid & (n > 0).any(0, true)};
    }
    constexpr double kBytes = 10;  // no component is so long
    if (least >= 0 && most > kBytes)
        throw wrong("normals of 0 to 255 as fractions", "save them as bytes, or as [-1,1]");
    if (least >= 0 && is_unit(2 * n - 1) && !is_unit(n))
        throw wrong("the lengths of the normals show that these are (n+1)/2",
                    "set \"encoding\": \"unorm\" for \"normal\" in priors.json");
    return {n, valid};
}

}  // namespace

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
    auto map = read_stored_map(file, format.normal_array);
    const auto inside = take_alpha(map);
    if (map.values.size(0) != 3)
        throw Error(fmt::format("{}: expected three channels (x, y and z of normals), got one",
                                file.string()));
    auto [normal, valid] = components_of(map, format, file);
    if (format.normal_order == "bgr") normal = normal.flip(0);
    return normals_to_opencv(unit_or_zero(normal, valid & inside), format.normal_axes);
}

torch::Tensor read_relative_depth(const fs::path& file, const PriorFormat& format,
                                  const torch::Tensor& mask) {
    auto map = read_stored_map(file, format.depth_array);
    auto valid = take_alpha(map);
    const bool points = map.is_fraction() && map.values.size(0) == 3;
    auto depth = points ? map.values[2] : plane_of(map, file).to(torch::kFloat);
    if (points || !map.is_fraction()) valid = valid & (map.values != 0).any(0);
    if (map.white > 0) depth = depth / static_cast<double>(map.white);
    valid = valid & depth.isfinite();
    depth = depth.nan_to_num(0.0, 0.0, 0.0);
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

namespace {

void check_numbers(const StoredMap& map, const fs::path& file) {
    if (map.is_fraction())
        throw Error(fmt::format("{}: expected integer labels, got fractions", file.string()));
    if (map.white == 1)
        throw Error(
            fmt::format("{}: expected integer labels, got a mask of bool; Sapiens' are in "
                        "{}_seg.npy",
                        file.string(), file.stem().string()));
}

}  // namespace

torch::Tensor read_labels(const fs::path& file) {
    const auto map = read_stored_map(file);
    check_numbers(map, file);
    return plane_of(map, file).to(torch::kLong).contiguous();
}

torch::Tensor read_classes(const fs::path& file, const PriorFormat& format) {
    const auto set = label_set_of(format);
    auto map = read_stored_map(file, format.seg_array);
    check_numbers(map, file);
    const auto inside = take_alpha(map);
    const auto& x = map.values;
    // Three equal channels are numbers, too, as long as they can be.
    const auto top = x.numel() ? x.max().item<int64_t>() : 0;
    const bool numbers = x.size(0) == 1 ||
                         ((x == x[0].unsqueeze(0)).all().item<bool>() &&
                          (top < static_cast<int64_t>(set.classes.size()) || top == kIgnoredLabel));
    const auto labels =
        numbers ? x[0].to(torch::kLong).contiguous() : numbers_of(x, set, file.string());
    return classes_of(labels * inside, set, file.string());
}

torch::Tensor read_mask(const fs::path& file) {
    constexpr int64_t kGrey = 8;  // channels of a grey JPEG differ by less
    auto map = read_stored_map(file);
    const int64_t channels = map.values.size(0);
    if (channels == 2 || channels == 4) {
        const auto alpha = map.values[channels - 1];
        const auto inside = take_alpha(map);
        if (is_varied(alpha)) return inside.unsqueeze(0).to(torch::kFloat);
    }
    if (!map.is_fraction()) map.values = map.values.to(torch::kLong);
    const auto top = map.values.amax(0);
    const bool colors = map.values.size(0) == 3 && !map.is_fraction() &&
                        (top - map.values.amin(0)).max().item<int64_t>() > kGrey;
    return (colors ? painted(map.values, file) : person_of(top.nan_to_num(0.0)))
        .unsqueeze(0)
        .to(torch::kFloat);
}

torch::Tensor read_alpha(const fs::path& file) {
    auto map = read_stored_map(file);
    if (map.values.size(0) != 2 && map.values.size(0) != 4)
        throw Error(fmt::format("{}: expected an alpha channel, which is the mask here, got {}",
                                file.string(), map.values.size(0) == 1 ? "grey" : "colours alone"));
    return take_alpha(map).unsqueeze(0).to(torch::kFloat);
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
