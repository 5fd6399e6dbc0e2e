// A capture is held against the posed body before anything is learned from it: what is sound passes
// without a word, and of what people get wrong each is named.
#include <fmgs/core/body_model.h>
#include <fmgs/data/check/capture_check.h>
#include <fmgs/data/synthetic/procedural_body.h>
#include <fmgs/data/synthetic/synthetic.h>
#include <torch/types.h>

#include <cmath>
#include <regex>

#include "support/test.h"

namespace fmgs {
namespace {

using Frames = std::vector<Frame>;

struct Subject {
    BodyData data = procedural_body();
    Frames frames;
    torch::Tensor betas;

    Subject() {
        SyntheticOptions options;
        options.size = 72;
        options.train_frames = 24;
        options.test_frames = options.test_views = options.novel_frames = 0;
        options.subdivisions = 0;
        options.samples = 1;
        const auto capture = synthetic_capture(data, options);
        for (const auto& frame : capture.splits.at("train")) frames.push_back(frame);
        betas = capture.betas;
    }
};

const Subject& subject() {
    static const Subject one;
    return one;
}

Findings check(const Frames& frames, const BodyData& body = subject().data) {
    const BodyModel model(body, subject().betas);
    return check_frames(*model, FrameList(frames), {});
}

// The capture with every frame changed.
template <class Change>
Frames changed(Change change) {
    auto frames = subject().frames;
    for (auto& frame : frames) change(frame);
    return frames;
}

std::string all(const std::vector<std::string>& texts) {
    std::string out;
    for (const auto& text : texts) out += text + "\n";
    return out;
}

// Something is said, a warning or a problem, and it holds these words.
void check_said(const Findings& found, const std::string& words) {
    const auto said = all(found.warnings) + all(found.problems);
    INFO(said);
    CHECK(said.find(words) != said.npos);
}

// "… 20 cm too far right …"
double centimetres(const Findings& found, const std::string& side) {
    const auto said = all(found.warnings) + all(found.problems);
    INFO(said);
    std::smatch match;
    REQUIRE(std::regex_search(said, match, std::regex("([0-9]+) cm too far " + side)));
    return std::stod(match[1]);
}

void set_map(Frame& frame, const char* name, const torch::Tensor& map) {
    frame.maps.set(name, map);
}

}  // namespace

TEST_CASE("an untouched capture passes without a word") {
    const auto found = check(subject().frames);
    INFO(all(found.warnings) + all(found.problems));
    CHECK(found.warnings.empty());
    CHECK(found.problems.empty());
    CHECK(found.lines.size() == 6);  // height, distance, masks, three priors
    std::smatch share;
    const auto lines = all(found.lines);
    REQUIRE(std::regex_search(lines, share, std::regex("labels: ([0-9]+) %")));
    CHECK(std::stoi(share[1]) > 95);
}

TEST_CASE("a body that is shifted, too large or in other units is told by how far") {
    const auto moved = [](float right, float down) {
        return check(changed([=](Frame& f) {
            f.pose.translation = f.pose.translation + torch::tensor({right, down, 0.f});
        }));
    };
    // A pixel is 2.6 cm.
    CHECK(std::abs(centimetres(moved(0.2f, 0), "right") - 20) < 3);
    CHECK(std::abs(centimetres(moved(0, -0.3f), "up") - 30) < 4);
    check_said(
        check(changed([](Frame& f) {
            f.camera.intrinsics = f.camera.intrinsics * torch::tensor({1.3f, 1.3f, 1.f, 1.f});
        })),
        "the focal length is too long");
    check_said(check(changed([](Frame& f) { f.pose.translation = f.pose.translation * 10; })),
               "multiply them by 0.1");
}

TEST_CASE("cameras of another convention are named") {
    const auto turn = torch::tensor({1.f, -1.f, -1.f});
    const auto opengl = check(changed([&](Frame& f) {
        f.camera.rotation = turn.unsqueeze(1) * f.camera.rotation;
        f.camera.translation = turn * f.camera.translation;
    }));
    check_said(opengl, "OpenGL's axes");
    CHECK_FALSE(opengl.problems.empty());  // the body is behind the camera
}

TEST_CASE("mirrored pictures are told from the silhouettes") {
    check_said(check(changed([](Frame& f) {
                   for (const char* name : {"color", "mask", "normal", "depth", "semantic"})
                       set_map(f, name, f.maps.at(name).flip(-1));
               })),
               "mirrored");
}

TEST_CASE("what holds of some frames only is no cause") {
    auto frames = subject().frames;
    for (size_t i = 0; i < frames.size(); ++i)  // three of five are mirrored: better on average
        if (i % 5 < 3) set_map(frames[i], "mask", frames[i].maps.at("mask").flip(-1));
    const auto found = check(frames);
    const auto said = all(found.warnings) + all(found.problems);
    INFO(said);
    CHECK(said.find("not where the masks are") != said.npos);
    CHECK(said.find("mirrored") == said.npos);
}

TEST_CASE("rows of poses that are shifted are told by how many") {
    for (const int64_t shift : {3, -1}) {
        auto frames = subject().frames;
        const auto count = static_cast<int64_t>(frames.size());
        for (int64_t i = 0; i < count; ++i)
            frames[static_cast<size_t>(i)].pose =
                subject().frames[static_cast<size_t>((i + shift + count) % count)].pose;
        check_said(check(frames), shift == 3 ? "row i-3" : "row i+1");
    }
}

TEST_CASE("poses in the order of the text, frames in that of the numbers") {
    auto frames = subject().frames;
    std::vector<std::string> names;
    for (size_t i = 0; i < frames.size(); ++i) names.push_back(std::to_string(i + 1));
    auto by_text = names;
    std::sort(by_text.begin(), by_text.end());
    for (size_t i = 0; i < frames.size(); ++i) {
        frames[i].name = names[i];
        // row i of the poses belongs to the i-th name as text
        const auto right = std::find(names.begin(), names.end(), by_text[i]) - names.begin();
        frames[i].pose = subject().frames[static_cast<size_t>(right)].pose;
    }
    check_said(check(frames), "leading zeros");
}

TEST_CASE("masks that are inverted, empty or full are problems") {
    const auto inverted =
        check(changed([](Frame& f) { set_map(f, "mask", 1 - f.maps.at("mask")); }));
    CHECK(inverted.problems.size() == 1);
    check_said(inverted, "the masks are inverted");
    const auto empty = check(changed([](Frame& f) { set_map(f, "mask", 0 * f.maps.at("mask")); }));
    CHECK(empty.problems.size() == 1);
    check_said(empty, "is empty");
    check_said(
        check(changed([](Frame& f) { set_map(f, "mask", torch::ones_like(f.maps.at("mask"))); })),
        "all of the picture is the person");
}

TEST_CASE("one frame whose fit failed is named") {
    auto frames = subject().frames;
    frames[5].pose.rotations = frames[5].pose.rotations.flip(0);
    const auto found = check(frames);
    check_said(found, "jumps there and back in frame '" + frames[5].name + "'");
    CHECK(found.problems.empty());
}

TEST_CASE("a body in centimetres or of no person's size is a matter of units") {
    auto body = subject().data;
    body.vertices = body.vertices * 100;
    body.shape_directions = body.shape_directions * 100;
    check_said(check(subject().frames, body), "divided by 100");
}

TEST_CASE("a person behind the camera, in it or far away is said with its likely cause") {
    const auto root = BodyModel(subject().data, subject().betas)->joints()[0];
    const auto place = [&](Frame& frame, float z) {
        const auto& E = frame.camera;
        frame.pose.translation =
            torch::mv(E.rotation.t(), torch::tensor({0.f, 0.f, z}) - E.translation) - root;
    };
    const auto found = [&](float z) {
        return all(check(changed([&](Frame& frame) { place(frame, z); })).problems);
    };
    CHECK(found(-4).find("the person is behind the camera in frame") != std::string::npos);
    CHECK(found(0.2f).find("are the translations missing") != std::string::npos);
    CHECK(found(34).find("more than 30 m from the camera") != std::string::npos);
    auto frames = subject().frames;
    place(frames[3], 40);
    const auto one = check(frames);
    CHECK(all(one.warnings).find("30 m from the camera in frame '" + frames[3].name + "'") !=
          std::string::npos);
    CHECK(all(one.problems).find("30 m") == std::string::npos);
}

TEST_CASE("betas beyond those of people are said") {
    Findings found;
    check_betas(torch::tensor({3.f, -9.9f}), found);
    check_betas(torch::zeros({0}), found);
    CHECK(found.warnings.empty());
    check_betas(torch::tensor({3.f, -11.f}), found);
    CHECK(all(found.warnings).find("a beta is 11") != std::string::npos);
    Capture capture;
    capture.betas = torch::tensor({12.f});
    capture.splits["train"] = FrameList(subject().frames);
    const BodyModel model(subject().data, subject().betas);
    CHECK(all(check_capture(*model, capture).warnings).find("a beta is 12") != std::string::npos);
}

TEST_CASE("each other choice of signs of the normals is told, with the axes that mend it") {
    const char* const axes[] = {"", "LUB", "RDB", "LDB", "RUF", "LUF", "RDF", "LDF"};
    for (int choice = 1; choice < 8; ++choice) {
        const auto sign = [&](int bit) { return choice & bit ? -1.f : 1.f; };
        const auto signs = torch::tensor({sign(1), sign(2), sign(4)}).reshape({3, 1, 1});
        const auto found =
            check(changed([&](Frame& f) { set_map(f, "normal", f.maps.at("normal") * signs); }));
        CHECK(found.problems.size() == 1);
        check_said(found, std::string("set \"axes\": \"") + axes[choice] + "\"");
    }
}

TEST_CASE("inverse depth that is given as depth is told") {
    const auto found = check(changed([](Frame& f) {
        const auto depth = f.maps.at("depth");
        set_map(f, "depth", torch::where(depth > 0, 1.1 * depth.max() - depth, depth));
    }));
    CHECK(found.problems.size() == 1);
    check_said(found, "\"kind\": \"inverse\"");
}

TEST_CASE("equal depths share their rank") {
    const auto correlation = [](const Frames& frames) {
        const auto lines = all(check(frames).lines);
        INFO(lines);
        std::smatch match;
        REQUIRE(std::regex_search(lines, match, std::regex("rank correlation .* ([0-9.]+)\n")));
        return std::stod(match[1]);
    };
    const auto halves = changed([](Frame& f) {
        const auto depth = f.maps.at("depth");
        const auto middle = depth.index({depth > 0}).median();
        set_map(f, "depth", torch::where(depth > middle, 2.f, 1.f) * (depth > 0));
    });
    // Spearman's of an order with its two halves, each of one value, is √3/2.
    CHECK(correlation(halves) / correlation(subject().frames) ==
          Approx(std::sqrt(3) / 2).margin(0.03));
}

TEST_CASE("left and right labels that are exchanged are told") {
    const auto found = check(changed([](Frame& f) {
        const auto labels = f.maps.at("semantic");
        auto other = labels.clone();
        for (int64_t left = 4; left <= 11; ++left) {  // Sapiens: Left_Foot … Left_Upper_Leg
            const int64_t right = left + 9;
            other.masked_fill_(labels == left, right);
            other.masked_fill_(labels == right, left);
        }
        set_map(f, "semantic", other);
    }));
    CHECK(found.problems.size() == 1);
    check_said(found, "the labels contradict the body");
}

TEST_CASE("priors are not judged by a body that is elsewhere") {
    const auto found = check(changed([](Frame& f) {
        f.pose.translation = f.pose.translation + torch::tensor({0.3f, 0.f, 0.f});
        set_map(f, "normal", -f.maps.at("normal"));
    }));
    CHECK(all(found.problems).find("normals") == std::string::npos);
    CHECK(all(found.lines).find("priors: not checked") != std::string::npos);
}

}  // namespace fmgs
