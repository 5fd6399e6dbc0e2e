#pragma once
/// Every option of a run, and how they are read.
#include <fmgs/avatar.h>
#include <fmgs/core/config/range.h>
#include <fmgs/data/capture.h>
#include <fmgs/fields/pose_correction.h>
#include <fmgs/losses/paper_objective.h>
#include <fmgs/train/optim.h>

#include <string>
#include <vector>

namespace fmgs {

struct PoseOptions {
    bool learn = false;  ///< refine the training poses
    /// what they are learned as: rows of a "table", or what an "encoder" or the "scripted" network
    /// of a user reads off the pictures
    std::string source = "table";
    PoseCorrectionOptions encoder = {};
    double start = 0.05;     ///< from this fraction of the run on
    int64_t steps = 4;       ///< of the drawn frame's pose in each step of the run
    double smoothness = 0;   ///< weight of PoseSmoothnessLoss
    double anchor = 0;       ///< weight of PoseAnchorLoss
    int64_t checks = 5;      ///< of PoseGuard over the run; 0: no guard
    double held_out = 0.04;  ///< share of the pixels that the guard hides from all losses

    template <class V>
    void visit(V& v) {
        v("learn", learn, "refine the training poses (ZJU-MoCap: true; PeopleSnapshot: false)");
        v("source", source,
          "table: a pose for each frame; encoder: read off its picture by a small network; "
          "scripted: "
          "by a head on pose.encoder.backbone");
        v.group("encoder", encoder);
        v("start", start, Range::of(0, 1), "fraction of the run after which poses are refined");
        v("steps", steps, Range::of(1, 100),
          "steps of the drawn frame's pose in each step of the run");
        v("smoothness", smoothness, Range::at_least(0),
          "weight of the acceleration of learned poses between neighbours in time");
        v("anchor", anchor, Range::at_least(0),
          "weight of the distance of learned poses from those of the file");
        v("checks", checks, Range::of(0, 1000),
          "how often over the run each pose of the table is held against the best so far; 0: "
          "never");
        v("held_out", held_out, Range::of(0, 0.5),
          "share of the pixels that no loss sees while poses are learned, for these checks");
    }
};

struct RenderOptions {
    double low_pass = Camera{}.low_pass;

    template <class V>
    void visit(V& v) {
        v("low_pass", low_pass, Range::more_than(0),
          "σ of the least that a surfel spreads over, pixels (2DGS: 0.7071)");
    }
};

struct TrainOptions {
    int64_t steps = 1000;
    int64_t seed = 0;
    std::string device = "cpu";
    std::string precision = "float";  ///< or "bf16", of the networks' products
    int64_t batch = 1;                ///< frames of a step, on all ranks together
    double timeout = 120;  ///< seconds without a sign of life from a rank (train/ranks.h)
    int64_t log_every = 10;
    int64_t gradients_every = 0;
    int64_t sheet_every = 250;
    int64_t checkpoint_every = 250;

    template <class V>
    void visit(V& v) {
        v("steps", steps, Range::at_least(0), "optimisation steps");
        v("seed", seed, Range::at_least(0), "seed of every random draw");
        v("device", device, "cpu, or cuda (cuda:N): a GPU, with a build that has FMGS_CUDA");
        v("precision", precision,
          "of the networks' products in training: float, or bf16 (faster where processor or GPU "
          "have "
          "instructions for it)");
        v("batch", batch, Range::of(1, 65536),
          "frames of a step, whose mean is learned from, on all ranks together (docs/scale.md)");
        v("timeout", timeout, Range::of(1, 86400),
          "seconds without a sign of life after which a rank is lost, and ten times that to wait "
          "for one that lives");
        v("log_every", log_every, Range::at_least(1), "steps between rows of metrics.csv");
        v("gradients_every", gradients_every, Range::at_least(0),
          "steps between rows of gradients.csv, each at the cost of about a step; 0: none");
        v("sheet_every", sheet_every, Range::at_least(1), "steps between contact sheets");
        v("checkpoint_every", checkpoint_every, Range::at_least(1), "steps between checkpoints");
    }
};

/// How `evaluate` measures.
struct EvalOptions {
    std::string protocol;              ///< of eval/protocols.h; empty: none
    std::vector<std::string> presets;  ///< of eval/presets.h, beside those of the protocol
    std::string lpips_vgg, lpips_alex;
    std::string true_poses;
    std::string light;
    int64_t worst = 3;
    int64_t fit_epochs = 20;
    double fit_rate = 1e-5;

    template <class V>
    void visit(V& v) {
        v("protocol", protocol,
          "zju-mocap (Table 1), people-snapshot (Table 2) or synthetic: splits, presets and table");
        v("presets", presets,
          "further evaluators to measure as: 3dgs-avatar-zju, humannerf, instantavatar-ps, "
          "gauhuman, animatable-gaussians, relit");
        v.path("lpips_vgg", lpips_vgg, "VGG16 for LPIPS: a file that tools/export_lpips.py makes");
        v.path("lpips_alex", lpips_alex, "AlexNet for LPIPS: likewise");
        v.path("true_poses", true_poses,
               "poses of the train frames that are known to be right: learned ones are held "
               "against them");
        v.path("light", light,
               "a Radiance .hdr under which an avatar of materials is drawn, in the place of its "
               "own light");
        v("worst", worst, Range::of(0, 100), "pictures per split whose errors are drawn");
        v("fit_epochs", fit_epochs, Range::at_least(1),
          "steps on each picture of evaluate --fit-test-poses");
        v("fit_rate", fit_rate, Range::more_than(0),
          "learning rate of evaluate --fit-test-poses, radians and metres a step");
    }
};

/// Every option of `train`; dumped to RUN/config.yaml.
struct RunOptions {
    CaptureOptions data = {};
    AvatarOptions avatar = {};
    PoseOptions pose = {};
    ObjectiveOptions objective = {};
    RenderOptions render = {};
    OptimOptions optim = {};
    TrainOptions train = {};
    EvalOptions eval = {};
    std::string output;

    template <class V>
    void visit(V& v) {
        v.group("data", data);
        v.group("avatar", avatar);
        v.groups("modalities", avatar.modalities,
                 "feature fields by name; each is rendered under its name");
        v.group("pose", pose);
        objective.visit(v);
        v.group("render", render);
        v.group("optim", optim);
        v.group("train", train);
        v.group("eval", eval);
        v.path("output", output, "folder of the run");
    }
};

/// Options from the arguments of a program: YAML files and key=value, or a run folder (its
/// config.yaml) and key=value.
RunOptions read_options(const std::vector<std::string>& arguments);
/// The text of RUN/config.yaml: every option, with the version of its keys.
std::string config_text(const RunOptions& options);

/// "cpu", "cuda" (where several ranks share a machine, the GPU of this one) or "cuda:N". Error when
/// it is none of these, or the build or the machine has no GPU.
torch::Device device_of(const std::string& name);

}  // namespace fmgs
