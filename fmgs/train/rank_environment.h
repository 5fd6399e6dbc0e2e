#pragma once
/// Which of how many processes this is, as whoever started them says it in environment variables.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace fmgs {

struct RankEnvironment {
    int64_t rank = 0, size = 1;
    int64_t local_rank = 0;  ///< among those of this machine: which GPU it takes
    std::string address;     ///< where the ranks meet: a host that rank 0 runs on
    uint16_t port = 0;
    bool hosted = false;  ///< the launcher (torchrun) holds the meeting place, not rank 0
    std::string restart;  ///< what tells a restart from the run before it in the same place
};

/// The value of a variable, or nothing where it is not set.
using Variables = std::function<std::optional<std::string>(const std::string&)>;

/// Read from the first of these that is there; one process alone where none is, or where the number
/// of ranks is 1.
///   torchrun  RANK, WORLD_SIZE, LOCAL_RANK (0 if not set)
///   OpenMPI   OMPI_COMM_WORLD_RANK, OMPI_COMM_WORLD_SIZE, OMPI_COMM_WORLD_LOCAL_RANK
///   SLURM     SLURM_PROCID, SLURM_STEP_NUM_TASKS, SLURM_LOCALID
/// All want MASTER_ADDR and MASTER_PORT. SLURM's are set in every job, whatever runs there, so they
/// count only with a step of several tasks (srun) *and* MASTER_PORT; MASTER_ADDR is the step's
/// first host there where it is not set. Error naming the variable that is missing or makes no
/// sense.
RankEnvironment rank_environment(const Variables& variables);
/// Of this process.
RankEnvironment rank_environment();

/// The first host of a list as SLURM writes it: "node[03-07,9],other" → "node03".
std::string first_host(const std::string& list);

}  // namespace fmgs
