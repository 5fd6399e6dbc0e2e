// What no compiler checks: which folder may include which, how long a file is, and what public
// headers may show.
#include <fstream>
#include <map>
#include <sstream>

#include "support/source_lines.h"
#include "support/test.h"

using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> includes(const fs::path& file) {
    static const std::regex kInclude(R"(^\s*#\s*include\s*[<"]([^>"]+)[>"].*)");
    std::vector<std::string> found;
    for (const auto& line : Source(file).lines) {
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
        {"version", {}},
        {"core", {"core"}},
        {"fields", {"core", "fields"}},
        {"raster", {"core", "raster"}},
        {"avatar", {"core", "fields", "raster", "avatar"}},
        {"avatar_scene", {"core", "avatar_scene"}},
        {"avatar_file", {"core", "fields", "raster", "avatar", "avatar_scene", "avatar_file"}},
        {"baked_avatar", {"core", "avatar", "baked_avatar"}},
        {"baked_file", {"core", "avatar_scene", "baked_avatar", "baked_file"}},
        {"bake", {"core", "raster", "avatar", "avatar_scene", "baked_avatar", "bake"}},
        {"edit", {"core", "baked_avatar", "edit"}},
        {"losses", {"core", "fields", "raster", "avatar", "losses"}},
        {"train", {"core", "fields", "raster", "avatar", "losses", "train"}},
        {"eval", {"core", "fields", "raster", "avatar", "losses", "eval"}},
        {"data", {"core", "data", "version"}},
        {"run",
         {"core", "fields", "raster", "avatar", "avatar_scene", "avatar_file", "baked_avatar",
          "baked_file", "bake", "edit", "losses", "train", "eval", "data", "run", "version"}},
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
        for (const auto& line : Source(file).lines) {
            INFO("file " << fs::relative(file, kRoot) << ": " << line);
            CHECK_FALSE(line.rfind("#include \"", 0) == 0);
        }
    }
}

TEST_CASE("no source file is longer than 400 lines", "[sources]") {
    for (const auto& file : sources({"fmgs", "examples", "tests"})) {
        INFO("file " << fs::relative(file, kRoot));
        CHECK(Source(file).lines.size() <= 400);
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

TEST_CASE("which backends a build has is known to few files, and few files make up raster",
          "[sources]") {
    const std::regex asks(R"(\s*#\s*(el)?ifn?(def)?\b.*\bFMGS_CUDA\b.*)");
    REQUIRE(std::regex_match("#if defined(FMGS_CUDA)", asks));
    std::string files;
    size_t count = 0;
    for (const auto& file : sources({"fmgs"})) {
        const auto lines = Source(file).lines;
        if (std::none_of(lines.begin(), lines.end(),
                         [&](const auto& line) { return std::regex_match(line, asks); }))
            continue;
        files += fs::relative(file, kRoot).string() + "\n";
        ++count;
    }
    INFO(files);
    CHECK(count <= 4);
    size_t raster = 0;
    for (const auto& entry : fs::directory_iterator(kRoot / "fmgs/raster"))
        raster += entry.is_regular_file();
    REQUIRE(raster > 0);
    CHECK(raster <= 12);
}

TEST_CASE("every mutation names files and tests that there are", "[sources]") {
    size_t count = 0;
    for (const auto& entry : fs::directory_iterator(kRoot / "tests/mutations")) {
        INFO(entry.path().filename().string());
        std::ifstream text(entry.path());
        size_t tests = 0, files = 0;
        for (std::string line; std::getline(text, line);) {
            if (line.starts_with("# tests: ")) {
                std::istringstream names(line.substr(9));
                for (std::string name; names >> name; ++tests)
                    CHECK(fs::exists(kRoot / "tests" / (name + ".cpp")));
            } else if (line.starts_with("+++ b/")) {
                CHECK(fs::exists(kRoot / line.substr(6, line.find('\t') - 6)));
                ++files;
            }
        }
        CHECK((tests > 0 && files > 0));
        ++count;
    }
    CHECK(count > 300);
}
