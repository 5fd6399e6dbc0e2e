#include <fmgs/data/label_set.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

namespace fmgs {

namespace {

using Names = std::vector<std::string>;
using Colors = std::vector<std::array<int64_t, 3>>;

constexpr int64_t kEyeglass = 2;  // of Sapiens2

const Colors kSapiensColors = {{50, 50, 50},    {255, 218, 0},   {128, 200, 255}, {255, 0, 109},
                               {189, 0, 204},   {255, 0, 218},   {0, 160, 204},   {0, 255, 145},
                               {204, 0, 131},   {182, 0, 255},   {255, 109, 0},   {0, 255, 255},
                               {72, 0, 255},    {204, 131, 0},   {255, 0, 0},     {72, 255, 0},
                               {189, 204, 0},   {182, 255, 0},   {102, 0, 204},   {32, 72, 204},
                               {0, 145, 255},   {14, 204, 0},    {0, 128, 72},    {235, 205, 119},
                               {115, 227, 112}, {157, 113, 143}, {132, 93, 50},   {82, 21, 114}};

/// The palette of PASCAL VOC, which SCHP writes: the bits of the number, three at a time, are the
/// high bits of red, green and blue.
Colors voc_colors(size_t count) {
    Colors colors(count, {0, 0, 0});
    for (size_t i = 0; i < count; ++i) {
        for (size_t bit = 0; bit < 8; ++bit)
            for (size_t c = 0; c < 3; ++c)
                colors[i][c] |= static_cast<int64_t>(i >> (3 * bit + c) & 1) << (7 - bit);
    }
    return colors;
}

/// A label of another set and the class that it becomes; without one it is ignored: both feet wear
/// socks.
struct Label {
    const char *name, *its_class;
};

LabelSet translated(const std::vector<Label>& labels) {
    const auto& names = library_classes();
    LabelSet set;
    for (const auto& label : labels) {
        set.labels.emplace_back(label.name);
        const auto found = std::find(names.begin(), names.end(), label.its_class);
        set.classes.push_back(found == names.end() ? kIgnoredLabel : found - names.begin());
    }
    set.colors = voc_colors(labels.size());
    return set;
}

LabelSet sapiens28() {
    LabelSet set;
    set.labels = library_classes();
    for (size_t i = 0; i < set.labels.size(); ++i) set.classes.push_back(static_cast<int64_t>(i));
    set.colors = kSapiensColors;
    return set;
}

LabelSet sapiens29() {
    auto set = sapiens28();
    set.labels.insert(set.labels.begin() + kEyeglass, "Eyeglass");
    set.classes.insert(set.classes.begin() + kEyeglass, kEyeglass);  // Face_Neck
    set.colors.insert(set.colors.begin() + kEyeglass, {14, 204, 182});
    return set;
}

LabelSet lip20() {
    return translated({{"Background", "Background"},
                       {"Hat", "Apparel"},
                       {"Hair", "Hair"},
                       {"Glove", "Apparel"},
                       {"Sunglasses", "Face_Neck"},
                       {"Upper-clothes", "Upper_Clothing"},
                       {"Dress", "Upper_Clothing"},
                       {"Coat", "Upper_Clothing"},
                       {"Socks", ""},
                       {"Pants", "Lower_Clothing"},
                       {"Jumpsuits", "Upper_Clothing"},
                       {"Scarf", "Apparel"},
                       {"Skirt", "Lower_Clothing"},
                       {"Face", "Face_Neck"},
                       {"Left-arm", "Left_Lower_Arm"},
                       {"Right-arm", "Right_Lower_Arm"},
                       {"Left-leg", "Left_Lower_Leg"},
                       {"Right-leg", "Right_Lower_Leg"},
                       {"Left-shoe", "Left_Shoe"},
                       {"Right-shoe", "Right_Shoe"}});
}

LabelSet cihp20() {
    constexpr size_t kTorsoSkin = 10;  // LIP: jumpsuits
    auto set = lip20();
    set.labels[kTorsoSkin] = "Torso-skin";
    const auto& names = library_classes();
    set.classes[kTorsoSkin] = std::find(names.begin(), names.end(), "Torso") - names.begin();
    return set;
}

LabelSet atr18() {
    return translated({{"Background", "Background"},
                       {"Hat", "Apparel"},
                       {"Hair", "Hair"},
                       {"Sunglasses", "Face_Neck"},
                       {"Upper-clothes", "Upper_Clothing"},
                       {"Skirt", "Lower_Clothing"},
                       {"Pants", "Lower_Clothing"},
                       {"Dress", "Upper_Clothing"},
                       {"Belt", "Apparel"},
                       {"Left-shoe", "Left_Shoe"},
                       {"Right-shoe", "Right_Shoe"},
                       {"Face", "Face_Neck"},
                       {"Left-leg", "Left_Lower_Leg"},
                       {"Right-leg", "Right_Lower_Leg"},
                       {"Left-arm", "Left_Lower_Arm"},
                       {"Right-arm", "Right_Lower_Arm"},
                       {"Bag", "Apparel"},
                       {"Scarf", "Apparel"}});
}

const std::map<std::string, LabelSet (*)()> kSets = {
    {"sapiens28", sapiens28}, {"goliath", sapiens28}, {"sapiens29", sapiens29},
    {"sapiens2", sapiens29},  {"lip20", lip20},       {"schp_lip", lip20},
    {"atr18", atr18},         {"schp_atr", atr18},    {"cihp20", cihp20}};

/// "column 3, row 0": of the first pixel of [H,W] that is set.
std::string place_of(const torch::Tensor& where) {
    const auto at = where.nonzero()[0];
    return fmt::format("column {}, row {}", at[1].item<int64_t>(), at[0].item<int64_t>());
}

}  // namespace

const Names& library_classes() {
    static const Names kNames = {
        "Background",      "Apparel",         "Face_Neck",      "Hair",       "Left_Foot",
        "Left_Hand",       "Left_Lower_Arm",  "Left_Lower_Leg", "Left_Shoe",  "Left_Sock",
        "Left_Upper_Arm",  "Left_Upper_Leg",  "Lower_Clothing", "Right_Foot", "Right_Hand",
        "Right_Lower_Arm", "Right_Lower_Leg", "Right_Shoe",     "Right_Sock", "Right_Upper_Arm",
        "Right_Upper_Leg", "Torso",           "Upper_Clothing", "Lower_Lip",  "Upper_Lip",
        "Lower_Teeth",     "Upper_Teeth",     "Tongue"};
    return kNames;
}

bool is_label_set(const std::string& name) { return kSets.contains(name); }

LabelSet known_label_set(const std::string& name) {
    const auto found = kSets.find(name);
    if (found == kSets.end()) {
        Names names;
        for (const auto& [known, make] : kSets) names.push_back(known);
        throw Error(fmt::format(
            "seg.label_set: expected one of {}, got '{}'; for labels of your own add \"map\" (to "
            "Sapiens' classes) or \"classes\" (names of your own) to \"seg\" in priors.json",
            fmt::join(names, ", "), name));
    }
    auto set = found->second();
    set.name = name;
    return set;
}

torch::Tensor classes_of(const torch::Tensor& numbers, const LabelSet& set,
                         const std::string& file) {
    const auto count = static_cast<int64_t>(set.classes.size());
    auto table = torch::full({std::max<int64_t>(count, kIgnoredLabel + 1)}, -1, torch::kLong);
    table[kIgnoredLabel] = kIgnoredLabel;
    table.slice(0, 0, count).copy_(torch::tensor(set.classes, torch::kLong));
    const auto inside = (numbers >= 0) & (numbers < table.size(0));
    const auto classes = table.index_select(0, (numbers * inside).flatten()).view(numbers.sizes());
    const auto wrong = ~inside | (classes < 0);
    if (!wrong.any().item<bool>()) return classes;
    const auto number = numbers.masked_select(wrong)[0].item<int64_t>();
    const bool newer = count == 28 && number == 28;
    throw Error(fmt::format(
        "{}: label {} at {}, and label set {} has 0 to {}; {}", file, number, place_of(wrong),
        set.name, count - 1,
        newer ? "Sapiens2 has one more: set \"label_set\": \"sapiens29\" for \"seg\" in priors.json"
              : "name its label set, or list the number under \"ignore\", for \"seg\" in "
                "priors.json"));
}

torch::Tensor numbers_of(const torch::Tensor& colors, const LabelSet& set,
                         const std::string& file) {
    if (set.colors.empty())
        throw Error(
            fmt::format("{}: a picture in colours, and label set {} has none; save the numbers of "
                        "the labels as grey levels",
                        file, set.name));
    const auto c = colors.to(torch::kLong);
    const auto codes = c[0] * 65536 + c[1] * 256 + c[2];
    const auto [different, places, counts] = at::_unique2(codes.flatten(), true, true);
    std::vector<int64_t> numbers;
    for (int64_t k = 0; k < different.numel(); ++k) {
        const int64_t code = different[k].item<int64_t>();
        const std::array<int64_t, 3> color{code / 65536, code / 256 % 256, code % 256};
        int64_t best = -1, least = kColorSlack + 1;
        for (size_t i = 0; i < set.colors.size(); ++i) {
            int64_t away = 0;
            for (size_t j = 0; j < 3; ++j)
                away = std::max(away, std::abs(color[j] - set.colors[i][j]));
            if (away < least) {
                least = away;
                best = static_cast<int64_t>(i);
            }
        }
        if (best < 0)
            throw Error(fmt::format(
                "{}: the colour {},{},{} at {} is none of label set {}; save labels as PNG (not "
                "JPEG) in its own palette, without smoothing, or as grey levels",
                file, color[0], color[1], color[2], place_of(codes == code), set.name));
        numbers.push_back(best);
    }
    return torch::tensor(numbers, torch::kLong).index_select(0, places).view(codes.sizes());
}

}  // namespace fmgs
