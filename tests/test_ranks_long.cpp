// Ranks whose loss takes its time to be seen; on two machines, which are network namespaces here
// (root and ip are needed), with a cable between them that is cut; started by torchrun, where
// python3 has torch. What cannot be is skipped, by name.
#include <fmgs/train/checkpoint.h>
#include <fmt/format.h>

#include "support/programs.h"
#include "support/ranks.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

constexpr const char* kOptions =
    "train.timeout=4 train.steps=100000 train.checkpoint_every=2 train.batch=2";

/// Two namespaces with a cable between them.
struct Machines {
    std::string names[2], addresses[2];
    bool there = false;

    Machines() {
        const auto id = ::getpid() % 100000;
        std::string commands = "set -e; ";
        for (int k = 0; k < 2; ++k) {
            names[k] = fmt::format("fmgs{}m{}", id, k);
            addresses[k] = fmt::format("10.213.7.{}", k + 1);
            commands += fmt::format("ip netns add {}; ", names[k]);
        }
        commands += fmt::format("ip link add v0 netns {} type veth peer name v0 netns {}; ",
                                names[0], names[1]);
        for (int k = 0; k < 2; ++k)
            commands += fmt::format(
                "ip -n {0} addr add {1}/24 dev v0; ip -n {0} link set v0 up; "
                "ip -n {0} link set lo up; ",
                names[k], addresses[k]);
        const auto made = shell("sh -c '" + commands + "'");
        there = made.code == 0;
        if (!there) std::printf("skipped: no network namespaces here: %s", made.text.c_str());
    }
    ~Machines() {
        for (const auto& name : names) shell("ip netns del " + name);
    }
    Machines(const Machines&) = delete;
    Machines& operator=(const Machines&) = delete;

    std::string on(int k, const std::string& command) const {
        return fmt::format("ip netns exec {} {}", names[k], command);
    }
};

}  // namespace

TEST_CASE("a cable that is cut ends the ranks on both sides, each naming the other", "[network]") {
    const Machines machines;
    if (!machines.there) return;
    const TemporaryFolder folder;
    const auto output = folder.path / "run";
    const auto command = program(train(output, kOptions));
    std::vector<std::unique_ptr<Process>> ranks;
    for (int k = 0; k < 2; ++k)
        ranks.push_back(std::make_unique<Process>(
            machines.on(k, command), rank_variables(k, 2, 29511, machines.addresses[0]),
            folder.path / std::to_string(k)));
    REQUIRE(ranks[0]->says("step 3/", 40));
    REQUIRE(shell("ip -n " + machines.names[1] + " link set v0 down").code == 0);
    for (auto& rank : ranks) CHECK(rank->end(30) == 1);
    INFO(ranks[0]->text() << ranks[1]->text());
    CHECK(ranks[0]->text().find("error: lost rank 1 (") != std::string::npos);
    CHECK(ranks[1]->text().find("error: lost rank 0 (") != std::string::npos);
    const auto saved = list_checkpoints(output / "checkpoints");
    REQUIRE(!saved.empty());
    CHECK(saved.back().state.step >= 3);
    CHECK_NOTHROW(read_safetensors(saved.back().folder / "model.safetensors"));
}

TEST_CASE("a rank that leaves in the middle is named", "[ranks]") {
    const auto ends = on_ranks(3, [](Ranks& ranks) {
        ranks.at_step(7);
        if (ranks.rank() == 2) return;
        (void)ranks.any(false);
    });
    CHECK(ends[2].empty());
    for (const int k : {0, 1}) {
        CHECK(ends[static_cast<size_t>(k)].find("lost rank 2 (") == 0);
        CHECK(ends[static_cast<size_t>(k)].find("no sign of life for 3 s") != std::string::npos);
    }
}

TEST_CASE("a rank that lives but does not come is waited for ten times as long", "[ranks]") {
    const auto ends = on_ranks(
        2,
        [](Ranks& ranks) {
            ranks.at_step(3 - ranks.rank());
            // Longer than the time-out: nothing happens.
            if (ranks.rank() == 1) std::this_thread::sleep_for(std::chrono::seconds(4));
            (void)ranks.any(false);
            ranks.at_step(5 - ranks.rank());
            if (ranks.rank() == 1) std::this_thread::sleep_for(std::chrono::seconds(14));
            (void)ranks.any(false);
        },
        1);
    INFO(ends[0] << "\n" << ends[1]);
    CHECK(ends[0].find("lost rank 1 (") == 0);
    CHECK(ends[0].find("at step 4: lives, but did not come for 10 s (10 × train.timeout)") !=
          std::string::npos);
}

TEST_CASE("torchrun starts ranks", "[.torchrun]") {
    const auto python = shell("python3 -c 'import torch.distributed.run'");
    if (python.code != 0) {
        std::printf("skipped: python3 has no torch, and so no torchrun\n");
        return;
    }
    const TemporaryFolder folder;
    const auto output = folder.path / "run";
    const auto ran = shell(fmt::format(
        "python3 -m torch.distributed.run --nproc-per-node 2 --master-port {} --no-python {}",
        free_port(), program(train(output, "train.timeout=20 train.steps=3 train.batch=2"))));
    INFO(ran.text);
    REQUIRE(ran.code == 0);
    CHECK(list_checkpoints(output / "checkpoints").back().state.step == 3);
}
