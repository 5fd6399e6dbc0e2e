// Reads splat files.
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/ply_file.h>
#include <fmgs/core/io/splat_file.h>
#include <fmgs/core/memory.h>
#include <fmgs/core/quaternion.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/types.h>

#include <algorithm>
#include <map>

namespace fmgs {
namespace {

using detail::PlyElement;
using detail::PlyFile;
using torch::Tensor;

const std::vector<std::string> kNeeded{"x",      "y",       "z",       "f_dc_0",  "f_dc_1",
                                       "f_dc_2", "opacity", "scale_0", "scale_1", "rot_0",
                                       "rot_1",  "rot_2",   "rot_3"};

// Where each property that is looked at goes.
using Columns = std::map<std::string, size_t>;

const PlyElement* find(const PlyFile& file, const std::string& name) {
    for (const auto& element : file.elements()) {
        if (element.name == name && element.count > 0) return &element;
    }
    return nullptr;
}

bool has(const PlyElement& element, const std::string& name) {
    return std::any_of(element.properties.begin(), element.properties.end(),
                       [&](const auto& property) { return property.name == name; });
}

// Error, with what this is and the cure, unless the vertices are Gaussians.
void check_is_splats(const PlyFile& file) {
    const auto* vertex = find(file, "vertex");
    if (!vertex) file.fail("expected Gaussians, found no vertex");
    if (has(*vertex, "packed_position"))
        file.fail(
            "a compressed file of SuperSplat; convert it with splat-transform to a plain .ply");
    std::vector<std::string> missing;
    for (const auto& name : kNeeded) {
        if (!has(*vertex, name)) missing.push_back(name);
    }
    if (missing.empty()) return;
    const auto* face = find(file, "face");
    file.fail(
        fmt::format("expected Gaussians of 3DGS or 2DGS, got vertices without {}{}",
                    fmt::join(missing.begin(),
                              missing.begin() + std::min<ptrdiff_t>(5, std::ssize(missing)), ", "),
                    face                  ? ": a mesh"
                    : has(*vertex, "red") ? ": a point cloud, such as training starts from"
                    : missing.size() < kNeeded.size() / 2 ? "; another layout of Gaussians?"
                                                          : ""));
}

int64_t count_of_rest(const PlyElement& vertex) {
    return std::count_if(vertex.properties.begin(), vertex.properties.end(),
                         [](const auto& property) { return property.name.starts_with("f_rest_"); });
}

// Degree of the harmonics by the count of f_rest_*.
int64_t degree_of(const PlyFile& file, const PlyElement& vertex) {
    const int64_t count = count_of_rest(vertex);
    for (int64_t degree = 0; degree <= 3; ++degree) {
        if (count != 3 * ((degree + 1) * (degree + 1) - 1)) continue;
        for (int64_t i = 0; i < count; ++i) {
            if (!has(vertex, fmt::format("f_rest_{}", i)))
                file.fail(
                    fmt::format("{} properties f_rest_*, of which f_rest_{} is missing", count, i));
        }
        return degree;
    }
    file.fail(
        fmt::format("expected 0, 9, 24 or 45 properties f_rest_* (degree 0 to 3), got {}", count));
}

Columns columns_of(const PlyElement& vertex) {
    auto names = kNeeded;
    if (has(vertex, "scale_2")) names.push_back("scale_2");
    for (int64_t i = 0; i < count_of_rest(vertex); ++i)
        names.push_back(fmt::format("f_rest_{}", i));
    Columns out;
    for (const auto& name : names) out.emplace(name, out.size());
    return out;
}

// The wanted properties, [columns, N].
Tensor read_rows(PlyFile& file, const PlyElement& vertex, const Columns& columns) {
    std::vector<int64_t> place;
    for (const auto& property : vertex.properties) {
        const auto found = columns.find(property.name);
        place.push_back(found == columns.end() || property.is_list()
                            ? -1
                            : static_cast<int64_t>(found->second));
    }
    auto out = torch::full({static_cast<int64_t>(columns.size()), vertex.count}, NAN);
    auto* values = out.data_ptr<float>();
    for (int64_t row = 0; row < vertex.count; ++row) {
        for (size_t k = 0; k < place.size(); ++k) {
            if (place[k] < 0)
                file.skip(vertex.properties[k]);
            else
                values[place[k] * vertex.count + row] =
                    static_cast<float>(file.number(vertex.properties[k].type));
        }
    }
    return out;
}

// The columns k+1, k+2 and k of each matrix [N,R,3]: those of the surfel across axis k [N].
Tensor across(const Tensor& matrix, const Tensor& axis) {
    const auto order = torch::stack({(axis + 1) % 3, (axis + 2) % 3, axis}, 1);
    return matrix.gather(2, order.unsqueeze(1).expand({-1, matrix.size(1), -1}));
}

class SplatRows {
  public:
    SplatRows(const Columns& columns, Tensor rows) : columns_(columns), rows_(std::move(rows)) {}

