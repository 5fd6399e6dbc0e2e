// How sources look where clang-format has no say: comments, includes, the length of functions.
#include <sstream>

#include "support/source_lines.h"
#include "support/test.h"

using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

Source text(const std::string& lines) {
    std::istringstream in(lines);
    return Source(in);
}

size_t column_of_comment(const Source& source, size_t k) {
    const auto& line = source.lines[k];
    return source.code[k].size() < line.size() ? line.find("//", source.code[k].size())
                                               : std::string::npos;
}

/// Lines (from 1) where a comment behind code goes on in a line of its own.
std::vector<size_t> comments_that_go_on(const Source& source) {
    std::vector<size_t> found;
    const auto is_alone = [&](size_t k) {
        return source.code[k].find_first_not_of(' ') == std::string::npos;
    };
    for (size_t k = 1; k < source.lines.size(); ++k) {
        const auto here = column_of_comment(source, k), above = column_of_comment(source, k - 1);
        if (here == std::string::npos || !is_alone(k)) continue;
        const bool behind = source.lines[k].compare(here, 4, "///<") == 0;
        if (behind || (above == here && !is_alone(k - 1))) found.push_back(k + 1);
    }
    return found;
}

/// Empty when the first include is the source's own header, in a block of its own, or when it has
/// none.
std::string fault_of_own_header(const fs::path& file) {
    const auto header = fs::path(file).replace_extension(".h");
    if (!fs::exists(header)) return {};
    const auto expected = "#include <" + fs::relative(header, kRoot).string() + ">";
    const auto lines = Source(file).lines;
    for (size_t k = 0; k < lines.size(); ++k) {
        if (lines[k].rfind("#include", 0) != 0) continue;
        if (lines[k] != expected) return "begins with " + lines[k];
        if (k + 1 < lines.size() && !lines[k + 1].empty())
            return "no empty line after its own header";
        return {};
    }
    return "does not include its own header";
}

}  // namespace

TEST_CASE("a source includes its own header first, in a block of its own", "[style]") {
    for (const auto& file : sources({"fmgs"})) {
        if (file.extension() != ".cpp" && file.extension() != ".cu") continue;
        INFO(fs::relative(file, kRoot));
        CHECK(fault_of_own_header(file) == "");
    }
}

TEST_CASE("comments that need more than the rest of a line stand above it", "[style]") {
    REQUIRE(comments_that_go_on(text("int a;  // one\n        // two\n")) ==
            std::vector<size_t>{2});
    REQUIRE(comments_that_go_on(text("int a;  ///< one\n    ///< two\n")) ==
            std::vector<size_t>{2});
    REQUIRE(comments_that_go_on(text("int a;  // one\n// of b\nint b;  // two\n")).empty());
    for (const auto& file : sources({"fmgs", "examples", "tests"})) {
        for (const size_t line : comments_that_go_on(Source(file))) {
            FAIL_CHECK(fs::relative(file, kRoot).string() << ":" << line);
        }
    }
}

TEST_CASE("the length of functions is counted from head to closing brace", "[style]") {
    const auto found = Functions(text(R"x(namespace a {
struct S {
    int one() const { return '{'; }
    int x[2] = {1, 2};
};
template <class T>
T two(T x,
      T y) {
    const auto f = [&] { return R"({)"; };  // {
    if (x) {
        return "{" + 1'000;
    }
}
}  // namespace a
TEST_CASE("b") {
}
)x"));
    REQUIRE(found.balanced);
    std::vector<std::pair<size_t, size_t>> lines;
    for (const auto& f : found.all) lines.emplace_back(f.first, f.last);
    REQUIRE(lines == std::vector<std::pair<size_t, size_t>>{{3, 3}, {6, 13}, {15, 16}});
    REQUIRE_FALSE(Functions(text("void f() {")).balanced);
    REQUIRE_FALSE(Functions(text("}")).balanced);
}

TEST_CASE("no function is longer than 60 lines", "[style]") {
    size_t seen = 0;
    for (const auto& file : sources({"fmgs", "examples", "tests"})) {
        INFO(fs::relative(file, kRoot).string());
        const Functions functions{Source(file)};
        CHECK(functions.balanced);
        for (const auto& f : functions.all) {
            INFO("line " << f.first);
            CHECK(f.size() <= 60);
            ++seen;
        }
    }
    REQUIRE(seen > 1000);
}
