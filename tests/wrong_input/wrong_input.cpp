// Wrong input, for ever the same: runs the cases of a table and says which come out otherwise.
//
//   wrong_input PROGRAMS TABLE.txt [WORD]      (only cases whose name has WORD)
//
// A table is a list of cases:
//
//   case: intervals of zero          its name
//   do: rm $C/masks/image_0001.png   shell commands before, any number
//   npz: C/poses/train.npz transl nan      changes an array of an .npz (below), any number
//   run: train data.root=$C $FAST train.log_every=0 output=out
//   exit: 1                          expected status (1 where the line is missing)
//   says: train.log_every            what must be in what it prints, any number
//   keeps: notes.txt                 files and folders that must be the same afterwards, any number
//   absent: out                      what must not be there afterwards, any number
//   peak: 600                        most memory, MB (1500 where the line is missing)
//
// Every case runs in a folder of its own. $C is a small capture, $RUN a run that was trained on it
// for three steps (made when a case speaks of it), both fresh copies that must be the same
// afterwards unless a line `changes: C` or `changes: RUN` says otherwise; $FAST are options of a
// small avatar.
// `+ text` after any number of cases is short for: run: train data.root=$C $FAST output=out text,
// with `| word` for what it says, and `absent: out`.
// No case may crash, take more than a minute, or print a stack.
//
// npz FILE KEY OPERATION: remove, nan (one element), scale FACTOR, fill VALUE, shape (one row
// less), empty, add VALUE (a new array).
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/npz.h>
#include <fmgs/core/random.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <map>
#include <sstream>

#include "support/test.h"

namespace {

namespace fs = std::filesystem;
using namespace fmgs;

constexpr int kSeconds = 60;
constexpr const char* kFast =
    "train.steps=3 train.log_every=1 avatar.subdivisions=0 avatar.skinning.prefit_steps=3 "
    "avatar.skinning.prefit_points=64 avatar.skinning.volume.levels=2 "
    "avatar.skinning.volume.log2_hashmap_size=8 avatar.geometry.volume.levels=2 "
    "avatar.geometry.volume.log2_hashmap_size=8 avatar.appearance.volume.levels=2 "
    "avatar.appearance.volume.log2_hashmap_size=8 modalities.semantic.volume.levels=2 "
    "modalities.semantic.volume.log2_hashmap_size=8";

struct Case {
    std::string name, run;
    std::vector<std::string> prepare, npz, says, keeps, absent, changes;
    int exit = 1;
    double peak = 1500;
};

std::string trimmed(const std::string& text) {
    const auto first = text.find_first_not_of(" \t"), last = text.find_last_not_of(" \t\r");
    return first == std::string::npos ? "" : text.substr(first, last + 1 - first);
}

Case short_case(const std::string& line) {
    Case out;
    std::istringstream parts(line.substr(1));
    std::string text, word;
    std::getline(parts, text, '|');
    out.name = trimmed(text);
    out.run = "train data.root=$C $FAST output=out " + out.name;
    out.absent = {"out"};
    while (std::getline(parts, word, '|')) out.says.push_back(trimmed(word));
    return out;
}

std::vector<Case> read_table(const fs::path& file) {
    std::vector<Case> cases;
    std::istringstream lines(read_whole(file));
    std::string line;
    for (int number = 1; std::getline(lines, line); ++number) {
        line = trimmed(line);
        if (line.empty() || line[0] == '#') continue;
        if (line[0] == '+') {
            cases.push_back(short_case(line));
            continue;
        }
        const auto colon = line.find(':');
        const auto key = line.substr(0, colon), value = trimmed(line.substr(colon + 1));
        if (key == "case") {
            cases.push_back({.name = value});
            continue;
        }
        const auto where = fmt::format("{}:{}", file.string(), number);
        if (cases.empty() || colon == std::string::npos) throw Error(where + ": expected 'case:'");
        auto& last = cases.back();
        const std::map<std::string, std::vector<std::string>*> lists = {
            {"do", &last.prepare},  {"npz", &last.npz},       {"says", &last.says},
            {"keeps", &last.keeps}, {"absent", &last.absent}, {"changes", &last.changes}};
        if (lists.contains(key))
            lists.at(key)->push_back(value);
        else if (key == "run")
            last.run = value;
        else if (key == "exit")
            last.exit = std::stoi(value);
        else if (key == "peak")
            last.peak = std::stod(value);
        else
            throw Error(fmt::format("{}: unknown line '{}:'", where, key));
    }
    return cases;
}

/// The bytes of a file, or of all files of a folder with their names.
std::string contents(const fs::path& path) {
    if (fs::is_regular_file(path)) return read_whole(path);
    if (!fs::is_directory(path)) return "not there";
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(path))
        files[entry.path().string()] =
            entry.is_regular_file() ? read_whole(entry.path()) : "no file";
    std::string all;
    for (const auto& [name, bytes] : files) all += name + "\n" + bytes + "\n";
    return all;
}

