// Which rank this is by the environment, and what else of several ranks needs no other process.
#include <fmgs/run/agree.h>
#include <fmgs/train/optim.h>
#include <fmgs/train/rank_environment.h>
#include <fmgs/train/ranks.h>

#include <map>

#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

using Set = std::map<std::string, std::string>;

RankEnvironment of(const Set& set) {
    return rank_environment([&](const std::string& name) -> std::optional<std::string> {
        const auto found = set.find(name);
        return found == set.end() ? std::nullopt : std::optional(found->second);
    });
}

Set with(Set set, const std::string& name, const std::string& value) {
    set[name] = value;
    return set;
}

Set without(Set set, const std::string& name) {
    set.erase(name);
    return set;
}

const Set kTorchrun = {{"RANK", "3"},
                       {"WORLD_SIZE", "4"},
                       {"LOCAL_RANK", "1"},
                       {"MASTER_ADDR", "node7"},
                       {"MASTER_PORT", "29500"},
                       {"TORCHELASTIC_USE_AGENT_STORE", "True"},
                       {"TORCHELASTIC_RESTART_COUNT", "2"}};
const Set kOpenMpi = {{"OMPI_COMM_WORLD_RANK", "1"},
                      {"OMPI_COMM_WORLD_SIZE", "2"},
                      {"OMPI_COMM_WORLD_LOCAL_RANK", "0"},
                      {"MASTER_ADDR", "10.0.0.1"},
                      {"MASTER_PORT", "4000"}};
const Set kSlurm = {{"SLURM_PROCID", "5"},
                    {"SLURM_STEP_NUM_TASKS", "8"},
                    {"SLURM_LOCALID", "1"},
                    {"SLURM_STEP_NODELIST", "gpu[03-07,9],other"},
                    {"MASTER_PORT", "4000"}};

}  // namespace

TEST_CASE("the environment says which rank this is", "[ranks]") {
    const auto torchrun = of(kTorchrun);
    CHECK(torchrun.rank == 3);
    CHECK(torchrun.size == 4);
    CHECK(torchrun.local_rank == 1);
    CHECK(torchrun.address == "node7");
    CHECK(torchrun.port == 29500);
    CHECK(torchrun.hosted);
    CHECK(torchrun.restart == "2");
    CHECK(of(without(kTorchrun, "LOCAL_RANK")).local_rank == 0);
    CHECK_FALSE(of(without(kTorchrun, "TORCHELASTIC_USE_AGENT_STORE")).hosted);

    const auto mpi = of(kOpenMpi);
    CHECK(mpi.rank == 1);
    CHECK(mpi.size == 2);
    CHECK(mpi.address == "10.0.0.1");
    // torchrun's names win inside mpirun's.
    auto both = kTorchrun;
    both.insert(kOpenMpi.begin(), kOpenMpi.end());
    CHECK(of(both).size == 4);

    const auto slurm = of(kSlurm);
    CHECK(slurm.rank == 5);
    CHECK(slurm.size == 8);
    CHECK(slurm.local_rank == 1);
    CHECK(slurm.address == "gpu03");
    CHECK(of(with(kSlurm, "MASTER_ADDR", "node1")).address == "node1");
    CHECK(first_host("one") == "one");
    CHECK(first_host("one,two") == "one");
    CHECK(first_host("n[12]") == "n12");
    CHECK(first_host("n[007,9-12],m") == "n007");
}

TEST_CASE("a process that nobody started as one of several is alone", "[ranks]") {
    CHECK(of({}).size == 1);
    CHECK(of({{"WORLD_SIZE", "1"}}).size == 1);
    CHECK(of({{"WORLD_SIZE", "1"}, {"RANK", "0"}, {"LOCAL_RANK", "0"}}).local_rank == 0);
    // A plain `train` in a batch job: SLURM sets these for the script, too.
    CHECK(of({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}, {"SLURM_LOCALID", "0"}}).size == 1);
    // A step of several runs side by side, which have nothing to do with each other.
    CHECK(of(without(kSlurm, "MASTER_PORT")).size == 1);
    CHECK(Ranks().alone());
    CHECK(Ranks().first());
    CHECK(Ranks().text().empty());
}