    bool has(const std::string& name) const { return columns_.contains(name); }
    /// [N]
    Tensor column(const std::string& name) const {
        return rows_[static_cast<int64_t>(columns_.at(name))];
    }
    /// "rot_0" … "rot_3" → [N,4]
    Tensor columns(const std::string& name, int64_t count) const {
        std::vector<Tensor> all;
        for (int64_t i = 0; i < count; ++i) all.push_back(column(fmt::format("{}{}", name, i)));
        return torch::stack(all, 1);
    }
    /// Leaves the rows of a mask [N].
    void keep(const Tensor& mask) { rows_ = rows_.index({torch::indexing::Slice(), mask}); }
    int64_t size() const { return rows_.size(1); }
    /// [N]: all that is read is finite, and so are the standard deviations
    Tensor finite() const {
        auto ok = rows_.isfinite().all(0) & (columns("rot_", 4).norm(2, 1) > 0);
        return ok & columns("scale_", has("scale_2") ? 3 : 2).exp().isfinite().all(1);
    }

  private:
    const Columns& columns_;
    Tensor rows_;
};

// [N,3,3], [N,3] → the tangents and normals of the surfels.
void add_frames(const Tensor& rotation, const Tensor& scale, Splats& out) {
    out.surfels.tangents = rotation.slice(2, 0, 2) * scale.slice(1, 0, 2).unsqueeze(1);
    out.surfels.normal = rotation.select(2, 2).contiguous();
}

// Error for what looks like standard deviations and opacities without their activations.
void note_activations(const SplatRows& rows, std::vector<std::string>& notes) {
    const auto opacity = rows.column("opacity"), scale = rows.columns("scale_", 2);
    if ((scale > 0).all().item<bool>() && ((opacity >= 0) & (opacity <= 1)).all().item<bool>())
        notes.push_back(
            "every scale is more than 0 and every opacity within 0 to 1: they look like standard "
            "deviations and opacities themselves, where logarithms and logits belong");
}

// A Gaussian whose thinnest axis has more than this share of the next one is no disc.
constexpr double kThin = 0.25;

void place_surfels(const SplatRows& rows, bool is_2d, Splats& out) {
    const auto rotation = rotation_of(rows.columns("rot_", 4));
    const int64_t n = rows.size();
    if (is_2d) {
        add_frames(rotation, rows.columns("scale_", 2).exp(), out);
        out.description = fmt::format("2D Gaussians, {} surfels", n);
        return;
    }
    const auto scale = rows.columns("scale_", 3).exp();
    const auto axis = scale.argmin(1);
    const auto turned = across(scale.unsqueeze(1), axis).squeeze(1);
    add_frames(across(rotation, axis), turned, out);
    out.description = fmt::format(
        "3D Gaussians, {} of them, each drawn as the surfel across its thinnest axis", n);
    const auto next = std::get<0>(turned.slice(1, 0, 2).min(1));
    const auto thick = (turned.select(1, 2) > kThin * next).sum().item<int64_t>();
    if (thick > 0)
        out.notes.push_back(
            fmt::format("{} of {} Gaussians are thicker than a quarter of their next axis: as "
                        "surfels they are too thin where they are seen from the side",
                        thick, n));
}

}  // namespace

Splats read_splats(const std::filesystem::path& path) {
    const auto bytes = read_whole(path);
    PlyFile file(bytes, path.string());
    check_is_splats(file);
    const auto* vertex = find(file, "vertex");
    const int64_t degree = degree_of(file, *vertex);
    const auto columns = columns_of(*vertex);
    check_memory(16.0 * static_cast<double>(columns.size()) * static_cast<double>(vertex->count),
                 path.string(), "make a smaller file");
    for (const auto& element : file.elements()) {  // those before it are stepped over
        if (&element == vertex) break;
        for (int64_t row = 0; row < element.count; ++row)
            for (const auto& property : element.properties) file.skip(property);
    }
    SplatRows rows(columns, read_rows(file, *vertex, columns));
    Splats out;
    rows.keep(rows.finite());
    if (rows.size() == 0) file.fail("expected Gaussians, found no row whose values are finite");
    if (rows.size() < vertex->count)
        out.notes.push_back(fmt::format("{} of {} Gaussians are not finite and were left out",
                                        vertex->count - rows.size(), vertex->count));
    note_activations(rows, out.notes);
    const auto& comments = file.comments();
    const bool tagged =
        std::find(comments.begin(), comments.end(), "SplatRenderMode: 2dgs") != comments.end();
    place_surfels(rows, tagged || !rows.has("scale_2"), out);
    out.description += fmt::format(", spherical harmonics of degree {}", degree);
    out.surfels.center = torch::stack({rows.column("x"), rows.column("y"), rows.column("z")}, 1);
    out.surfels.opacity = rows.column("opacity").sigmoid().unsqueeze(1);
    out.harmonics = rows.columns("f_dc_", 3).unsqueeze(1);
    const int64_t rest = (degree + 1) * (degree + 1) - 1;
    if (rest > 0)  // all of red first, then green, then blue
        out.harmonics = torch::cat(
            {out.harmonics, rows.columns("f_rest_", 3 * rest).view({-1, 3, rest}).transpose(1, 2)},
            1);
    return out;
}

}  // namespace fmgs