struct Outcome {
    int code = -1;
    std::string text;
    double peak = 0, seconds = 0;
};

/// Runs a shell command in a folder, with the programs on the path.
Outcome shell(const std::string& command, const fs::path& folder, const std::string& programs) {
    const auto script = fmt::format(
        "cd '{0}'; export PATH='{1}':\"$PATH\" C='{0}/C' RUN='{0}/RUN' FAST='{2}' "
        "OMP_WAIT_POLICY=passive; {{ {3}\n}} 2>&1",
        folder.string(), programs, kFast, command);
    int ends[2];
    if (::pipe(ends) != 0) throw Error("wrong_input: no pipe");
    const auto start = std::chrono::steady_clock::now();
    const pid_t child = ::fork();
    if (child == 0) {
        ::dup2(ends[1], STDOUT_FILENO);
        ::close(ends[0]);
        ::close(ends[1]);
        ::execlp("timeout", "timeout", std::to_string(kSeconds).c_str(), "sh", "-c", script.c_str(),
                 nullptr);
        ::_exit(127);
    }
    ::close(ends[1]);
    Outcome out;
    char buffer[4096];
    for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;)
        out.text.append(buffer, static_cast<size_t>(n));
    ::close(ends[0]);
    int status = 0;
    rusage usage{};
    ::wait4(child, &status, 0, &usage);
    out.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    out.peak = static_cast<double>(usage.ru_maxrss) / 1024;
    out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return out;
}

void change_npz(const fs::path& folder, const std::string& line) {
    std::istringstream words(line);
    std::string file, key, operation;
    double number = 0;
    words >> file >> key >> operation >> number;
    auto arrays = read_npz(folder / file);
    if (operation == "add") {
        arrays[key] = npy_array(torch::full({1}, number));
        return write_npz(folder / file, arrays);
    }
    if (operation == "remove") {
        if (arrays.erase(key) == 0) throw Error(fmt::format("npz: {} has no '{}'", file, key));
        return write_npz(folder / file, arrays);
    }
    const auto old = arrays.at(key).tensor().clone();
    if (operation == "nan")
        old.flatten()[old.numel() / 2] = NAN, arrays[key] = npy_array(old);
    else if (operation == "scale")
        arrays[key] = npy_array((old * number).to(old.scalar_type()));
    else if (operation == "fill")
        arrays[key] = npy_array(torch::full_like(old, number));
    else if (operation == "shape")
        arrays[key] = npy_array(old.slice(0, 0, old.size(0) - 1).contiguous());
    else if (operation == "empty")
        arrays[key] = npy_array(torch::zeros({0}, old.options()));
    else
        throw Error(fmt::format("npz: unknown operation '{}'", operation));
    write_npz(folder / file, arrays);
}

