// How long users' files take to read, and how much memory.
//
//   bench_data                  of files that it makes
//   bench_data CAPTURE BODY     what the check adds to opening this capture
#include <fmgs/core/body_model.h>
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/value.h>
#include <fmgs/core/memory.h>
#include <fmgs/core/random.h>
#include <fmgs/data/cache/frame_store.h>
#include <fmgs/data/capture_writer.h>
#include <fmgs/data/check/capture_check.h>
#include <fmgs/data/pose_file.h>
#include <fmgs/data/synthetic/procedural_body.h>
#include <fmgs/data/synthetic/synthetic.h>
#include <fmgs/run/training.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>

namespace {

using namespace fmgs;
namespace fs = std::filesystem;

/// A folder that is gone when the program ends.
struct Folder {
    std::filesystem::path path;
    Folder() {
        auto pattern = (std::filesystem::temp_directory_path() / "bench-XXXXXX").string();
        path = mkdtemp(pattern.data());
    }
    ~Folder() { std::filesystem::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double peak_megabytes() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) / 1024;
}

/// An entry of a dictionary as Python 2 writes an array in protocol 0: its bytes as their repr.
void write_array(std::ofstream& out, const std::string& key, const torch::Tensor& values,
                 const std::string& dtype) {
    out << "S'" << key
        << "'\ncnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(";
    for (const auto size : values.sizes()) out << "I" << size << "\n";
    out << "tcnumpy\ndtype\n(S'" << dtype << "'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'";
    const auto* bytes = static_cast<const uint8_t*>(values.data_ptr());
    std::string text;
    for (size_t i = 0; i < values.nbytes(); ++i) {
        const auto c = bytes[i];
        if (c == '\\' || c == '\'')
            text += {'\\', static_cast<char>(c)};
        else if (c == '\n' || c == '\r' || c == '\t')
            text += {'\\', c == '\n' ? 'n' : c == '\r' ? 'r' : 't'};
        else if (c >= 32 && c < 127)
            text += static_cast<char>(c);
        else
            text += fmt::format("\\x{:02x}", c);
    }
    out << text << "'\ntbs";
}

/// A body of SMPL 1.1's sizes, of random numbers: about 250 MB.
void write_body_pickle(const std::filesystem::path& file) {
    constexpr int64_t V = 6890, J = 24;
    const auto generator = Random{1}.generator("body");
    const auto random = [&](torch::IntArrayRef shape) {
        return torch::randn(shape, generator, torch::kDouble);
    };
    auto weights = torch::zeros({V, J}, torch::kDouble);
    weights.select(1, 0).fill_(1);
    const auto ids = torch::arange(J);
    auto tree = torch::stack({(ids - 1).clamp_min(0), ids});
    tree[0][0] = 4294967295;
    std::ofstream out(file, std::ios::binary);
    out << "(d";
    write_array(out, "v_template", random({V, 3}), "f8");
    write_array(out, "f", torch::randint(V, {13776, 3}, generator, torch::kLong), "i8");
    write_array(out, "weights", weights, "f8");
    write_array(out, "posedirs", random({V, 3, 9 * (J - 1)}), "f8");
    write_array(out, "shapedirs", random({V, 3, 300}), "f8");
    write_array(out, "J_regressor", torch::full({J, V}, 1.0 / V, torch::kDouble), "f8");
    write_array(out, "kintree_table", tree, "i8");
    out << ".";
    if (!out.flush()) throw Error(file.string() + ": cannot be written");
}

void bench_body_pickle(const Folder& folder) {
    const auto file = folder.path / "body.pkl";
    write_body_pickle(file);
    const auto before = peak_megabytes();
    const auto start = std::chrono::steady_clock::now();
    const auto body = read_body(file);
    const double seconds = seconds_since(start);
    fmt::print(
        "ASCII pickle of a body, {:.1f} MB, {} betas: {:.2f} s (at most 10), peak {:.0f} MB (at "
        "most "
        "1500; {:.0f} before)\n",
        static_cast<double>(std::filesystem::file_size(file)) / 1e6, body.shape_directions.size(2),
        seconds, peak_megabytes(), before);
}

constexpr int64_t kFrames = 600, kDistinct = 4, kSide = 1024, kChecked = 60;

std::string frame_name(int64_t k) { return fmt::format("image_{:04}", k); }

/// A capture of many frames: the files of a few under many names.
void write_many(const fs::path& few, const fs::path& many) {
    for (const auto& entry : fs::recursive_directory_iterator(few)) {
        const auto relative = fs::relative(entry.path(), few);
        const auto folder = relative.begin()->string();
        if (!entry.is_regular_file() || folder == "gt" || folder == "splits" || folder == "poses")
            continue;
        fs::create_directories((many / relative).parent_path());
        if (!relative.stem().string().starts_with("image_")) {
            fs::copy_file(entry.path(), many / relative);
            continue;
        }
        const auto number = std::stoll(relative.stem().string().substr(6));
        for (int64_t k = number; k < kFrames; k += kDistinct)
            fs::create_hard_link(entry.path(), many / relative.parent_path() /
                                                   (frame_name(k) + relative.extension().string()));
    }
    auto poses = read_pose_file(few / "poses/train.npz");
    const auto rows = torch::arange(kFrames) % kDistinct;
    for (auto* x : {&poses.global_orient, &poses.body_pose, &poses.transl})
        *x = x->index_select(0, rows);
    poses.names.clear();
    std::string list;
    for (int64_t k = 0; k < kFrames; ++k) {
        poses.names.push_back(frame_name(k));
        list += frame_name(k) + "\n";
    }
    fs::create_directories(many / "poses");
    write_pose_file(many / "poses/train.npz", poses);
    write_whole(many / "splits/train.txt", list);
}

fs::path make_capture(const Folder& folder) {
    const auto body = procedural_body();
    SyntheticOptions options;
    options.size = kSide;
    options.train_frames = kDistinct;
    options.test_frames = options.test_views = options.novel_frames = 0;
    options.samples = 1;
    write_capture(folder.path / "few", synthetic_capture(body, options));
    write_body(folder.path / "few/body.npz", body);
    write_many(folder.path / "few", folder.path / "many");
    return folder.path / "many";
}

void bench_opening(const fs::path& root) {
    CaptureOptions options;
    options.root = root.string();
    options.body = (root / "body.npz").string();
    auto start = std::chrono::steady_clock::now();
    const auto capture = read_capture(options, {}, training_parts());
    fmt::print("opening {} frames of {}x{} with priors: {:.2f} s (at most 2)\n", kFrames, kSide,
               kSide, seconds_since(start));
    constexpr int kSome = 40;
    start = std::chrono::steady_clock::now();
    auto frame = capture.splits.at("train").begin();
    for (int k = 0; k < kSome; ++k, ++frame) (void)*frame;
    const auto use = capture.splits.at("train").store()->use();
    fmt::print("  decoding, one after the other: {:.0f} ms each; kept, {} each ({} in floats)\n",
               1000 * seconds_since(start) / kSome,
               memory_text(use.bytes / static_cast<double>(use.kept)),
               memory_text(40.0 * kSide * kSide));
}

double median(std::vector<double> x) {
    std::nth_element(x.begin(), x.begin() + static_cast<int64_t>(x.size()) / 2, x.end());
    return x[x.size() / 2];
}

/// Training steps of a small avatar on 16 of the frames with so many GB; the median step.
double bench_training(const fs::path& root, const Folder& folder, const std::string& memory) {
    constexpr int64_t kSteps = 12;
    auto run = open_run(
        read_options({"data.root=" + root.string(), "data.last=15", "data.memory=" + memory,
                      "avatar.subdivisions=0", "avatar.skinning.prefit_steps=2",
                      "train.steps=" + std::to_string(kSteps + 1), "train.sheet_every=1000000"}));
    const auto* store = run.capture.splits.at("train").store();
    auto objective = paper_objective(run.avatar->parts(), run.options.objective);
    std::ostringstream progress;
    auto training =
        start(std::move(run), objective, RunFolder{folder.path / ("run" + memory)}, progress);
    (void)training_step(training);  // the first one sets up
    const double waited = training.waiting;
    std::vector<double> times;
    for (int64_t k = 0; k < kSteps; ++k) {
        const auto from = std::chrono::steady_clock::now();
        (void)training_step(training);
        times.push_back(seconds_since(from));
    }
    double sum = 0;
    for (const double time : times) sum += time;
    const auto use = store->use();
    fmt::print(
        "  data.memory={}: {} of {} frames stay, at most {} of {:.0f} MB; step {:.2f} s, of which "
        "{:.2f} % are spent on getting the frame (at most 2); peak {:.0f} MB\n",
        memory, use.kept, use.frames, memory_text(use.most), 1000 * std::stod(memory),
        median(times), 100 * (training.waiting - waited) / sum, peak_megabytes());
    return median(times);
}

/// What the check adds to opening a capture as training does: its headers, and every frame once.
void bench_check(const CaptureOptions& options) {
    constexpr int kRepeats = 5;
    std::vector<double> with, without;
    size_t frames = 0;
    for (int k = 0; k < 2 * kRepeats; ++k) {
        const auto start = std::chrono::steady_clock::now();
        const auto capture = read_capture(options, {}, training_parts());
        const auto& train = capture.splits.at("train");
        if (k % 2) (void)check_capture(*BodyModel(*capture.body, capture.betas), capture);
        for (auto frame = train.begin(); frame != train.end(); ++frame) (void)*frame;
        (k % 2 ? with : without).push_back(seconds_since(start));
        frames = train.size();
    }
    const double on = median(with), off = median(without);
    fmt::print(
        "opening {} frames of {}: {:.3f} s, with the check {:.3f} s, {:.1f} % more (at most "
        "5)\n",
        frames, options.root, off, on, 100 * (on / off - 1));
}

void bench_capture(const Folder& folder) {
    const auto root = make_capture(folder);
    bench_opening(root);
    bench_check(
        {.root = root.string(), .body = (root / "body.npz").string(), .last = kChecked - 1});
    fmt::print("training at {0}x{0} on 16 of them, {1} threads\n", kSide, at::get_num_threads());
    const double few = bench_training(root, folder, "0.1");
    const double all = bench_training(root, folder, "2");
    fmt::print("  decoding beside the step makes it {:.1f} % slower\n", 100 * (few / all - 1));
}

}  // namespace

int main(int count, char** arguments) {
    try {
        if (count == 3) {
            bench_check({.root = arguments[1], .body = arguments[2]});
            return 0;
        }
        const Folder folder;
        bench_body_pickle(folder);
        bench_capture(folder);
    } catch (const std::exception& error) {
        fmt::print(stderr, "bench_data: {}\n", error.what());
        return 1;
    }
    return 0;
}
