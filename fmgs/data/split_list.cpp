#include <fmgs/data/split_list.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/names.h>
#include <fmt/format.h>

#include <charconv>
#include <limits>
#include <sstream>

namespace fmgs {

namespace {

constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();

struct Line {
    std::string where;

    int64_t number(const std::string& text, int64_t least, const char* what) const {
        int64_t value = 0;
        const char* end = text.data() + text.size();
        const auto [rest, error] = std::from_chars(text.data(), end, value);
        if (error != std::errc() || rest != end || value < least)
            throw Error(fmt::format("{}: {}: expected a whole number of at least {}, got '{}'",
                                    where, what, least, text));
        return value;
    }

    SplitRule rule(const std::vector<std::string>& words) const {
        SplitRule rule;
        rule.split = words[1];
        check_known(where, "split", rule.split, {"train", "test", "test_view", "novel_motion"});
        const auto dash = words[2].find('-');
        rule.first_camera = number(words[2].substr(0, dash), 1, "cameras");
        rule.last_camera = rule.first_camera;
        if (dash != std::string::npos)
            rule.last_camera = dash + 1 == words[2].size() ? kEnd
                                                           : number(words[2].substr(dash + 1),
                                                                    rule.first_camera, "cameras");
        rule.first = number(words[3], 0, "first frame");
        rule.last = words[4] == "-" ? kEnd : number(words[4], rule.first, "last frame");
        rule.step = number(words[5], 1, "step");
        return rule;
    }
};

}  // namespace

std::vector<SplitRule> read_split_list(const std::filesystem::path& file,
                                       const std::string& subject) {
    std::vector<SplitRule> rules;
    std::istringstream lines(read_text(file));
    int64_t count = 0;
    for (std::string text; std::getline(lines, text);) {
        const Line line{fmt::format("{}:{}", file.string(), ++count)};
        std::istringstream stream(text.substr(0, text.find('#')));
        std::vector<std::string> words;
        for (std::string word; stream >> word;) words.push_back(word);
        if (words.empty()) continue;
        if (words.size() != 6)
            throw Error(
                fmt::format("{}: expected SUBJECT SPLIT CAMERAS FIRST LAST STEP, got {} "
                            "words",
                            line.where, words.size()));
        const auto rule = line.rule(words);
        if (words[0] == subject) rules.push_back(rule);
    }
    return rules;
}

}  // namespace fmgs