/// What is wrong with the outcome; empty when nothing is.
std::string judge(const Case& wanted, const Outcome& got, const fs::path& folder,
                  const std::map<std::string, std::string>& before) {
    std::string wrong;
    if (got.code != wanted.exit)
        wrong += fmt::format("  exit: expected {}, got {}{}\n", wanted.exit, got.code,
                             got.code == 124   ? " (took too long)"
                             : got.code >= 128 ? " (crashed)"
                                               : "");
    for (const auto& words : wanted.says)
        if (got.text.find(words) == std::string::npos)
            wrong += fmt::format("  does not say: {}\n", words);
    for (const auto* stack : {"Exception raised from", "frame #", "terminate called"})
        if (got.text.find(stack) != std::string::npos) wrong += "  prints a stack\n";
    if (wanted.exit == 1 && got.text.find("error: ") == std::string::npos &&
        got.text.find("make_synthetic: ") == std::string::npos)
        wrong += "  does not say 'error: '\n";
    for (const auto& [path, bytes] : before)
        if (contents(folder / path) != bytes) wrong += fmt::format("  changed: {}\n", path);
    for (const auto& path : wanted.absent)
        if (fs::exists(folder / path)) wrong += fmt::format("  is there: {}\n", path);
    if (got.peak > wanted.peak)
        wrong += fmt::format("  memory: at most {} MB, took {:.0f}\n", wanted.peak, got.peak);
    return wrong;
}

class Runner {
  public:
    explicit Runner(std::string programs) : programs_(std::move(programs)) {}

    std::string run(const Case& wanted) {
        const test::TemporaryFolder folder;
        const auto speaks_of = [&](const std::string& word) {
            std::string all = wanted.run;
            for (const auto& line : wanted.prepare) all += line;
            for (const auto& line : wanted.npz) all += line;
            return all.find(word) != std::string::npos;
        };
        std::vector<std::string> kept = wanted.keeps;
        for (const auto* name : {"C", "RUN"}) {
            if (!speaks_of(name)) continue;
            fs::copy(pristine(name), folder.path / name, fs::copy_options::recursive);
            if (std::find(wanted.changes.begin(), wanted.changes.end(), name) ==
                wanted.changes.end())
                kept.emplace_back(name);
        }
        for (const auto& command : wanted.prepare) {
            const auto done = shell(command, folder.path, programs_);
            if (done.code != 0)
                return fmt::format("  do: {}: status {}\n{}", command, done.code, done.text);
        }
        for (const auto& line : wanted.npz) change_npz(folder.path, line);
        std::map<std::string, std::string> before;
        for (const auto& path : kept) before[path] = contents(folder.path / path);
        const auto outcome = shell(wanted.run, folder.path, programs_);
        seconds += outcome.seconds;
        const auto wrong = judge(wanted, outcome, folder.path, before);
        return wrong.empty() ? "" : fmt::format("{}  $ {}\n{}\n", wrong, wanted.run, outcome.text);
    }

    double seconds = 0;

  private:
    /// The capture, and the run on it, as they are when a case begins.
    fs::path pristine(const std::string& name) {
        const auto path = made_.path / name;
        if (fs::exists(path)) return path;
        if (name == "RUN") pristine("C");
        const auto done =
            shell(name == "C" ? "make_synthetic C --size 48 --train-frames 6 --test-frames 2 "
                                "--test-views 2 --novel-frames 2 --subdivisions 0 --samples 1"
                              : "train data.root=$C $FAST output=RUN",
                  made_.path, programs_);
        if (done.code != 0) throw Error(fmt::format("{}: cannot be made:\n{}", name, done.text));
        return path;
    }

    std::string programs_;
    test::TemporaryFolder made_;
};

int run_table(const std::string& programs, const fs::path& table, const std::string& word) {
    Runner runner(fs::absolute(programs).string());
    int count = 0, failed = 0;
    for (const auto& wanted : read_table(table)) {
        if (wanted.name.find(word) == std::string::npos) continue;
        ++count;
        const auto wrong = runner.run(wanted);
        if (wrong.empty()) continue;
        ++failed;
        std::printf("FAILED: %s\n%s", wanted.name.c_str(), wrong.c_str());
        std::fflush(stdout);
    }
    std::printf("%s: %d cases, %d failed, %.1f s\n", table.filename().c_str(), count, failed,
                runner.seconds);
    return failed == 0 && count > 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "wrong_input PROGRAMS TABLE.txt [WORD]\n");
        return 2;
    }
    try {
        return run_table(argv[1], argv[2], argc > 3 ? argv[3] : "");
    } catch (const std::exception& error) {
        std::fprintf(stderr, "wrong_input: %s\n", error.what());
        return 2;
    }
}
