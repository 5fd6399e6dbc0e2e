#include <fmgs/train/rank_environment.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

#include <charconv>
#include <cstdlib>

namespace fmgs {

namespace {

/// The names that a launcher gives to the same three numbers.
struct Names {
    const char *rank, *size, *local_rank;
};
constexpr Names kTorchrun = {"RANK", "WORLD_SIZE", "LOCAL_RANK"};
constexpr Names kOpenMpi = {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                            "OMPI_COMM_WORLD_LOCAL_RANK"};
constexpr Names kSlurm = {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"};

/// A whole number from `least` to `most`.
int64_t number(const std::string& name, const std::string& text, int64_t least, int64_t most) {
    int64_t value = 0;
    const auto* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data(), end, value);
    if (parsed.ec != std::errc() || parsed.ptr != end || value < least || value > most)
        throw Error(
            fmt::format("environment variable {}: expected a number from {} to {}, got '{}'", name,
                        least, most, text));
    return value;
}

std::string needed(const Variables& variables, const std::string& name, const std::string& why) {
    const auto value = variables(name);
    if (!value || value->empty())
        throw Error(
            fmt::format("environment variable {}: not set, though {}; docs/scale.md says how ranks "
                        "are started",
                        name, why));
    return *value;
}

/// Error where one of two variables that belong together is missing.
void check_both(const Variables& variables, const Names& names) {
    if (variables(names.rank) && !variables(names.size))
        (void)needed(variables, names.size, fmt::format("{} is", names.rank));
}

/// Whose variables count.
std::optional<Names> names_of(const Variables& variables) {
    for (const auto& names : {kTorchrun, kOpenMpi}) {
        check_both(variables, names);
        if (variables(names.size)) return names;
    }
    if (variables(kSlurm.size) && variables("MASTER_PORT")) return kSlurm;
    return std::nullopt;
}

}  // namespace

RankEnvironment rank_environment(const Variables& variables) {
    RankEnvironment out;
    const auto names = names_of(variables);
    if (!names) return out;
    constexpr int64_t kMost = 1 << 20;
    out.size = number(names->size, *variables(names->size), 1, kMost);
    if (out.size == 1) return out;
    const auto several = fmt::format("{} is {}", names->size, out.size);
    out.rank = number(names->rank, needed(variables, names->rank, several), 0, out.size - 1);
    if (const auto local = variables(names->local_rank))
        out.local_rank = number(names->local_rank, *local, 0, out.size - 1);
    const auto hosts = variables("SLURM_STEP_NODELIST");
    if (names->size == kSlurm.size && hosts && !variables("MASTER_ADDR"))
        out.address = first_host(*hosts);
    else
        out.address = needed(variables, "MASTER_ADDR", several);
    out.port = static_cast<uint16_t>(
        number("MASTER_PORT", needed(variables, "MASTER_PORT", several), 1, 65535));
    out.hosted = variables("TORCHELASTIC_USE_AGENT_STORE").value_or("") == "True";
    out.restart = variables("TORCHELASTIC_RESTART_COUNT").value_or("0");
    return out;
}

RankEnvironment rank_environment() {
    return rank_environment([](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());
        return value ? std::optional<std::string>(value) : std::nullopt;
    });
}

std::string first_host(const std::string& list) {
    const auto end = list.find_first_of(",[");
    if (end == std::string::npos || list[end] == ',') return list.substr(0, end);
    const auto last = list.find_first_of(",-]", end);
    return list.substr(0, end) + list.substr(end + 1, last - end - 1);
}

}  // namespace fmgs
