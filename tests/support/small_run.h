#pragma once
/// A run on a small capture, and a loss of one's own for it.
#include <fmgs/data/capture_writer.h>
#include <fmgs/data/synthetic/procedural_body.h>
#include <fmgs/data/synthetic/stand_in_backbone.h>
#include <fmgs/data/synthetic/synthetic.h>
#include <fmgs/run/options.h>

#include "support/test.h"

namespace fmgs::test {

/// A capture of 4 frames at 48², made once.
inline const std::filesystem::path& capture() {
    static const TemporaryFolder folder;
    static const std::filesystem::path path = [] {
        const auto body = procedural_body({.cell = 0.035});  // a step takes a third
        SyntheticOptions options;
        options.size = 48;
        options.train_frames = 4;
        options.test_frames = options.test_views = options.novel_frames = 1;
        options.subdivisions = 0;
        options.samples = 1;
        write_capture(folder.path / "capture", synthetic_capture(body, options));
        write_body(folder.path / "capture/body.npz", body);
        write_obj(folder.path / "capture/template.obj", synthetic_template(body, options));
        write_stand_in_backbone(folder.path / "capture/backbone.pt");
        return folder.path / "capture";
    }();
    return path;
}

inline RunOptions options(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"data.root=" + capture().string(),
                                          "avatar.subdivisions=0",
                                          "avatar.template.resolution=24",
                                          "avatar.template.offsets.steps=3",
                                          "avatar.skinning.prefit_steps=2",
                                          "avatar.skinning.prefit_points=64",
                                          "avatar.skinning.volume.log2_hashmap_size=8",
                                          "avatar.geometry.volume.log2_hashmap_size=8",
                                          "avatar.appearance.volume.log2_hashmap_size=8",
                                          "modalities.semantic.volume.log2_hashmap_size=8",
                                          "train.steps=4",
                                          "train.log_every=1",
                                          "train.sheet_every=1000"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return read_options(arguments);
}

/// Owns a parameter and a buffer.
struct ExposureLoss : Loss {
    torch::Tensor gain = register_parameter("gain", torch::ones({3, 1, 1}));
    torch::Tensor seen = register_buffer("seen", torch::zeros({1}));

    std::vector<std::string> needs() const override { return {"color"}; }
    std::vector<std::string> targets() const override { return {"color"}; }
    torch::Tensor forward(const LossInput& in) override {
        seen += 1;
        return (gain * in.rendered.at("color") - in.frame.maps.at("color")).abs().mean();
    }
};

}  // namespace fmgs::test
