// What no compiler checks: which folder may include which, how long a file is, and what public
// headers may show.
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <vector>

#include "support/test.h"

namespace {

namespace fs = std::filesystem;
const fs::path kRoot = FMGS_SOURCE_DIR;

std::vector<fs::path> sources(const std::vector<std::string>& folders) {
    std::vector<fs::path> files;
    const std::set<std::string> endings{".h", ".cpp", ".cu", ".cuh"};
    for (const auto& folder : folders) {
        for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
            const bool build = entry.path().string().find("/build") != std::string::npos &&
                               kRoot.string().find("/build") == std::string::npos;
            if (!build && endings.count(entry.path().extension())) files.push_back(entry.path());
        }
    }
    return files;
}

std::vector<std::string> lines(const fs::path& file) {
    std::ifstream in(file);
    std::vector<std::string> all;
    for (std::string line; std::getline(in, line);) all.push_back(line);
    return all;
}

std::vector<std::string> includes(const fs::path& file) {
    static const std::regex kInclude(R"(^\s*#\s*include\s*[<"]([^>"]+)[>"].*)");
    std::vector<std::string> found;
    for (const auto& line : lines(file)) {
        std::smatch match;
        if (std::regex_match(line, match, kInclude)) found.push_back(match[1]);
    }
    return found;
}

/// "fmgs/core/mesh.h" → "core"; "fmgs/avatar.h" → "avatar".
std::string part(const fs::path& path) {
    auto it = path.begin();
    ++it;
    return it->stem().string();
}

}  // namespace

TEST_CASE("dependencies between the parts point one way", "[sources]") {
    const std::map<std::string, std::set<std::string>> allowed{
        {"core", {"core"}},
        {"fields", {"core", "fields"}},
        {"raster", {"core", "raster"}},
        {"avatar", {"core", "fields", "raster", "avatar"}},
        {"avatar_file", {"core", "fields", "raster", "avatar", "avatar_file"}},
        {"losses", {"core", "fields", "raster", "avatar", "losses"}},
        {"train", {"core", "fields", "raster", "avatar", "losses", "train"}},
        {"eval", {"core", "fields", "raster", "avatar", "losses", "eval"}},
        {"data", {"core", "data"}},
        {"run",
         {"core", "fields", "raster", "avatar", "avatar_file", "losses", "train", "eval", "data",
          "run"}},
    };
    size_t seen = 0;
    for (const auto& file : sources({"fmgs"})) {
        const auto relative = fs::relative(file, kRoot);
        if (relative == "fmgs/fmgs.h") continue;
        INFO("file " << relative);
        const auto rule = allowed.find(part(relative));
        REQUIRE(rule != allowed.end());
        for (const auto& include : includes(file)) {
            if (include.rfind("fmgs/", 0) != 0) continue;
            INFO("includes " << include);
            CHECK(rule->second.count(part(include)) == 1);
            ++seen;
        }
    }
    REQUIRE(seen > 0);
}

TEST_CASE("inside the library, files are included by their full name", "[sources]") {
    for (const auto& file : sources({"fmgs"})) {
        for (const auto& line : lines(file)) {
            INFO("file " << fs::relative(file, kRoot) << ": " << line);
            CHECK_FALSE(line.rfind("#include \"", 0) == 0);
        }
    }
}

TEST_CASE("no source file is longer than 400 lines", "[sources]") {
    for (const auto& file : sources({"fmgs", "examples", "tests"})) {
        INFO("file " << fs::relative(file, kRoot));
        CHECK(lines(file).size() <= 400);
    }
}

TEST_CASE("headers keep yaml-cpp, Eigen, OpenCV and JSON private", "[sources]") {
    const std::regex hidden("^(yaml-cpp|Eigen|opencv2|nlohmann)/.*");
    for (const auto& file : sources({"fmgs"})) {
        if (file.extension() != ".h") continue;
        for (const auto& include : includes(file)) {
            INFO("file " << fs::relative(file, kRoot) << " includes " << include);
            CHECK_FALSE(std::regex_match(include, hidden));
        }
    }
}

TEST_CASE("the umbrella header names files that exist", "[sources]") {
    const auto named = includes(kRoot / "fmgs/fmgs.h");
    REQUIRE(!named.empty());
    for (const auto& include : named) {
        INFO(include);
        CHECK(fs::exists(kRoot / include));
    }
}
