#include <fmgs/run/run.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/io/body_file.h>
#include <fmgs/data/motion.h>
#include <fmgs/data/pose_file.h>
#include <fmgs/data/priors.h>
#include <fmgs/fields/mlp.h>
#include <fmgs/run/pose_reading.h>
#include <fmgs/train/checkpoint.h>
#include <fmt/format.h>

#include <ostream>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

/// Surfels' initial scale decides `auto`; the answer is written back so that config.yaml and later
/// programs agree.
int64_t subdivisions_for(const RunOptions& options, const Capture& capture, const BodyModel& body) {
    if (options.avatar.subdivisions >= 0) return options.avatar.subdivisions;
    const Frame& frame = capture.splits.at("train").heads().front();
    return choose_subdivisions(*body, options.avatar.surfels, frame.camera, frame.pose);
}

std::map<std::string, std::string> modality_folders(const RunOptions& options) {
    std::map<std::string, std::string> folders;
    if (!options.objective.losses.albedo.weight.zero()) folders["albedo"] = "priors/albedo";
    for (const auto& [name, modality] : options.avatar.modalities) {
        if (name != "semantic")
            folders[name] = modality.folder.empty() ? "priors/" + name : modality.folder;
    }
    return folders;
}

/// Classes of one's own take the place of Sapiens' 28: the head gets as many.
void follow_classes(Run& run) {
    const auto semantic = run.options.avatar.modalities.find("semantic");
    const auto& own = run.capture.prior_format.classes;
    if (semantic == run.options.avatar.modalities.end() || run.capture.label_set.empty() ||
        own.empty())
        return;
    auto& channels = semantic->second.channels;
    const auto count = static_cast<int64_t>(own.size());
    if (channels != FeatureFieldOptions().channels && channels < count)
        throw Error(fmt::format(
            "modalities.semantic.channels: expected {} or more, the classes of priors.json, got {}",
            count, channels));
    if (channels != FeatureFieldOptions().channels) return;
    channels = count;
    run.capture.notes.push_back(
        fmt::format("modalities.semantic.channels is {}: the classes of priors.json", count));
}

/// The file of this name in the folder of the capture. Error, of the option `key`, when there is
/// none.
std::string beside_capture(const CaptureOptions& data, const char* name, const std::string& key,
                           const std::string& cure) {
    const auto file = fs::path(data.root) / name;
    if (!fs::exists(file))
        throw Error(
            fmt::format("{}: not set, and {} does not exist; {}", key, file.string(), cure));
    return file.string();
}

/// The body file that the options name, or the one in the folder of the capture.
std::string body_file(const CaptureOptions& data) {
    if (!data.body.empty()) return data.body;
    if (!is_capture(data.root)) return {};  // read_capture says it
    return beside_capture(data, "body.npz", "data.body", "add data.body=FILE");
}

/// The template's options with the file that they mean.
TemplateOptions template_of(const RunOptions& options) {
    auto shape = options.avatar.shape;
    if (shape.type == "mesh" && shape.file.empty())
        shape.file = beside_capture(options.data, "template.obj", "avatar.template.file",
                                    "a template of type mesh needs one");
    return shape;
}

/// Error for a source that there is not, or that the other options do not fit.
void check_source(const PoseOptions& pose) {
    const auto& source = pose.source;
    if (source != "table" && source != "encoder" && source != "scripted")
        throw Error(
            fmt::format("pose.source: expected table, encoder or scripted, got '{}'", source));
    if (source != "table" && !pose.learn)
        throw Error(fmt::format(
            "pose.source={}: an encoder is learned with the avatar; set pose.learn=true", source));
    if (source != "scripted" && !pose.encoder.backbone.empty())
        throw Error("pose.encoder.backbone: only pose.source=scripted takes one");
}

void check_precision(const std::string& precision) {
    if (precision != "float" && precision != "bf16")
        throw Error(fmt::format("train.precision: expected float or bf16, got '{}'", precision));
}

/// Has the avatar's networks train as train.precision says.
void set_precision(const Run& run) {
    if (run.options.train.precision != "bf16") return;
    for (const auto& part : run.avatar->modules())
        if (auto* network = dynamic_cast<MlpImpl*>(part.get())) network->train_in(torch::kBFloat16);
}

/// The network that the options name, or the one in the folder of the capture.
std::string backbone_file(const RunOptions& options) {
    const auto& file = options.pose.encoder.backbone;
    if (options.pose.source != "scripted" || !file.empty()) return file;
    return beside_capture(options.data, "backbone.pt", "pose.encoder.backbone",
                          "add pose.encoder.backbone=FILE");
}

/// What reads poses off pictures needs those of the train split, whatever else is opened.
CaptureParts parts_for(const PoseOptions& pose, CaptureParts parts) {
    if (pose.source == "table") return parts;
    parts.train = true;
    if (!parts.splits.empty()) parts.splits.emplace_back("train");
    return parts;
}

std::shared_ptr<PoseSource> pose_source(const Run& run, const std::vector<BodyPose>& poses) {
    const auto& pose = run.options.pose;
    if (pose.source == "table") return std::make_shared<PoseTableImpl>(poses);
    const auto seed = Random{static_cast<uint64_t>(run.options.train.seed)}.number("pose_encoder");
    return encoded_poses(
        run.capture.splits.at("train"), run.body.ptr(), pose.encoder.size,
        std::make_shared<PoseCorrectionImpl>(pose.encoder, run.body->joint_count(), seed));
}

}  // namespace