TEST_CASE("half an environment, or nonsense, is refused by name", "[ranks]") {
    const auto refuses = [](const Set& set, const std::string& words) {
        return throws_error([&] { (void)of(set); }, "environment variable " + words);
    };
    CHECK(refuses({{"RANK", "0"}}, "WORLD_SIZE: not set, though RANK is"));
    CHECK(refuses({{"OMPI_COMM_WORLD_RANK", "0"}}, "OMPI_COMM_WORLD_SIZE: not set"));
    CHECK(refuses(without(kTorchrun, "RANK"), "RANK: not set, though WORLD_SIZE is 4"));
    CHECK(refuses(without(kTorchrun, "MASTER_ADDR"), "MASTER_ADDR: not set"));
    CHECK(refuses(without(kOpenMpi, "MASTER_ADDR"),
                  "MASTER_ADDR: not set, though OMPI_COMM_WORLD_SIZE is 2"));
    CHECK(refuses(without(kTorchrun, "MASTER_PORT"), "MASTER_PORT: not set"));
    CHECK(refuses(with(kTorchrun, "RANK", "4"), "RANK: expected a number from 0 to 3, got '4'"));
    CHECK(refuses(with(kTorchrun, "RANK", "1x"), "RANK: expected a number from 0 to 3"));
    CHECK(refuses(with(kTorchrun, "WORLD_SIZE", "0"), "WORLD_SIZE: expected a number from 1"));
    CHECK(refuses(with(kTorchrun, "WORLD_SIZE", ""), "WORLD_SIZE: expected a number from 1"));
    CHECK(refuses(with(kTorchrun, "MASTER_PORT", "65536"), "MASTER_PORT: expected a number"));
    CHECK(refuses(with(kTorchrun, "LOCAL_RANK", "-1"), "LOCAL_RANK: expected a number"));
    CHECK(refuses(without(kSlurm, "SLURM_PROCID"), "SLURM_PROCID: not set"));
}

TEST_CASE("rates grow with the root of the batch, but for rows of frames", "[ranks]") {
    // Adam's first step is the rate, whatever the gradient.
    const auto first_step = [](const std::string& group, int64_t batch, bool follow) {
        const auto x = torch::zeros({2, 3}).requires_grad_(true);
        OptimOptions options;
        options.follow_batch = follow;
        Optimizer optimizer({{"x", group, x}}, options, batch);
        x.mutable_grad() = torch::full({2, 3}, 0.7f);
        REQUIRE_FALSE(optimizer.step(0).has_value());
        return -x.index({0, 0}).item<double>() / options.rate(group, 0);
    };
    CHECK(first_step("network", 1, true) == Approx(1).epsilon(1e-5));
    CHECK(first_step("network", 9, true) == Approx(3).epsilon(1e-5));
    CHECK(first_step("scale", 4, true) == Approx(2).epsilon(1e-5));
    CHECK(first_step("picture_encoder", 4, true) == Approx(2).epsilon(1e-5));
    CHECK(first_step("pose_joints", 9, true) == Approx(1).epsilon(1e-5));
    CHECK(first_step("network", 9, false) == Approx(1).epsilon(1e-5));
}

TEST_CASE("ranks that do not mean the same run are told apart by what differs", "[ranks]") {
    const Set first = {{"option train.seed", "0"}, {"the capture", "a"}};
    CHECK(disagreements({first}).empty());
    CHECK(disagreements({first, first, first}).empty());
    CHECK(disagreements({first, with(first, "option train.seed", "3")}) ==
          "rank 1: option train.seed is 3, rank 0 has 0");
    CHECK(disagreements({first, first, without(with(first, "more", "x"), "the capture")}) ==
          "rank 2: more is x, rank 0 has nothing\nrank 2: the capture is nothing, rank 0 has a");
}
