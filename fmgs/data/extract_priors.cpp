#include <fmgs/data/extract_priors.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/npz_reader.h>
#include <fmgs/data/capture.h>
#include <fmgs/data/file_names.h>
#include <fmgs/data/image_io.h>
#include <fmgs/data/picture_header.h>
#include <fmgs/data/priors.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace fmgs {

namespace fs = std::filesystem;
using torch::Tensor;

namespace {

struct Source {
    std::string name;  // without its extension, below the folder
    fs::path file;
    int64_t height = 0, width = 0;
};

// A task and what is left to do of it.
struct Job {
    PriorTask task;
    fs::path network, folder;
    std::vector<const Source*> todo;
};

fs::path pictures_of(const fs::path& input) {
    if (fs::is_directory(input / "images")) return input / "images";
    if (!fs::is_directory(input))
        throw Error(fmt::format("{}: expected a folder of pictures, or a capture with images/",
                                input.string()));
    if (is_capture(input))
        throw Error(
            fmt::format("{}: a capture whose pictures are not in images/; give the folder of its "
                        "pictures and --out {}",
                        input.string(), (input / "priors").string()));
    return input;
}

fs::path output_of(const ExtractOptions& options) {
    if (!options.output.empty()) return options.output;
    if (fs::is_directory(options.input / "images")) return options.input / "priors";
    throw Error(fmt::format("{}: a folder of pictures; say where the priors go with --out FOLDER",
                            options.input.string()));
}

std::vector<Source> list_sources(const fs::path& folder, std::vector<std::string>& notes) {
    const auto names = list_pictures_below(folder);
    if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
        throw Error(
            fmt::format("{}: two pictures are called {}, and so would their priors be; "
                        "rename one of them",
                        folder.string(), *twice));
    std::vector<Source> sources;
    std::vector<std::string> alpha;
    for (const auto& name : names) {
        const auto file = find_picture(folder, name);
        const auto header = read_picture_header(file);
        check_upright(header, file);
        if (header.alpha) alpha.push_back(file.string());
        sources.push_back({name, file, header.height, header.width});
    }
    if (!alpha.empty())
        notes.push_back(fmt::format("the alpha channel of {} pictures ({}{}) is left out",
                                    alpha.size(), alpha.front(), alpha.size() > 1 ? ", …" : ""));
    return sources;
}

const PriorNetworkOptions& of_task(const PriorNetworksOptions& networks, PriorTask task) {
    return task == PriorTask::seg      ? networks.seg
           : task == PriorTask::normal ? networks.normal
                                       : networks.depth;
}

const std::string& folder_of(const PriorFormat& format, PriorTask task) {
    return task == PriorTask::seg      ? format.seg_folder
           : task == PriorTask::normal ? format.normal_folder
                                       : format.depth_folder;
}

// Says in priors.json what the networks make, and returns how it is read then. A key that says
// otherwise may be changed as long as there are no files that it speaks of.
PriorFormat settle_format(const ExtractOptions& options, const fs::path& output) {
    const auto file = output / "priors.json";
    const auto& networks = options.networks;
    PriorFormat format;
    auto json = nlohmann::json::object();
    if (is_there(file)) {
        format = read_prior_format(file);
        json = nlohmann::json::parse(read_text(file));
    }
    const auto before = json;
    const auto settle = [&](PriorTask task, const char* key, std::string& stored,
                            const std::string& made) {
        if (!options.files.contains(task)) return;
        if (stored != made && is_there(output / folder_of(format, task)))
            throw Error(fmt::format(
                "{}: {}.{} is {}, and what this network makes is {}; give "
                "another --out, or move the folder {} away",
                file.string(), task_name(task), key, stored, made, folder_of(format, task)));
        stored = made;
        json[task_name(task)][key] = made;
    };
    if (networks.depth.kind != "depth" && networks.depth.kind != "inverse")
        throw Error(
            fmt::format("depth.kind: expected depth or inverse, got '{}'", networks.depth.kind));
    normals_to_opencv(torch::zeros({3, 1, 1}), networks.normal.axes);  // an Error if they are none
    settle(PriorTask::seg, "label_set", format.label_set, networks.seg.label_set);
    (void)label_set_of(format);  // an Error if it is none that can be read
    settle(PriorTask::depth, "kind", format.depth_kind, networks.depth.kind);
    settle(PriorTask::normal, "axes", format.normal_axes, networks.normal.axes);
    settle(PriorTask::normal, "channel_order", format.normal_order, "xyz");
    if (json != before) write_whole(file, json.dump(1) + "\n");
    return format;
}

bool is_whole(const fs::path& file, const std::string& dtype, const std::vector<int64_t>& shape) {
    if (!is_there(file)) return false;
    try {
        const auto header = read_npy_header(file);
        size_t size = static_cast<size_t>(std::stoi(dtype.substr(1)));
        for (const int64_t n : shape) size *= static_cast<size_t>(n);
        return header.dtype == dtype && header.shape == shape && !header.fortran_order &&
               fs::file_size(file) == header.start + size;
    } catch (const Error&) {
        return false;  // cut short within the header, or another thing
    }
}

fs::path map_file(const Job& job, const Source& source, const char* ending = ".npy") {
    return job.folder / (source.name + ending);
}

bool is_done(const Job& job, const Source& source) {
    const int64_t h = source.height, w = source.width;
    const auto file = map_file(job, source);
    if (job.task == PriorTask::normal) return is_whole(file, "f4", {h, w, 3});
    if (job.task == PriorTask::depth) return is_whole(file, "f4", {h, w});
    return is_whole(file, "b1", {h, w}) &&
           is_whole(map_file(job, source, "_seg.npy"), "i8", {h, w});
}

void write_map(const Job& job, const Source& source, const Tensor& map) {
    const auto file = map_file(job, source);
    if (job.task == PriorTask::normal) {
        write_npy(file, npy_array(map.permute({1, 2, 0}).contiguous()));
    } else if (job.task == PriorTask::depth) {
        write_npy(file, npy_array(map));
    } else {
        write_npy(file, npy_array(map > 0));
        write_npy(map_file(job, source, "_seg.npy"), npy_array(map));
    }
}

// A picture of another maker's prior would be read instead of ours.
void check_unshadowed(const Job& job, const Source& source) {
    if (job.task == PriorTask::seg) return;
    const auto file = find_picture(job.folder, source.name);
    if (file.extension() == ".npy" || !is_there(file)) return;
    throw Error(
        fmt::format("{}: there is a prior already, which would be read instead of {}; move "
                    "the folder away, or give another --out",
                    file.string(), map_file(job, source).string()));
}

std::vector<Job> plan(const ExtractOptions& options, const std::vector<Source>& sources,
                      ExtractReport& report) {
    const auto format = settle_format(options, report.output);
    std::vector<Job> jobs;
    for (const auto& [task, network] : options.files) {
        Job job{task, network, report.output / folder_of(format, task), {}};
        int64_t again = 0;
        for (const auto& source : sources) {
            check_unshadowed(job, source);
            if (is_done(job, source)) continue;
            again += is_there(map_file(job, source));
            job.todo.push_back(&source);
        }
        const auto kept = static_cast<int64_t>(sources.size() - job.todo.size());
        report.kept += kept;
        if (kept > 0)
            report.notes.push_back(
                fmt::format("{}: {} of {} are there and kept; remove them to "
                            "have them made again",
                            job.folder.string(), kept, sources.size()));
        if (again > 0)
            report.notes.push_back(
                fmt::format("{}: {} are not whole, or of another size, and are made again",
                            job.folder.string(), again));
        jobs.push_back(std::move(job));
    }
    return jobs;
}

}  // namespace

