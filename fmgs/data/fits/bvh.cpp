#include <fmgs/data/fits/bvh.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace fmgs::detail {

namespace {

constexpr size_t kMostJoints = 4096;
constexpr size_t kMostNesting = 512;

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f'; }

class Parser {
  public:
    Parser(std::string_view text, const std::string& what) : text_(text), what_(what) {}

    Bvh parse() {
        expect("HIERARCHY");
        expect("ROOT");
        read_joint(-1, name());
        auto next = word();
        if (next == "ROOT") fail("expected one skeleton, got a second ROOT");
        if (next != "MOTION") fail(fmt::format("expected MOTION, got '{}'", shown(next)));
        expect("Frames:");
        read_frames();
        return std::move(out_);
    }

  private:
    [[noreturn]] void fail(const std::string& message) const {
        throw Error(fmt::format("{}:{}: {}", what_, line_, message));
    }
    static std::string shown(std::string_view word) {
        return word.empty() ? "the end of the file" : std::string(word.substr(0, 40));
    }
    void skip() {
        for (; at_ < text_.size() && is_space(text_[at_]); ++at_) line_ += text_[at_] == '\n';
    }
    std::string_view word() {
        skip();
        const size_t begin = at_;
        while (at_ < text_.size() && !is_space(text_[at_])) ++at_;
        return text_.substr(begin, at_ - begin);
    }
    // The rest of the line: names may hold spaces.
    std::string name() {
        const size_t begin = at_;
        while (at_ < text_.size() && text_[at_] != '\n' && text_[at_] != '{') ++at_;
        auto rest = text_.substr(begin, at_ - begin);
        while (!rest.empty() && is_space(rest.front())) rest.remove_prefix(1);
        while (!rest.empty() && is_space(rest.back())) rest.remove_suffix(1);
        if (rest.empty() || rest.size() > 200) fail("expected the name of a joint");
        return std::string(rest);
    }
    void expect(std::string_view wanted) {
        const auto found = word();
        if (found != wanted) fail(fmt::format("expected {}, got '{}'", wanted, shown(found)));
    }
    double number() {
        auto digits = word();
        if (!digits.empty() && digits.front() == '+') digits.remove_prefix(1);
        double value = 0;
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (error != std::errc{} || end != digits.data() + digits.size() || !std::isfinite(value))
            fail(fmt::format("expected a finite number, got '{}'", shown(digits)));
        return value;
    }
    int64_t count(int64_t most, const char* of) {
        const auto digits = word();
        int64_t value = -1;
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (error != std::errc{} || end != digits.data() + digits.size() || value < 0 ||
            value > most)
            fail(fmt::format("expected a number of {} from 0 to {}, got '{}'", of, most,
                             shown(digits)));
        return value;
    }
    std::array<double, 3> offset() {
        std::array<double, 3> x;
        for (double& value : x) value = number();
        return x;
    }

    void read_channels(BvhJoint& joint) {
        static constexpr std::string_view kNames[] = {"Xposition", "Yposition", "Zposition",
                                                      "Xrotation", "Yrotation", "Zrotation"};
        joint.first_channel = out_.columns;
        const int64_t size = count(6, "channels");
        for (int64_t k = 0; k < size; ++k) {
            const auto found = word();
            int kind = 0;
            while (kind < 6 && kNames[kind] != found) ++kind;
            if (kind == 6)
                fail(fmt::format("expected a channel such as Xrotation, got '{}'", shown(found)));
            joint.channels.push_back(kind);
        }
        out_.columns += size;
    }

    void read_end_site(BvhJoint& joint) {
        expect("Site");
        expect("{");
        expect("OFFSET");
        joint.end = offset();
        joint.has_end = true;
        expect("}");
    }

    void read_joint(int64_t parent, std::string joint_name) {
        if (out_.joints.size() >= kMostJoints || ++depth_ > kMostNesting)
            fail("expected a skeleton of fewer joints");
        const auto index = out_.joints.size();
        out_.joints.push_back({.name = std::move(joint_name), .parent = parent});
        expect("{");
        bool has_offset = false;
        for (;;) {
            const auto found = word();
            // Children may move the list, so that the joint is looked up anew.
            BvhJoint& joint = out_.joints[index];
            if (found == "OFFSET") {
                joint.offset = offset();
                has_offset = true;
            } else if (found == "CHANNELS") {
                if (!joint.channels.empty()) fail("expected CHANNELS once per joint");
                read_channels(joint);
            } else if (found == "JOINT") {
                read_joint(static_cast<int64_t>(index), name());
            } else if (found == "End") {
                read_end_site(joint);
            } else if (found == "}") {
                if (!has_offset) fail(fmt::format("joint {}: expected an OFFSET", joint.name));
                --depth_;
                return;
            } else {
                fail(fmt::format("expected OFFSET, CHANNELS, JOINT, End Site or }}, got '{}'",
                                 shown(found)));
            }
        }
    }

    void read_frames() {
        out_.frames = count(100000000, "frames");
        expect("Frame");
        expect("Time:");
        out_.frame_time = number();
        if (!(out_.frame_time > 1e-6))
            fail(fmt::format("expected a positive Frame Time, got {}", out_.frame_time));
        if (out_.frames < 1 || out_.columns < 1) fail("expected at least one frame and channel");
        // Every number takes two bytes of the file, so that no count makes room for more.
        const size_t left = (text_.size() - at_) / 2 + 1;
        if (static_cast<size_t>(out_.frames) > left / static_cast<size_t>(out_.columns) + 1)
            fail(fmt::format("expected {} frames of {} numbers, the file ends before", out_.frames,
                             out_.columns));
        const auto size = static_cast<size_t>(out_.frames) * static_cast<size_t>(out_.columns);
        out_.values.reserve(size);
        for (size_t k = 0; k < size; ++k) out_.values.push_back(number());
        if (const auto more = word(); !more.empty())
            fail(fmt::format("expected the end after {} frames of {} numbers, got '{}'",
                             out_.frames, out_.columns, shown(more)));
    }

    std::string_view text_;
    const std::string& what_;
    size_t at_ = 0, depth_ = 0;
    int64_t line_ = 1;
    Bvh out_;
};

}  // namespace

Bvh parse_bvh(std::string_view text, const std::string& what) { return Parser(text, what).parse(); }

}  // namespace fmgs::detail
