// Writes the embedded capture as files: pictures, masks, priors, exact maps, poses and cameras of a
// clothed person whose geometry is known, beside the body file (body.npz), a template with the
// garment (template.obj), the light that the person stands in (light.hdr), a network to read poses
// with (backbone.pt) and a contact sheet (overview.png).
#include <fmgs/core/body_model.h>
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/capture_writer.h>
#include <fmgs/data/image_io.h>
#include <fmgs/data/radiance_file.h>
#include <fmgs/data/synthetic/procedural_body.h>
#include <fmgs/data/synthetic/stand_in_backbone.h>
#include <fmgs/data/synthetic/synthetic.h>
#include <fmgs/eval/colors.h>
#include <fmgs/run/program.h>
#include <fmt/format.h>
#include <torch/types.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

namespace {

namespace fs = std::filesystem;
using torch::Tensor;

// One row per split: some frames, and of the first ones every map (train: the priors, others: the
// truth).
Tensor overview(const fmgs::Capture& capture) {
    std::vector<Tensor> rows;
    constexpr size_t kColumns = 8;
    for (const auto& [split, frames] : capture.splits) {
        std::vector<Tensor> colors, row;
        for (size_t k = 0; k < kColumns; ++k)
            colors.push_back(frames[k * frames.size() / kColumns].maps.at("color"));
        for (const size_t k : {size_t{0}, frames.size() / 2}) {
            const auto& frame = frames[k];
            const auto& maps = split == "train" ? frame.maps : frame.truth;
            const auto& mask = frame.truth.at("mask");
            row.push_back(frame.maps.at("color"));
            for (const auto* name : {"depth", "normal", "semantic"})
                row.push_back(fmgs::colorize(name, maps.at(name), mask));
        }
        rows.push_back(torch::cat(colors, 2));
        rows.push_back(torch::cat(row, 2));
    }
    return torch::cat(rows, 1);
}

// The surface of every held-out frame, where find_true_mesh looks for it.
void write_meshes(const fs::path& folder, const fmgs::BodyData& body,
                  const fmgs::SyntheticOptions& options, const fmgs::Capture& capture) {
    const auto subject = fmgs::synthetic_subject(body, options);
    for (const auto& [split, frames] : capture.splits) {
        if (split == "train") continue;
        const auto place = (split == "test" ? folder : folder / split) / "gt" / "mesh";
        for (const auto& frame : frames.heads())
            fmgs::write_obj(place / (frame.name + ".obj"), subject.posed(frame.pose));
    }
}

void make(const fs::path& folder, const std::string& body_file,
          const fmgs::SyntheticOptions& options, bool meshes) {
    // Before the rendering, not after.
    if (fmgs::is_there(folder) && !(fs::is_directory(folder) && fs::is_empty(folder))) {
        throw fmgs::Error(
            fmt::format("{}: expected a new or empty folder, got {}", folder.string(),
                        fs::is_directory(folder) ? "one with files in it" : "a file"));
    }
    const auto body = body_file.empty() ? fmgs::procedural_body() : fmgs::read_body(body_file);
    const auto capture = fmgs::synthetic_capture(body, options, [](int64_t done, int64_t total) {
        std::fprintf(stderr, "\rrendering %ld of %ld", static_cast<long>(done),
                     static_cast<long>(total));
    });
    std::fprintf(stderr, "\nwriting %s\n", folder.c_str());
    fmgs::write_capture(folder, capture);
    fmgs::write_body(folder / "body.npz", body);
    fmgs::write_radiance(folder / "light.hdr", fmgs::synthetic_light(options.light).picture());
    fmgs::write_obj(folder / "template.obj", fmgs::synthetic_template(body, options));
    fmgs::write_stand_in_backbone(folder / "backbone.pt");
    if (meshes) write_meshes(folder, body, options, capture);
    fmgs::write_color(folder / "overview.png", overview(capture));
    fmgs::PriorQuality mean;
    for (const auto& frame : capture.splits.at("train")) {
        const auto q = fmgs::prior_quality(frame.maps, frame.truth);
        const auto share = 1.0 / static_cast<double>(capture.splits.at("train").size());
        mean.normal_deg += share * q.normal_deg,
            mean.depth_correlation += share * q.depth_correlation;
        mean.label_share += share * q.label_share;
    }
    fmt::print(
        "priors: normals {:.1f} degrees off, rank correlation of depth {:.3f}, labels {:.1f} % "
        "right\n",
        mean.normal_deg, mean.depth_correlation, 100 * mean.label_share);
    fmt::print("train on it with:  data.root={0} data.body={0}/body.npz\n", folder.string());
}

// One flag for each field that the options name.
struct CommandLine {
    CLI::App& app;
    template <class T>
    void operator()(const char* name, T& value, const std::string& help) {
        std::string flag = "--" + std::string(name);
        std::replace(flag.begin(), flag.end(), '_', '-');
        app.add_option(flag, value, help)->capture_default_str();
    }
    template <class T>
    void operator()(const char* name, T& value, const fmgs::Range& range, const char* help) {
        (*this)(name, value, fmt::format("{} ({})", help, range.text()));
    }
};

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "Writes the synthetic capture: a clothed person with known geometry, priors with a "
        "network's errors.");
    fs::path folder;
    std::string body_file;
    fmgs::SyntheticOptions options;
    app.add_option("folder", folder, "where to write")->required();
    app.add_option("--body", body_file,
                   "body file in SMPL's key layout with 24 joints (default: the procedural body)");
    bool meshes = false;
    app.add_flag("--meshes", meshes,
                 "also write the true surface of every held-out frame, gt/mesh/NAME.obj");
    CommandLine visitor{app};
    options.visit(visitor);
    CLI11_PARSE(app, argc, argv);
    return fmgs::guarded([&] {
        make(folder, body_file, options, meshes);
        return 0;
    });
}
