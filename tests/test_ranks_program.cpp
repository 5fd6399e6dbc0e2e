// Several processes of `train` on one avatar: the same bits as one process with the same batch, and
// what is left when one of them dies, hangs, is interrupted or does not belong to the others.
#include <fmgs/train/checkpoint.h>

#include <cmath>
#include <regex>
#include <sstream>

#include "support/programs.h"
#include "support/ranks.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

/// A group of `train` processes that write to one folder.
class Group {
  public:
    /// `more`: options of all; `own`: of one rank.
    Group(int64_t size, const fs::path& output, const std::string& more,
          const std::map<int64_t, std::string>& own = {})
        : Group(size, output, train(output, more), own, true) {}
    /// Goes on with a run.
    static std::unique_ptr<Group> resumed(int64_t size, const fs::path& output) {
        return std::unique_ptr<Group>(
            new Group(size, output, "train " + output.string(), {}, true));
    }

    Process& operator[](size_t rank) { return *ranks_.at(rank); }
    /// The exit statuses.
    std::vector<int> ends(double seconds = 150) {
        std::vector<int> out;
        for (const auto& rank : ranks_) out.push_back(rank->end(seconds));
        return out;
    }
    std::string texts() const {
        std::string out;
        for (const auto& rank : ranks_) out += rank->text() + "\n";
        return out;
    }

  private:
    Group(int64_t size, const fs::path& output, const std::string& command,
          const std::map<int64_t, std::string>& own, bool) {
        const auto port = free_port();
        for (int64_t rank = 0; rank < size; ++rank) {
            const auto options = own.contains(rank) ? " " + own.at(rank) : std::string();
            ranks_.push_back(std::make_unique<Process>(
                program(command + options),
                size == 1 ? std::map<std::string, std::string>{} : rank_variables(rank, size, port),
                output.string() + ".log" + std::to_string(rank)));
        }
    }
    std::vector<std::unique_ptr<Process>> ranks_;
};

void require_same_checkpoint(const fs::path& a, const fs::path& b, int64_t step) {
    const auto folder = "checkpoints/" + std::string(5, '0') + std::to_string(step);
    for (const auto* file : {"model.safetensors", "optimizer.safetensors"}) {
        INFO(a << " and " << b << ": " << file);
        REQUIRE((bytes(a / folder / file) == bytes(b / folder / file)));
    }
}

/// A column of metrics.csv; 1 is the loss, 2 the PSNR.
std::vector<double> column(const fs::path& output, int number) {
    std::istringstream lines(bytes(output / "metrics.csv"));
    std::vector<double> out;
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line)) {
        for (int k = 0; k < number; ++k) line = line.substr(line.find(',') + 1);
        out.push_back(std::stod(line));
    }
    return out;
}

int64_t newest_step(const fs::path& output) {
    const auto all = list_checkpoints(output / "checkpoints");
    return all.empty() ? -1 : all.back().state.step;
}

constexpr const char* kLong =
    "train.steps=100000 train.checkpoint_every=2 train.batch=3 train.timeout=5";

}  // namespace

TEST_CASE("two ranks with a frame each are one process with both, to the bit", "[ranks]") {
    const TemporaryFolder folder;
    const auto two = folder.path / "two", one = folder.path / "one";
    const std::string more =
        "train.batch=2 train.steps=6 train.checkpoint_every=4 pose.learn=true pose.start=0 "
        "pose.checks=2 pose.steps=2 train.sheet_every=3";
    Group both(2, two, more), alone(1, one, more);
    REQUIRE(both.ends() == std::vector<int>{0, 0});
    REQUIRE(alone.ends() == std::vector<int>{0});
    require_same_checkpoint(two, one, 4);
    require_same_checkpoint(two, one, 6);
    for (const auto* file : {"metrics.csv", "poses.npz", "avatar.safetensors"})
        CHECK((bytes(two / file) == bytes(one / file)));
    CHECK(fs::exists(two / "sheets/000003.png"));
    CHECK(bytes(two / "history.txt").find("2 ranks, Gloo") != std::string::npos);
    CHECK(bytes(one / "history.txt").find("ranks") == std::string::npos);
    // Rank 0 alone speaks; c10d may, of names that the DNS does not have.
    CHECK(both[0].text().find("done at step 6") != std::string::npos);
    CHECK(std::regex_replace(both[1].text(), std::regex(".*\\[c10d\\].*\n"), "") == "");
    // Another number of ranks goes on with it: from step 4, to the same bits.
    for (const auto& run : {two, one}) {
        fs::remove_all(run / "checkpoints/000006");
        auto resumed = Group::resumed(run == two ? 1 : 2, run);
        for (const int end : resumed->ends()) REQUIRE(end == 0);
        CHECK((*resumed)[0].text().find("resuming at step 4 of 6") != std::string::npos);
    }
    require_same_checkpoint(two, one, 6);
    CHECK((bytes(two / "metrics.csv") == bytes(one / "metrics.csv")));
}

TEST_CASE("three ranks have the bits of one process with three frames", "[ranks]") {
    const TemporaryFolder folder;
    const auto three = folder.path / "three", one = folder.path / "one";
    const std::string more = "train.batch=3 train.steps=8";
    Group ranks(3, three, more), alone(1, one, more);
    REQUIRE(ranks.ends() == std::vector<int>{0, 0, 0});
    REQUIRE(alone.ends() == std::vector<int>{0});
    const auto a = column(three, 1), b = column(one, 1);
    REQUIRE(a.size() == 8);
    REQUIRE(b.size() == 8);
    for (size_t k = 0; k < a.size(); ++k) CHECK(a[k] == b[k]);
    CHECK(b.back() < b.front());
    require_same_checkpoint(three, one, 8);
}