ExtractReport extract_priors(const ExtractOptions& options,
                             const std::function<void(int64_t done, int64_t all)>& progress) {
    if (options.files.empty())
        throw Error("no network: give one or more of --seg, --normal, --depth");
    if (options.batch < 1)
        throw Error(fmt::format("--batch: expected 1 or more, got {}", options.batch));
    ExtractReport report;
    report.output = output_of(options);
    const auto sources = list_sources(pictures_of(options.input), report.notes);
    report.pictures = static_cast<int64_t>(sources.size());
    const auto jobs = plan(options, sources, report);
    const int64_t all = report.pictures * static_cast<int64_t>(options.files.size()) - report.kept;
    for (const auto& job : jobs) {
        if (job.todo.empty()) continue;
        PriorNetwork network(job.network, job.task, of_task(options.networks, job.task),
                             options.device, options.half);
        const auto batch = static_cast<size_t>(options.batch);
        for (size_t first = 0; first < job.todo.size(); first += batch) {
            const size_t last = std::min(first + batch, job.todo.size());
            std::vector<NamedPicture> pictures;
            for (size_t i = first; i < last; ++i)
                pictures.push_back({job.todo[i]->file.string(), read_color(job.todo[i]->file)});
            const auto maps = network.run(pictures);
            for (size_t i = first; i < last; ++i) write_map(job, *job.todo[i], maps[i - first]);
            report.made += static_cast<int64_t>(last - first);
            if (progress) progress(report.made, all);
        }
    }
    return report;
}

}  // namespace fmgs
