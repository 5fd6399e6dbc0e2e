#pragma once
/// What the programs share: the options of a run, and how its folder becomes a capture, an avatar
/// and its poses.
#include <fmgs/avatar.h>
#include <fmgs/data/capture.h>
#include <fmgs/fields/pose_table.h>
#include <fmgs/losses/paper_objective.h>
#include <fmgs/run/run_folder.h>
#include <fmgs/train/optim.h>

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace fmgs {

struct PoseOptions {
    bool learn = false;      ///< refine the training poses
    double start = 1.0 / 3;  ///< from this fraction of the run on

    template <class V>
    void visit(V& v) {
        v("learn", learn, "refine the training poses (ZJU-MoCap: true; PeopleSnapshot: false)");
        v("start", start, "fraction of the run after which poses are refined");
    }
};

struct RenderOptions {
    double low_pass = Camera{}.low_pass;

    template <class V>
    void visit(V& v) {
        v("low_pass", low_pass, "σ of the least that a surfel spreads over, pixels (2DGS: 0.7071)");
    }
};

struct TrainOptions {
    int64_t steps = 1000;
    int64_t seed = 0;
    std::string device = "cpu";
    int64_t log_every = 10;
    int64_t sheet_every = 250;
    int64_t checkpoint_every = 250;

    template <class V>
    void visit(V& v) {
        v("steps", steps, "optimisation steps");
        v("seed", seed, "seed of every random draw");
        v("device", device, "cpu, or cuda (cuda:N): a GPU, with a build that has FMGS_CUDA");
        v("log_every", log_every, "steps between rows of metrics.csv");
        v("sheet_every", sheet_every, "steps between contact sheets");
        v("checkpoint_every", checkpoint_every, "steps between checkpoints");
    }
};

/// Every option of `train`; dumped to RUN/config.yaml.
struct RunOptions {
    CaptureOptions data;
    AvatarOptions avatar;
    PoseOptions pose;
    ObjectiveOptions objective;
    RenderOptions render;
    OptimOptions optim;
    TrainOptions train;
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
        v.path("output", output, "folder of the run");
    }
};

/// Options from the arguments of a program: YAML files and key=value, or a run folder (its
/// config.yaml) and key=value.
RunOptions read_options(const std::vector<std::string>& arguments);

/// A capture with the avatar that learns it.
struct Run {
    RunOptions options;
    Capture capture;
    BodyModel body{nullptr};
    Avatar avatar{nullptr};
    PoseTable poses{nullptr};
    std::shared_ptr<torch::nn::Module> root;  ///< "avatar" and "poses": what a checkpoint keeps
    torch::Device device{torch::kCPU};        ///< where the avatar is

    /// The pose to render a frame with: the learned one where it has a row and poses are learned,
    /// else the file's.
    BodyPose pose(const Frame& frame);
};

/// "cpu", "cuda" or "cuda:N". Error when it is none of these, or the build or the machine has no
/// GPU.
torch::Device device_of(const std::string& name);

/// The training frames as training reads them: on a GPU their maps lie there in half precision
/// (depth, whose order counts, in float; labels as bytes), if they take less than half of the free
/// memory, else each comes over when its turn is. `note` says which.
std::vector<Frame> training_frames(const Run& run, std::string& note);

/// Reads the capture and builds the (untrained) avatar, on its device.
Run open_run(const RunOptions& options);

/// Fits the skinning field to the template's weights, with progress, when the options ask for it.
void prefit(Run& run);
/// Reads the last checkpoint of the folder into the avatar and the poses; returns its step. Error
/// when there is none.
int64_t load_latest(Run& run, const RunFolder& folder);
/// Frames in random order, each once per epoch. Stateless, so that a resumed run goes on with the
/// same frames.
const Frame& frame_of(const std::vector<Frame>& frames, int64_t step, uint64_t seed);
/// The columns of metrics.csv after the step: loss, PSNR and every term (unweighted; NaN when it
/// was off).
std::vector<std::string> metric_columns(const Objective& objective);
std::vector<double> metric_row(const Objective& objective, const LossReport& report, double psnr);
/// Three training frames beside what the avatar makes of them: RUN/sheets/STEP.png.
void write_sheet(Run& run, const RunFolder& folder, int64_t step);
/// Says what was read and what will be trained.
void print_run(const Run& run);
/// Flags that print every option and end the program: --defaults as YAML, --options as Markdown.
void add_option_lists(CLI::App& app);
/// Runs a program's body; prints an exception as one message on stderr and returns 1 then.
int guarded(const std::function<int()>& body);

/// The maps of one frame on the CPU, without gradient: color, alpha, depth, normal and every
/// modality.
Maps draw(Run& run, const Camera& camera, const BodyPose& pose);

}  // namespace fmgs
