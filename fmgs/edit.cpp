#include <fmgs/edit.h>

#include <fmgs/core/check.h>
#include <fmgs/core/names.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <algorithm>
#include <charconv>

namespace fmgs {

namespace {

constexpr int64_t kColor = -3;  // the last three columns of an attribute row

/// Without what makes no difference in a name.
std::string plain(const std::string& name) {
    std::string out;
    for (const char c : name) {
        if (c == ' ' || c == '_' || c == '-') continue;
        out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
    return out;
}

/// [N] bool: the surfels of these classes.
torch::Tensor of_classes(const BakedParts& avatar, const std::vector<int64_t>& classes) {
    if (!avatar.labels.defined())
        throw Error("the avatar has no labels: it was trained without the modality semantic");
    auto chosen = torch::zeros_like(avatar.labels, torch::kBool);
    for (const auto label : classes) chosen |= avatar.labels == label;
    return chosen;
}

void check_some(const torch::Tensor& chosen, const std::vector<int64_t>& classes) {
    if (!chosen.any().item<bool>())
        throw Error(fmt::format("no surfel is of class {}", fmt::join(classes, " or ")));
}

torch::Tensor faces_of(const BakedParts& avatar) {
    return canonical_template(*avatar.body, avatar.subdivisions).mesh.faces;
}

/// Error that says in what the templates differ.
void check_same_template(const BakedParts& a, const BakedParts& b) {
    const auto refuse = [](const char* what) {
        throw Error(fmt::format(
            "expected two avatars of the same template, but their {} differ; both have to be "
            "trained on the same body file with the same avatar.subdivisions",
            what));
    };
    if (a.body->joint_count() != b.body->joint_count() ||
        !torch::equal(a.body->parents(), b.body->parents()))
        refuse("joints");
    if (a.body->faces().sizes() != b.body->faces().sizes() ||
        !torch::equal(a.body->faces(), b.body->faces()))
        refuse("faces");
    if (a.subdivisions != b.subdivisions) refuse("subdivisions");
    if (!torch::allclose(a.body->weights(), b.body->weights())) refuse("skinning weights");
}

/// Rows [..,N,9] with their offset along the normal in canonical axes: [..,N,11].
torch::Tensor with_free_offset(const torch::Tensor& rows, const torch::Tensor& frame) {
    if (rows.size(-1) == 11) return rows;
    return torch::cat({rows.narrow(-1, 0, 1) * frame.select(2, 2), rows.narrow(-1, 1, 8)}, -1);
}

}  // namespace

int64_t find_class(const std::string& word, const std::vector<std::string>& names) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error == std::errc() && end == word.data() + word.size() && number >= 0 &&
        (names.empty() || number < static_cast<int64_t>(names.size())))
        return number;
    const auto same = std::find_if(names.begin(), names.end(),
                                   [&](const auto& name) { return plain(name) == plain(word); });
    if (same != names.end()) return same - names.begin();
    if (names.empty())
        throw Error(fmt::format("class '{}': the avatar names no classes; give a number", word));
    check_known("classes of the avatar", "class", word, names);
    return -1;  // not reached: the word is none of the names
}

torch::Tensor feathered(const torch::Tensor& chosen, const torch::Tensor& faces) {
    check_shape(chosen, {faces.size(0)}, "chosen");
    const int64_t vertices = faces.max().item<int64_t>() + 1;
    // Which vertices have a face on this side.
    const auto touched = [&](const torch::Tensor& side) {
        const auto out = torch::zeros({vertices}, side.options());
        return out.index_fill(0, faces.index({side}).reshape({-1}), true);
    };
    const auto beside = [&](const torch::Tensor& side) {
        return touched(side).index({faces}).any(1);
    };
    const auto inside = chosen.to(torch::kFloat);
    const auto seam = torch::where(chosen, beside(~chosen), beside(chosen));
    return torch::where(seam, (1 + inside) / 3, inside);
}

BakedParts hide_classes(BakedParts avatar, const std::vector<int64_t>& classes) {
    for (const auto label : classes) check_some(of_classes(avatar, {label}), {label});
    const auto chosen = of_classes(avatar, classes);
    avatar.opacity = avatar.opacity.masked_fill(chosen.unsqueeze(1), 0);
    return avatar;
}

BakedParts tint_class(BakedParts avatar, int64_t label, const std::array<double, 3>& color) {
    constexpr double kDark = 0.2;  // darker classes get no more contrast than this one
    const auto chosen = of_classes(avatar, {label});
    check_some(chosen, {label});
    const auto luma = torch::tensor({0.2126, 0.7152, 0.0722}, avatar.mean.options());
    const auto wanted = torch::tensor(torch::ArrayRef<double>(color), avatar.mean.options());
    const auto before = avatar.mean.narrow(1, kColor, 3);
    const auto mean = torch::matmul(before, luma).index({chosen}).mean();
    const auto contrast = 1 / mean.clamp_min(kDark);
    const auto w = feathered(chosen, faces_of(avatar)).to(avatar.mean).unsqueeze(1);
    // (1-w)·a + w·color·contrast·luma·a: linear in a, so that it acts on the components alike.
    const auto recolored = [&](const torch::Tensor& rows) {
        const auto old = rows.narrow(-1, kColor, 3);
        const auto lit = torch::matmul(old, luma).unsqueeze(-1) * (contrast * wanted);
        return torch::cat({rows.narrow(-1, 0, rows.size(-1) - 3), (1 - w) * old + w * lit}, -1);
    };
    avatar.mean = recolored(avatar.mean);
    avatar.mean.narrow(1, kColor, 3) += w * (1 - contrast * mean) * wanted;
    avatar.components = recolored(avatar.components);
    return avatar;
}

BakedParts take_classes(BakedParts avatar, const BakedParts& other,
                        const std::vector<int64_t>& classes) {
    check_same_template(avatar, other);
    for (const auto label : classes) check_some(of_classes(other, {label}), {label});
    const auto chosen = of_classes(avatar, classes) | of_classes(other, classes);
    const auto weight = feathered(chosen, faces_of(avatar)).to(avatar.mean).unsqueeze(1);
    const auto rest = 1 - weight;
    auto mine = avatar.mean, others = other.mean;
    auto my_components = avatar.components, other_components = other.components;
    if (mine.size(1) != others.size(1)) {
        mine = with_free_offset(mine, avatar.frame);
        my_components = with_free_offset(my_components, avatar.frame);
        others = with_free_offset(others, other.frame);
        other_components = with_free_offset(other_components, other.frame);
    }
    avatar.mean = rest * mine + weight * others;
    avatar.components = torch::cat({rest * my_components, weight * other_components});
    avatar.projection = torch::cat({avatar.projection, other.projection}, 1);
    avatar.bias = torch::cat({avatar.bias, other.bias});
    avatar.opacity = rest * avatar.opacity + weight * other.opacity;
    avatar.labels = torch::where(chosen, other.labels, avatar.labels);
    return avatar;
}

}  // namespace fmgs