TEST_CASE("a rank that is killed is named, and any number of ranks goes on", "[ranks]") {
    const TemporaryFolder folder;
    const auto output = folder.path / "run";
    Group group(3, output, kLong);
    REQUIRE(group[0].says("step 3/", 30));
    group[1].signal(SIGKILL);
    CHECK(group.ends(20) == std::vector<int>{1, 128 + SIGKILL, 1});
    INFO(group.texts());
    for (const size_t rank : {size_t{0}, size_t{2}})
        CHECK(group[rank].text().find("error: lost rank 1 (") != std::string::npos);
    const auto step = newest_step(output);
    REQUIRE(step >= 3);
    CHECK(group[0].text().find("the state before this step is saved in") != std::string::npos);
    for (const int64_t size : {2, 1}) {
        auto resumed = Group::resumed(size, output);
        REQUIRE((*resumed)[0].says("resuming at step", 30));
        REQUIRE((*resumed)[0].says("it/s", 30));
        (*resumed)[static_cast<size_t>(size - 1)].signal(SIGINT);
        for (const int end : resumed->ends()) CHECK(end == 130);
    }
    CHECK(newest_step(output) > step);
}

TEST_CASE("a rank that hangs is named within the time-out", "[ranks]") {
    const TemporaryFolder folder;
    const auto output = folder.path / "run";
    Group group(2, output, kLong);
    REQUIRE(group[0].says("step 3/", 30));
    const auto start = std::chrono::steady_clock::now();
    group[1].signal(SIGSTOP);
    CHECK(group[0].end(25) == 1);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    INFO(group[0].text());
    CHECK(took.count() > 4.5);
    CHECK(group[0].text().find("error: lost rank 1 (") != std::string::npos);
    // What was saved is whole.
    CHECK(newest_step(output) >= 3);
    CHECK_NOTHROW(read_safetensors(list_checkpoints(output / "checkpoints").back().folder /
                                   "model.safetensors"));
}

TEST_CASE("all ranks stop at the same step when one is interrupted", "[ranks]") {
    const TemporaryFolder folder;
    const auto output = folder.path / "run";
    Group group(2, output, kLong);
    REQUIRE(group[0].says("step 3/", 30));
    group[1].signal(SIGTERM);
    CHECK(group.ends() == std::vector<int>{130, 130});
    const auto step = newest_step(output);
    CHECK(group[0].text().find("interrupted at step " + std::to_string(step) + ":") !=
          std::string::npos);
}

TEST_CASE("what fails on one rank ends all of them with its reason", "[ranks]") {
    const TemporaryFolder folder;
    const auto seed = folder.path / "seed", sheet = folder.path / "sheet";
    Group differ(2, seed, "train.batch=2", {{1, "train.seed=3"}});
    // Rank 0 cannot write its sheet in the middle of the run.
    fs::create_directories(sheet);
    std::ofstream(sheet / "sheets") << "no folder";
    Group fails(2, sheet, "train.batch=2 train.sheet_every=3");
    Group few(2, folder.path / "few", "train.batch=1");
    // Rank 1 has another picture of the first frame.
    const auto other = folder.path / "other";
    copy_capture(other);
    fs::copy_file(other / "images/image_0001.png", other / "images/image_0000.png",
                  fs::copy_options::overwrite_existing);
    Group strange(2, folder.path / "strange", "train.batch=2 data.check=off",
                  {{1, "data.root=" + other.string()}});
    Process half(program(train(folder.path / "half", "")), {{"RANK", "0"}},
                 folder.path / "half.log");
    CHECK(half.end(30) == 1);
    CHECK(half.text().find("environment variable WORLD_SIZE: not set, though RANK is") !=
          std::string::npos);
    Process lone(program(train(folder.path / "lone", "train.batch=2 train.timeout=2")),
                 rank_variables(1, 2, free_port()), folder.path / "lone.log");
    CHECK(lone.end(30) == 1);
    INFO(lone.text());
    CHECK(std::regex_search(
        lone.text(), std::regex("\nerror: rank 1: rank 0 was not found at 127.0.0.1:\\d+, "
                                "MASTER_ADDR:MASTER_PORT \\(nobody answered within 2 s\\)\n")));
    for (auto* group : {&differ, &fails, &few, &strange})
        CHECK(group->ends() == std::vector<int>{1, 1});
    for (const size_t rank : {size_t{0}, size_t{1}}) {
        INFO(differ[rank].text() << fails[rank].text() << few[rank].text() << strange[rank].text());
        CHECK(differ[rank].text().find("rank 1: option train.seed is 3, rank 0 has 0") !=
              std::string::npos);
        CHECK(fails[rank].text().find("error: rank 0: ") != std::string::npos);
        CHECK(fails[rank].text().find("sheets") != std::string::npos);
        CHECK(strange[rank].text().find("rank 1: the capture is 6 frames") != std::string::npos);
        CHECK(few[rank].text().find("train.batch: expected at least a frame for each of 2 ranks") !=
              std::string::npos);
    }
    CHECK_FALSE(fs::exists(seed / "checkpoints"));
    CHECK(newest_step(sheet) == 3);
}
