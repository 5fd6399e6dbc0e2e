#include <fmgs/core/names.h>

#include "support/test.h"

using namespace fmgs;
using test::throws_error;

TEST_CASE("names are plain words", "[names]") {
    for (const auto* good : {"dino", "DINO-v2", "part_9", "a", "semantic"})
        REQUIRE_NOTHROW(check_name("modality", good));
    for (const std::string bad : {"", "a.b", "a/b", "/etc/passwd", "..", "a#1", "a b", "a\tb", "9a",
                                  "_a", "-a", "ä", "a:b", "a*"}) {
        INFO(bad);
        REQUIRE(throws_error([&] { check_name("modality", bad); },
                             "modality '" + bad + "': a name has 1 to 64 letters"));
    }
    REQUIRE_NOTHROW(check_name("loss", std::string(64, 'a')));
    REQUIRE(throws_error([] { check_name("loss", std::string(65, 'a')); }, "1 to 64 letters"));
}

TEST_CASE("words with a meaning are no names", "[names]") {
    for (const std::string word : {"color", "alpha", "depth", "normal", "mask", "position",
                                   "rotation", "scale", "opacity", "skinning", "everything"}) {
        REQUIRE(throws_error([&] { check_name("modality", word); },
                             "modality '" + word + "': the word has a meaning already"));
    }
}

TEST_CASE("an unknown word is an error that names the nearest", "[names]") {
    const std::vector<std::string> known = {"position", "rotation", "opacity"};
    REQUIRE_NOTHROW(check_known("here", "column", "opacity", known));
    REQUIRE(throws_error([&] { check_known("here", "column", "positon", known); },
                         "here: there is no column 'positon'; the nearest is 'position'; there are "
                         "position, rotation, opacity"));
    REQUIRE(throws_error([&] { check_known("here", "column", "x", {}); },
                         "here: there is no column 'x'"));
    REQUIRE(fmgs::detail::edit_distance("kitten", "sitting") == 3);
    REQUIRE(fmgs::detail::edit_distance("", "abc") == 3);
}
