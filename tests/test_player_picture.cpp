// What Chromium draws of the page that plays an avatar.
#include <fmgs/core/io/files.h>
#include <fmgs/data/image_io.h>
#include <fmgs/eval/colors.h>
#include <fmgs/raster/render.h>

#include <nlohmann/json.hpp>

#include "support/performer.h"
#include "support/programs.h"

using namespace fmgs;
using namespace fmgs::test;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

/// Σ w f of the surfels [N,C] in a second pass, as far_side wants it; and alpha, and Σ w z.
Maps of_near_side(const Subject& s, const BodyPose& pose, const Camera& camera) {
    auto posed = s.avatar->forward(pose);
    const auto center = camera.to_camera(posed.center);
    const auto normal = torch::matmul(posed.normal, camera.rotation.t());
    const auto away = (normal * center).sum(1, true) > 0;
    const auto facing = torch::where(away, -normal, normal);
    posed.opacity = torch::where(away, posed.opacity * posed.far_side, posed.opacity);
    posed.far_side = 1;
    posed.features.set("shade", facing * torch::tensor({0.5F, -0.5F, -0.5F}) + 0.5);
    auto maps = render(posed, camera, {"shade", "alpha", "depth"});
    const double middle =
        (torch::matmul(camera.rotation, s.scene.root) + camera.translation)[2].item<double>();
    maps.set(
        "grey",
        (maps.at("alpha") * (0.5 + middle / 1.6 - maps.at("depth") / 1.6)).expand({3, -1, -1}));
    return maps;
}

/// What the page should show, [3,H,W].
torch::Tensor expected(const Subject& s, const BodyPose& pose, const Camera& camera,
                       const std::string& view) {
    if (view == "normal") return of_near_side(s, pose, camera).at("shade");
    if (view == "depth") return of_near_side(s, pose, camera).at("grey");
    auto posed = s.avatar->forward(pose);
    if (view == "color") return render(posed, camera, {"color"}).at("color");
    const auto palette = colorize_labels(s.avatar->parts().labels.unsqueeze(0));  // [3,1,N]
    posed.features.set("label", palette.squeeze(1).t());
    return render(posed, camera, {"label"}).at("label");
}

/// The scene's camera in a window of this size.
Camera windowed(const Camera& camera, int64_t width, int64_t height) {
    const double scale = std::min(static_cast<double>(width) / static_cast<double>(camera.width),
                                  static_cast<double>(height) / static_cast<double>(camera.height));
    auto out = camera;
    out.intrinsics = camera.intrinsics * scale;
    out.intrinsics[2] +=
        (static_cast<double>(width) - static_cast<double>(camera.width) * scale) / 2;
    out.intrinsics[3] +=
        (static_cast<double>(height) - static_cast<double>(camera.height) * scale) / 2;
    out.width = width;
    out.height = height;
    return out;
}

/// The program, or "".
std::string chromium() {
    auto found =
        shell("command -v chromium || command -v chromium-browser || command -v google-chrome");
    return found.code == 0 ? found.text.substr(0, found.text.find('\n')) : "";
}

Json looked_at(const std::string& browser, const Json& requests, const fs::path& folder) {
    write_whole(folder / "requests.json", requests.dump());
    const auto done = shell("python3 " FMGS_SOURCE_DIR "/tests/support/browser.py " + browser +
                            " \"$(cat " + (folder / "requests.json").string() + ")\"");
    INFO(done.text);
    REQUIRE(done.code == 0);
    return Json::parse(done.text.substr(done.text.find('[')));
}

/// A picture of a page that is looked at: of which subject, which map, frame and window.
struct Look {
    int64_t axes;
    std::string view;
    int64_t frame, width, height;
};

const std::vector<Look> kLooks = {{1, "color", 0, 640, 480},
                                  {1, "normal", 1, 640, 480},
                                  {3, "color", 2, 390, 844},
                                  {3, "depth", 0, 320, 240},
                                  {1, "labels", 2, 390, 844}};

// Everything that can be pressed is pressed.
constexpr const char* kPressAll = R"js((async () => {
    const next = () => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
    for (const button of document.querySelectorAll("button")) { button.click(); await next(); }
    for (const input of document.querySelectorAll("input")) { input.value = 1; input.dispatchEvent(new Event("input")); await next(); }
    const canvas = document.querySelector("canvas");
    canvas.dispatchEvent(new WheelEvent("wheel", {deltaY: 40}));
    canvas.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowLeft"}));
    await next();
    return document.querySelectorAll("button").length;
})())js";

/// Of each look, and of a page as a person opens it on a phone.
Json requests(const fs::path& folder) {
    Json out;
    const auto add = [&](int64_t axes, const std::string& state, int64_t width, int64_t height) {
        const auto page = folder / (std::to_string(axes) + ".html");
        const auto picture = folder / (std::to_string(out.size()) + ".png");
        out.push_back({{"url", "file://" + page.string() + state},
                       {"picture", picture.string()},
                       {"width", width},
                       {"height", height},
                       {"phone", width < height}});
    };
    for (const auto& look : kLooks)
        add(look.axes, "#still&view=" + look.view + "&frame=" + std::to_string(look.frame),
            look.width, look.height);
    add(1, "", 390, 844);
    out.back()["script"] = kPressAll;
    return out;
}

void check_picture(const Subject& s, const Look& look, const fs::path& file) {
    const auto camera = windowed(s.scene.camera, look.width, look.height);
    const auto& pose = s.performance.poses[static_cast<size_t>(look.frame)];
    const auto want = expected(s, pose, camera, look.view).clamp(0, 1);
    const auto seen = read_color(file);
    const auto person = render(s.avatar->forward(pose), camera, {"alpha"}).at("alpha") > 0.5;
    const auto error = (seen - want).square().masked_select(person).mean().item<double>();
    INFO("PSNR " << -10 * std::log10(error));
    CHECK(error < 2e-5);  // 47 dB; measured 52 to 54, in 8 bits, blended one after the other
    CHECK((seen - want).abs().max().item<double>() < 0.02);
}

}  // namespace

TEST_CASE("Chromium draws the picture that the rasterizer draws", "[player]") {
    const auto browser = chromium();
    if (browser.empty()) {
        std::printf("skipped: no Chromium\n");
        return;
    }
    const TemporaryFolder folder;
    std::map<int64_t, Subject> subjects;
    for (const int64_t axes : {1, 3}) {
        const auto& s = subjects[axes] = subject(axes);
        write_whole(folder.path / (std::to_string(axes) + ".html"),
                    player_page(s.avatar, s.scene, s.performance, "tiny"));
    }
    const auto asked = requests(folder.path);
    const auto found = looked_at(browser, asked, folder.path);
    for (size_t k = 0; k < found.size(); ++k) {
        INFO(asked[k].dump() << " " << found[k].dump());
        REQUIRE(found[k]["state"] == "drawn");
        REQUIRE(found[k]["complaints"].empty());
        if (k < kLooks.size())
            check_picture(subjects.at(kLooks[k].axes), kLooks[k],
                          folder.path / (std::to_string(k) + ".png"));
    }
    REQUIRE(found.back()["value"].get<int>() > 8);
}