Run open_run(const RunOptions& options, const CaptureParts& parts) {
    check_ranges(options, "");
    check_source(options.pose);
    check_precision(options.train.precision);
    if (options.data.root.empty())
        throw Error("data.root: the folder of the capture is not set; add data.root=FOLDER");
    Run run;
    run.options = options;
    run.options.data.body = body_file(options.data);
    run.capture =
        read_capture(run.options.data, modality_folders(options), parts_for(options.pose, parts));
    run.options.pose.encoder.backbone = backbone_file(options);
    follow_classes(run);
    for (auto& [split, frames] : run.capture.splits) {
        for (auto& head : frames.heads()) head.camera.low_pass = options.render.low_pass;
    }
    const auto body = std::move(run.capture.body);  // the model keeps what it needs of it
    run.capture.description += fmt::format("\n{}", describe_body(run.options.data.body, *body));
    run.body = with_template(BodyModel(*body, run.capture.betas, options.avatar.star_degrees),
                             template_of(options));
    if (options.avatar.blendshapes.any() && options.avatar.shape.type != "body")
        throw Error(
            "avatar.blendshapes: they move the vertices of the body's own template; set "
            "avatar.template.type to body");
    if (options.avatar.blendshapes.shape || options.avatar.blendshapes.betas)
        run.body = with_shape(run.body, body->shape_directions);
    run.options.avatar.subdivisions = subdivisions_for(options, run.capture, run.body);
    const auto seed = static_cast<uint64_t>(options.train.seed);
    run.avatar = Avatar(paper_parts(run.body, run.options.avatar, seed));

    std::vector<BodyPose> poses;
    for (const auto& frame : run.capture.splits.at("train").heads()) poses.push_back(frame.pose);
    run.poses = pose_source(run, poses);
    run.root = std::make_shared<torch::nn::Module>("run");
    run.root->register_module("avatar", run.avatar);
    run.root->register_module("poses", run.poses);
    run.device = device_of(options.train.device);
    run.root->to(run.device);
    set_precision(run);
    return run;
}

void replace_avatar(Run& run, const Avatar& avatar) {
    run.avatar = avatar;
    run.avatar->to(run.device);
    run.root->replace_module("avatar", avatar.ptr());
    set_precision(run);
}

Frame take(const Run& run, const Frame& frame, double progress) {
    auto taken = frame.to(run.device);
    if (run.options.pose.learn && progress >= run.options.pose.start && frame.index >= 0)
        taken.pose = run.poses->forward(frame.index);
    return taken;
}

void prefit(Run& run, std::ostream& progress) {
    // A table is born with the template's weights.
    if (!run.options.avatar.skinning.prefit || run.options.avatar.skinning.type == "table") return;
    const auto seed = Random{static_cast<uint64_t>(run.options.train.seed)}.number("prefit");
    const auto canonical = run.body->canonical();
    prefit_skinning(*run.avatar->parts().skinning,
                    {canonical.vertices.cpu(), canonical.faces.cpu()}, run.body->weights().cpu(),
                    run.options.avatar.skinning, seed,
                    [&](int64_t step, int64_t steps, double loss) {
                        progress << fmt::format("\rfitting the skinning field: {}/{}  {:.2e} ",
                                                step, steps, loss)
                                 << std::flush;
                    });
    progress << "\n" << std::flush;
}

void fit_projection(const Run& run) {
    std::vector<BodyPose> poses;
    for (const auto& frame : run.capture.splits.at("train").heads())
        poses.push_back(take(run, frame).pose);
    run.avatar.ptr()->fit_projection(poses);
}

int64_t load_latest(Run& run, const RunFolder& folder) {
    const auto last = latest_checkpoint(folder.checkpoints());
    if (!last)
        throw Error(fmt::format("{}: there is no checkpoint; train it first",
                                folder.checkpoints().string()));
    run.avatar->eval();
    return load_checkpoint(last->folder, named_tensors(*run.root)).step;
}

AvatarScene scene_of(const Run& run) {
    const auto frames = run.capture.splits.at("train").heads();
    AvatarScene scene;
    scene.camera = frames.front().camera;
    scene.up = -scene.camera.rotation[1];
    for (const auto& frame : frames) scene.frames.push_back(frame.name);
    const auto learned = run.poses->rows();
    scene.axis_angle = learned.axis_angle;
    scene.translation = learned.translation;
    scene.root = median_root(scene.translation, run.body->joints()[0]);
    const auto semantic = run.options.avatar.modalities.find("semantic");
    const auto names = run.capture.label_set.empty() ? std::vector<std::string>()
                                                     : class_names(run.capture.prior_format);
    if (semantic != run.options.avatar.modalities.end() &&
        static_cast<int64_t>(names.size()) == semantic->second.channels)
        scene.labels["semantic"] = names;
    return scene;
}

void save_results(const Run& run, const RunFolder& folder) {
    const auto scene = scene_of(run);
    if (part_of_ones_own(run.avatar.ptr()->parts()).empty())
        save_avatar(folder.avatar(), run.avatar, run.options.avatar, scene);
    if (!run.options.pose.learn) return;
    const auto angles = scene.axis_angle.flatten(1);
    PoseFile poses;
    poses.betas = run.capture.betas;
    poses.global_orient = angles.slice(1, 0, 3);
    poses.body_pose = angles.slice(1, 3);
    poses.transl = scene.translation;
    poses.names = scene.frames;
    write_pose_file(folder.poses(), poses);
    if (const auto* read = dynamic_cast<const EncodedPosesImpl*>(run.poses.get()))
        save_pose_encoder(folder.pose_encoder(), *read->correction(), run.options.pose.encoder,
                          run.body->joint_count());
}

}  // namespace fmgs
