// Draws a motion with a trained avatar; needs nothing else on disk:  draw_avatar FILE MOTION FOLDER
#include <fmgs/avatar_file.h>
#include <fmgs/data/image_io.h>
#include <fmgs/data/motion.h>
#include <fmgs/eval/colors.h>
#include <fmgs/raster/render.h>
#include <torch/utils.h>
using namespace fmgs;

int main(int, char** argv) {
    const torch::NoGradGuard guard;
    auto [avatar, options, scene] = load_avatar(argv[1]);
    const auto& body = avatar->parts().body;
    const auto motion = read_motion(argv[2], *body);
    const Placement place{body->joints()[0], scene.root, scene.up};
    std::vector<std::string> names{"color", "alpha", "depth", "normal"};
    for (const auto& [name, modality] : options.modalities) names.push_back(name);
    for (int k = 0; const auto& pose : place_motion(motion, scene.camera, place)) {
        const auto maps = render(avatar->forward(scene.camera, pose).posed(), scene.camera, names);
        const auto file = std::to_string(1000000 + k++).substr(1) + ".png";
        for (const auto& [name, map] : maps)
            write_color(std::filesystem::path(argv[3]) / name / file,
                        colorize(name, map, maps.at("alpha")));
    }
}
