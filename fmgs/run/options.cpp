#include <fmgs/run/options.h>

#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmgs/core/names.h>
#include <fmgs/run/run_folder.h>
#include <fmgs/train/rank_environment.h>
#include <fmt/format.h>
#include <torch/cuda.h>

#include <algorithm>
#include <filesystem>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

/// The file that an argument without a '=' names.
std::string config_file(const std::string& argument) {
    if (!fs::is_directory(argument)) {
        if (!fs::exists(argument))
            throw Error(
                fmt::format("{}: there is no such configuration file or run (an option is "
                            "one word: key=value)",
                            argument));
        return argument;
    }
    const auto file = fs::path(argument) / "config.yaml";
    if (!fs::exists(file))
        throw Error(
            fmt::format("{0}: is not the folder of a run, config.yaml is missing (the folder "
                        "of a capture is given as data.root={0})",
                        argument));
    return file.string();
}

}  // namespace

RunOptions read_options(const std::vector<std::string>& arguments) {
    Config config;
    // Files first, whatever their place on the command line: arguments win over files.
    for (const auto& argument : arguments) {
        if (argument.find('=') == std::string::npos) config.add_file(config_file(argument));
    }
    for (const auto& argument : arguments) {
        if (argument.find('=') != std::string::npos) config.add_argument(argument);
    }
    RunOptions options;
    const auto is_run = [](const std::string& argument) { return fs::is_directory(argument); };
    if (std::any_of(arguments.begin(), arguments.end(), is_run))
        options.avatar = AvatarOptions::before_all_keys();  // its config.yaml holds all it knew
    config.read(options);
    device_of(options.train.device);
    if (options.data.check != "on" && options.data.check != "off")
        throw Error(fmt::format("data.check: expected on or off, got '{}'", options.data.check));
    for (const auto& [name, modality] : options.avatar.modalities) check_name("modality", name);
    return options;
}

torch::Device device_of(const std::string& name) {
    if (name == "cpu") return torch::kCPU;
    const bool numbered = name.rfind("cuda:", 0) == 0 && name.size() > 5 && name.size() < 9 &&
                          name.find_first_not_of("0123456789", 5) == std::string::npos;
    if (name != "cuda" && !numbered)
        throw Error(fmt::format("train.device: expected cpu, cuda or cuda:N, got '{}'", name));
    const auto count = static_cast<int64_t>(torch::cuda::device_count());
    // Ranks of one machine take a GPU each, where it shows them all of them.
    const int64_t index = numbered    ? std::stoi(name.substr(5))
                          : count > 1 ? rank_environment().local_rank
                                      : 0;
    const torch::Device device(torch::kCUDA, static_cast<int8_t>(std::min<int64_t>(127, index)));
    check_device(device, "train.device");
    if (device.index() >= count)
        throw Error(fmt::format(
            "train.device: '{}' was asked for, but {} GPUs are visible (is there a driver?)", name,
            count));
    return device;
}

std::string config_text(const RunOptions& options) {
    return fmt::format("{}format: {}\n{}", kRunConfigHead, kConfigFormat, dump_yaml(options));
}

}  // namespace fmgs
