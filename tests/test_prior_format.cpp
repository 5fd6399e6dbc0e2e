// priors.json, and the label sets that it names.
#include <fmgs/data/prior_format.h>

#include <fmgs/core/io/files.h>
#include <torch/types.h>

#include "support/test.h"

using namespace fmgs;
using fmgs::test::TemporaryFolder;
using fmgs::test::throws_error;

namespace {

/// What is read of a priors.json that holds this.
PriorFormat read(const std::string& json) {
    const TemporaryFolder folder;
    write_whole(folder.path / "priors.json", json);
    return read_prior_format(folder.path / "priors.json");
}

bool refused(const std::string& json, const char* words) {
    return throws_error([&] { read(json); }, words);
}

/// Of one label of this set.
int64_t class_of(const LabelSet& set, int64_t number) {
    return classes_of(torch::full({1, 1}, number, torch::kLong), set, "a.png").item<int64_t>();
}

int64_t library_class(const std::string& name) {
    const auto& names = library_classes();
    return std::find(names.begin(), names.end(), name) - names.begin();
}

}  // namespace

TEST_CASE("priors.json names the convention; unknown words are refused", "[priors]") {
    const auto format = read(
        R"({"normal": {"axes": "LUB", "channel_order": "bgr", "folder": "dsine", "encoding": "float"},
            "depth": {"kind": "inverse", "scale": "metric", "array": "depth"}})");
    REQUIRE((format.normal_axes == "LUB" && format.normal_order == "bgr" &&
             format.normal_folder == "dsine" && format.normal_encoding == "float"));
    REQUIRE((format.depth_kind == "inverse" && format.depth_folder == "depth" &&
             format.depth_scale == "metric" && format.depth_array == "depth"));
    CHECK(refused(R"({"depth": {"kind": "disparity"}})",
                  "depth.kind: expected one of depth, inverse, got 'disparity'"));
    CHECK(refused(R"({"normal": {"axes": 3}})", "normal.axes: expected a word"));
    CHECK(refused(R"({"depth": "inverse"})",
                  "priors.json: depth: expected an object with folder, array, kind, scale, got "
                  "string"));
    for (const char* axes : {"RLB", "RUX", "RU", "rub", "RUBB"})
        CHECK(refused(R"({"normal": {"axes": ")" + std::string(axes) + "\"}}", "normal.axes"));
    CHECK(read("\xEF\xBB\xBF{\"normal\": {\"axes\": \"LUB\"}}").normal_axes == "LUB");
}

TEST_CASE("a key of priors.json that nobody reads is refused with the nearest", "[priors]") {
    CHECK(refused(R"({"normal": {"axess": "LUB"}})",
                  "priors.json: normal: there is no key 'axess'; the nearest is 'axes'"));
    CHECK(refused(R"({"normals": {"axes": "LUB"}})",
                  "priors.json: there is no key 'normals'; the nearest is 'normal'"));
    CHECK(refused(R"({"depth": {"kinds": "inverse"}})",
                  "depth: there is no key 'kinds'; the nearest is 'kind'"));
    CHECK(refused(R"({"seg": {"palette": "voc"}})", "seg: there is no key 'palette'"));
    CHECK(refused(R"({"albedo": {"folder": "a"}})", "there is no key 'albedo'"));
}

TEST_CASE("remarks of priors.json are known words, or begin with _", "[priors]") {
    const auto format =
        read(R"({"normal": {"axes": "LUB", "axes_meaning": "x left", "file": "png"}, "_who": 1,
                 "depth": {"polarity": "larger = farther"}, "npy": {"content": 1}})");
    CHECK(format.normal_axes == "LUB");
    CHECK(format.unread == std::vector<std::string>{"_who", "depth.polarity", "normal.axes_meaning",
                                                    "normal.file", "npy"});
}

TEST_CASE("what is written is read back", "[priors]") {
    const TemporaryFolder folder;
    const auto file = folder.path / "priors.json";
    PriorFormat format;
    format.normal_encoding = "unorm";
    format.depth_scale = "metric";
    format.seg_array = "labels";
    format.classes = {"Background", "Skin", "Cloth"};
    format.ignored = {"7", "Cloth"};
    write_prior_format(file, format);
    const auto back = read_prior_format(file);
    CHECK((back.normal_encoding == "unorm" && back.depth_scale == "metric" &&
           back.seg_array == "labels" && back.normal_array.empty()));
    CHECK((back.classes == format.classes && back.ignored == format.ignored));
    format.classes.clear();
    format.ignored.clear();
    format.label_map = {{0, "Background"}, {9, "Hair"}};
    write_prior_format(file, format);
    CHECK(read_prior_format(file).label_map == format.label_map);
}

