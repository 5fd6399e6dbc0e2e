// What ptxas says about the CUDA kernels, for every architecture, against tests/kernel_budget.txt.
#include <cxxabi.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <regex>
#include <set>
#include <sstream>

#include "support/test.h"

namespace {

namespace fs = std::filesystem;

struct Usage {
    int registers = 0, spill = 0, shared = 0;  // spill, shared: bytes
};

/// "void fmgs::raster::(anonymous namespace)::composite_forward<float, 4>(…)" →
/// "composite_forward<float,4>"; empty for a kernel that is not ours.
std::string short_name(const std::string& mangled) {
    const std::unique_ptr<char, void (*)(void*)> full(
        abi::__cxa_demangle(mangled.c_str(), nullptr, nullptr, nullptr), std::free);
    std::string name = full ? full.get() : "";
    for (const std::string word : {"(anonymous namespace)::", "void ", " "}) {
        for (size_t at; (at = name.find(word)) != std::string::npos;) name.erase(at, word.size());
    }
    if (name.rfind("fmgs::", 0) != 0) return "";
    name = name.substr(0, name.find('('));
    const size_t arguments = std::min(name.find('<'), name.size());
    return name.substr(name.rfind("::", arguments) + 2);
}

struct Reports {
    std::map<std::string, Usage> worst;
    std::set<std::string> architectures;
};

Reports read_reports(const fs::path& folder) {
    static const std::regex kEntry("Compiling entry function '([^']+)' for '([^']+)'"),
        kSpill("([0-9]+) bytes spill stores, ([0-9]+) bytes spill loads"),
        kUsed("Used ([0-9]+) registers"), kShared("([0-9]+) bytes smem");
    Reports reports;
    for (const auto& file : fs::directory_iterator(folder)) {
        if (file.path().extension() != ".ptxas") continue;
        std::ifstream in(file.path());
        Usage ignored, *usage = &ignored;
        for (std::string line; std::getline(in, line);) {
            std::smatch match;
            if (std::regex_search(line, match, kEntry)) {
                const std::string name = short_name(match[1]);
                reports.architectures.insert(match[2]);
                usage = name.empty() ? &ignored : &reports.worst[name];
            }
            const auto raise = [&](int& value, int group) {
                value = std::max(value, std::stoi(match[group]));
            };
            if (std::regex_search(line, match, kSpill)) raise(usage->spill, 1);
            if (std::regex_search(line, match, kUsed)) raise(usage->registers, 1);
            if (std::regex_search(line, match, kShared)) raise(usage->shared, 1);
        }
    }
    return reports;
}

std::map<std::string, Usage> read_budget() {
    std::ifstream in(fs::path(FMGS_SOURCE_DIR) / "tests/kernel_budget.txt");
    std::map<std::string, Usage> budget;
    for (std::string line; std::getline(in, line);) {
        std::istringstream words(line);
        std::string name;
        Usage usage;
        if (line.rfind('#', 0) == 0 || !(words >> name)) continue;
        REQUIRE(words >> usage.registers >> usage.spill >> usage.shared);
        budget[name] = usage;
    }
    return budget;
}

}  // namespace

TEST_CASE("no kernel takes more registers, spills or shared memory than its budget", "[kernels]") {
    const fs::path folder = fs::path(FMGS_BINARY_DIR) / "kernels";
    if (!fs::exists(folder)) {
        std::puts(
            "skipped: no nvcc, or FMGS_CUDA is on: the kernels were not compiled on their own");
        return;
    }
    const auto reports = read_reports(folder);
    const auto budget = read_budget();
    REQUIRE(reports.architectures.size() >= 7);
    for (const auto& [name, used] : reports.worst) {
        INFO("used: " << name << ' ' << used.registers << ' ' << used.spill << ' ' << used.shared);
        REQUIRE(budget.count(name) == 1);
        const Usage& allowed = budget.at(name);
        CHECK(used.registers <= allowed.registers);
        CHECK(used.spill <= allowed.spill);
        CHECK(used.shared <= allowed.shared);
    }
    for (const auto& [name, allowed] : budget) {
        INFO("the budget names a kernel that is not there: " << name);
        CHECK(reports.worst.count(name) == 1);
    }
}
