#include <fmgs/run/process.h>
#include <fmgs/run/progress.h>

#include <algorithm>
#include <csignal>
#include <sstream>

#include "support/test.h"

using namespace fmgs;

TEST_CASE("the progress line names step, loss, PSNR, speed and time left", "[progress]") {
    REQUIRE(progress_text({150, 1500, 0.03123, 31.24, 4.1}) ==
            "step 150/1500  10 %  loss 0.03123  PSNR 31.2 dB  4.1 it/s  5:29 left");
    REQUIRE(progress_text({.step = 1, .steps = 8, .loss = 2}) == "step 1/8  12 %  loss 2");
    REQUIRE(progress_text({.step = 1, .steps = 8}) == "step 1/8  12 %");
}

TEST_CASE("durations read as on a clock", "[progress]") {
    REQUIRE(duration_text(9.4) == "0:09");
    REQUIRE(duration_text(725) == "12:05");
    REQUIRE(duration_text(3723) == "1:02:03");
    REQUIRE(duration_text(-1) == "0:00");
}

namespace {
int64_t count(const std::ostringstream& out, char c) {
    const auto text = out.str();
    return std::count(text.begin(), text.end(), c);
}
}  // namespace

TEST_CASE("a terminal's line is rewritten, a file gets one line each", "[progress]") {
    std::ostringstream terminal, file;
    {
        Progress a(terminal, true, 10), b(file, false, 10);
        for (auto* p : {&a, &b}) {
            p->show(1, 0.123456, 30);
            p->show(2, 0.5);
        }
    }
    REQUIRE(count(terminal, '\r') == 2);
    REQUIRE(count(terminal, '\n') == 1);
    REQUIRE(count(file, '\n') == 2);
    REQUIRE(count(file, '\r') == 0);
}

TEST_CASE("an interrupt sets a flag instead of ending the program", "[progress]") {
    catch_interrupt();
    REQUIRE(!interrupted());
    std::raise(SIGINT);
    REQUIRE(interrupted());
    std::signal(SIGTERM, SIG_DFL);
}

TEST_CASE("errors of LibTorch are read without its stack, and with what() too", "[progress]") {
    print_no_stacks();
    try {
        TORCH_CHECK(false, "the reason");
    } catch (const c10::Error& error) {
        CHECK(std::string(error.what_without_backtrace()) == "the reason");
        CHECK(std::string(error.what()).find("the reason\n") == 0);
        CHECK(std::string(error.what()).find("frame #") == std::string::npos);
    }
}