TEST_CASE("trap 20: the label sets that are known become the 28 classes", "[priors]") {
    const auto same = torch::arange(28).reshape({4, 7});
    CHECK(torch::equal(classes_of(same, known_label_set("sapiens28"), ""), same));
    CHECK(torch::equal(classes_of(same, known_label_set("goliath"), ""), same));
    const auto newer = known_label_set("sapiens29");
    CHECK(newer.labels[2] == "Eyeglass");
    const auto sapiens2 = torch::tensor({{0, 1, 2, 3, 4, 28, 255}});
    CHECK(torch::equal(classes_of(sapiens2, newer, ""), torch::tensor({{0, 1, 2, 2, 3, 27, 255}})));
    const auto lip = known_label_set("lip20"), atr = known_label_set("schp_atr");
    CHECK((lip.labels.size() == 20 && atr.labels.size() == 18));
    CHECK(class_of(lip, 9) == library_class("Lower_Clothing"));
    CHECK(class_of(lip, 8) == kIgnoredLabel);  // socks of either foot
    CHECK(class_of(lip, 15) == library_class("Right_Lower_Arm"));
    CHECK(class_of(atr, 6) == library_class("Lower_Clothing"));
    CHECK(class_of(atr, 14) == library_class("Left_Lower_Arm"));
    CHECK(class_of(known_label_set("cihp20"), 10) == library_class("Torso"));
    CHECK(class_of(lip, 10) == library_class("Upper_Clothing"));
    CHECK(refused(R"({"seg": {"label_set": "pascal"}})",
                  "priors.json: seg.label_set: expected one of atr18, cihp20, goliath"));
}

TEST_CASE("a map of one's own, classes of one's own, and labels that say nothing", "[priors]") {
    auto format = read(R"({"seg": {"label_set": "mine", "ignore": [7, "Face_Neck"],
                                   "map": {"0": "Background", "2": "Hair", "4": "Face_Neck"}}})");
    auto set = label_set_of(format);
    CHECK(class_of(set, 2) == library_class("Hair"));
    CHECK((class_of(set, 7) == kIgnoredLabel && class_of(set, 4) == kIgnoredLabel));
    CHECK(class_names(format) == library_classes());
    CHECK(throws_error([&] { class_of(set, 3); }, "a.png: label 3 at column 0, row 0"));
    format = read(R"({"seg": {"classes": ["Background", "Skin", "Cloth"], "ignore": 9}})");
    set = label_set_of(format);
    CHECK((class_of(set, 2) == 2 && class_of(set, 9) == kIgnoredLabel));
    CHECK(class_names(format).size() == 3);
    CHECK(refused(R"({"seg": {"map": {"1": "Haar"}}})", "the nearest is 'Hair'"));
    CHECK(refused(R"({"seg": {"map": {"256": "Hair"}}})", "expected the number of a label"));
    CHECK(refused(R"({"seg": {"map": {}}})", "seg.map: expected labels and their classes"));
    CHECK(refused(R"({"seg": {"map": {"1": "Hair"}, "classes": ["a", "b"]}})", "got both"));
    CHECK(refused(R"({"seg": {"classes": ["a"]}})", "seg.classes: expected 2 to 255"));
    CHECK(refused(R"({"seg": {"ignore": "Hat"}})", "there is no label 'Hat'"));
    CHECK(refused(R"({"seg": {"ignore": [-1]}})", "seg.ignore: expected a word"));
}

TEST_CASE("a label that the set lacks is refused with its place", "[priors]") {
    auto numbers = torch::zeros({3, 4}, torch::kLong);
    numbers[2][1] = 28;
    const auto says = [&](const char* words) {
        return throws_error([&] { classes_of(numbers, known_label_set("sapiens28"), "a.png"); },
                            words);
    };
    CHECK(says("a.png: label 28 at column 1, row 2, and label set sapiens28 has 0 to 27"));
    CHECK(says("\"label_set\": \"sapiens29\""));
    numbers[0][3] = -1;
    CHECK(says("label -1 at column 3, row 0"));
    numbers[0][3] = 1000000;
    CHECK(says("label 1000000 at column 3, row 0"));
}

TEST_CASE("colours of a palette are its labels, off by two at most", "[priors]") {
    const auto set = known_label_set("sapiens28");
    auto colors = torch::zeros({3, 4, 7}, torch::kByte);
    for (int64_t i = 0; i < 28; ++i)
        for (int64_t c = 0; c < 3; ++c)
            colors[c][i / 7][i % 7] = set.colors[static_cast<size_t>(i)][static_cast<size_t>(c)];
    const auto numbers = torch::arange(28).reshape({4, 7});
    CHECK(torch::equal(numbers_of(colors, set, "a.png"), numbers));
    colors[1][0][3] += 2;  // hair: 255,0,109
    colors[2][3][6] -= 2;
    CHECK(torch::equal(numbers_of(colors, set, "a.png"), numbers));
    colors[1][0][3] += 1;
    CHECK(throws_error([&] { numbers_of(colors, set, "a.png"); },
                       "a.png: the colour 255,3,109 at column 3, row 0 is none of label set"));
    // SCHP's: PASCAL VOC's palette.
    const auto voc = torch::tensor({{{0, 128, 64}}, {{0, 0, 128}}, {{0, 0, 0}}});
    CHECK(torch::equal(numbers_of(voc, known_label_set("schp_lip"), ""),
                       torch::tensor({{0, 1, 10}})));
    LabelSet own;
    own.name = "mine";
    CHECK(throws_error([&] { numbers_of(colors, own, "a.png"); }, "label set mine has none"));
}
