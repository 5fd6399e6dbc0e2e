// Frames that are decoded when they are asked for: what stays of them, and who decodes when.
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <fmgs/core/random.h>
#include <fmgs/data/cache/frame_store.h>
#include <fmgs/data/frame_list.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <functional>
#include <mutex>
#include <thread>

#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

constexpr double kBytes = 48;  // of a frame of frame_of_number, kept

/// 3 x 4 x 4 bytes.
Frame frame_of_number(size_t number) {
    Frame frame;
    frame.maps = {{"color", torch::full({3, 4, 4}, static_cast<float>(number) / 255)}};
    return frame;
}

/// A list of frames that counts how often each is decoded, and by whom.
struct Counted {
    std::vector<std::atomic<int>> decoded;
    std::vector<std::thread::id> by;
    std::shared_ptr<FrameStore> store;
    FrameList frames;

    Counted(size_t count, double budget, const std::function<void(size_t)>& before = {},
            const std::string& sequence = {})
        : decoded(count), by(count), store(std::make_shared<FrameStore>(budget)), frames(store) {
        for (size_t i = 0; i < count; ++i) {
            const auto decode = [this, i, before] {
                ++decoded[i];
                by[i] = std::this_thread::get_id();
                if (before) before(i);
                return compact(frame_of_number(i));
            };
            Frame head;
            head.name = fmt::format("{}", i);
            frames.push_back(head, store->add(decode, kBytes, sequence));
        }
    }
    std::vector<int> counts() const { return {decoded.begin(), decoded.end()}; }
};

bool is_frame(const Frame& frame, size_t number) {
    return frame.name == fmt::format("{}", number) &&
           torch::equal(frame.maps.at("color"), frame_of_number(number).maps.at("color"));
}

/// Waits until it holds; false after ten seconds.
bool soon(const std::function<bool()>& holds) {
    for (int k = 0; k < 2000; ++k) {
        if (holds()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
}

/// The map as it comes back, and the bytes that it took.
std::pair<torch::Tensor, size_t> kept(const std::string& name, const torch::Tensor& map) {
    Frame frame, back;
    frame.maps = {{name, map}};
    const auto stored = compact(frame);
    expand(stored, true, back);
    return {back.maps.at(name), stored.bytes()};
}

}  // namespace

TEST_CASE("what has eight bits comes back to the bit, the rest within its rounding", "[frames]") {
    const auto generator = Random{1}.generator("maps");
    const auto exact = [](const std::string& name, const torch::Tensor& map, size_t bytes) {
        INFO(name);
        const auto [back, size] = kept(name, map);
        REQUIRE(back.scalar_type() == map.scalar_type());
        REQUIRE(torch::equal(back, map));
        REQUIRE(size == bytes);
    };
    // As read_color makes them, each level there is.
    const auto levels = torch::arange(256, torch::kFloat).div(255).repeat({3, 2, 1});
    exact("color", levels, 3 * 512);
    exact("mask", (torch::rand({1, 9, 7}, generator) > 0.5).to(torch::kFloat), 63);
    exact("semantic", torch::randint(0, 256, {9, 7}, generator, torch::kLong), 63);
    exact("semantic", torch::randint(-1, 300, {90, 70}, generator, torch::kLong), 6300 * 8);
    exact("depth", torch::rand({1, 9, 7}, generator), 4 * 63);
    exact("dino", torch::full({2, 3, 3}, 1e5F), 4 * 18);  // beyond half
    exact("dino", torch::full({2, 3, 3}, -1e30F), 4 * 18);

    for (const int64_t n : {4, 9, 16})  // the means of so many pixels of a mask
        exact("mask", torch::arange(n + 1, torch::kFloat).div(n).view({1, 1, n + 1}),
              static_cast<size_t>(2 * (n + 1)));

    const auto [color, color_bytes] = kept("color", torch::rand({3, 9, 7}, generator));
    REQUIRE(color_bytes == 2 * 3 * 63);
    REQUIRE_FALSE(torch::equal(color, levels));
    const auto soft = torch::rand({1, 90, 70}, generator);
    REQUIRE((kept("mask", soft).first - soft).abs().max().item<double>() < 7.7e-6);
    const auto side = torch::randn({3, 90, 70}, generator);
    const auto normal = side / side.norm(2, 0, true);
    const auto [turned, normal_bytes] = kept("normal", normal);
    REQUIRE(normal_bytes == 2 * 3 * 6300);
    const auto over = (turned - normal).abs() - normal.abs() * std::pow(2, -11) - 6e-8;
    REQUIRE(over.max().item<double>() <= 0);
}

TEST_CASE("what a frame has in both sets of maps stays once", "[frames]") {
    Frame frame, back;
    const auto color = torch::zeros({3, 4, 4});
    frame.maps = {{"color", color}, {"depth", torch::ones({1, 4, 4})}};
    frame.truth = {{"color", color}, {"depth", torch::zeros({1, 4, 4})}};
    const auto stored = compact(frame);
    REQUIRE(stored.bytes() == 48 + 16 + 16);  // 1 and 0 are 255ths, too
    expand(stored.to(torch::kCPU), true, back);
    REQUIRE(back.truth.at("color").is_same(back.maps.at("color")));
    REQUIRE(torch::equal(back.truth.at("depth"), torch::zeros({1, 4, 4})));
    REQUIRE(torch::equal(back.maps.at("depth"), torch::ones({1, 4, 4})));
    Frame without;
    expand(stored, false, without);
    REQUIRE(without.truth.empty());
}

TEST_CASE("frames in memory are returned as they are", "[frames]") {
    std::vector<Frame> two = {frame_of_number(0), frame_of_number(1)};
    two[1].truth = two[1].maps;
    FrameList frames(two);
    frames.heads()[1].camera.low_pass = 3;
    REQUIRE(frames.heads()[1].maps.empty());
    REQUIRE(frames[1].maps.at("color").is_same(two[1].maps.at("color")));
    REQUIRE((frames[1].truth.size() == 1 && frames[1].camera.low_pass == 3));
    REQUIRE(frames.without_truth()[1].truth.empty());
    REQUIRE(throws_error([&] { frames[2]; }, "frame 2: there are 2"));
    REQUIRE(std::vector<Frame>(frames.begin(), frames.end()).size() == 2);
    // On another device they are kept as bytes.
    const auto there = frames.on(torch::kCPU, 1e6);
    REQUIRE(torch::equal(there[1].maps.at("color"), two[1].maps.at("color")));
    REQUIRE(there.heads()[1].camera.low_pass == 3);
    REQUIRE(there.store()->use().bytes == kBytes);
}

TEST_CASE("a frame that fits is decoded once, others each time, within the budget", "[frames]") {
    Counted all(6, 6 * kBytes);
    for (int round = 0; round < 3; ++round)
        for (size_t i = 0; i < 6; ++i) REQUIRE(is_frame(all.frames[i], i));
    REQUIRE(all.counts() == std::vector<int>(6, 1));
    REQUIRE(all.store->use().kept == 6);
    REQUIRE(all.store->planned() == 6);

    // Not all: 3 stay, beside the room for those that are decoded ahead.
    const auto ahead = all.store->ahead();
    const size_t count = 8 + ahead;
    const double budget = static_cast<double>(3 + ahead) * kBytes + 1;
    Counted some(count, budget, [](size_t) {
        std::this_thread::sleep_for(std::chrono::milliseconds(2));  // time to get ahead
    });
    REQUIRE(some.store->planned() == 3);
    for (int round = 0; round < 3; ++round) {
        size_t i = 0;
        for (const auto& frame : some.frames) REQUIRE(is_frame(frame, i++));
    }
    std::vector<int> expected(count, 3);
    std::fill_n(expected.begin(), 3, 1);
    REQUIRE(some.counts() == expected);
    REQUIRE(some.store->use().kept == 3);
    REQUIRE(some.store->use().most <= budget);
    REQUIRE(some.store->use().most > 3 * kBytes);  // some were decoded ahead

    // Nothing fits: nothing is decoded ahead.
    Counted none(3, kBytes - 1);
    size_t i = 0;
    for (const auto& frame : none.frames) REQUIRE(is_frame(frame, i++));
    REQUIRE(none.store->use().most == 0);
    for (const auto& id : none.by) REQUIRE(id == std::this_thread::get_id());
}

TEST_CASE("an expected frame is decoded ahead, by a thread that stays alone", "[frames]") {
    std::atomic<int> threads = 0;
    std::atomic<bool> graph = false;
    Counted counted(20, 100 * kBytes, [&](size_t) {
        threads = at::get_num_threads();
        graph = c10::GradMode::is_enabled() || c10::InferenceMode::is_enabled();
    });
    const int before = at::get_num_threads();
    counted.frames.expect({3, 1});
    REQUIRE(soon([&] { return counted.store->use().kept == 2; }));
    REQUIRE(is_frame(counted.frames[3], 3));
    REQUIRE(counted.by[3] != std::this_thread::get_id());
    REQUIRE(counted.decoded[3] == 1);
    REQUIRE(threads == 1);
    REQUIRE_FALSE(graph);
    REQUIRE(at::get_num_threads() == before);
    // What stays serves training, whoever asked first.
    {
        const c10::InferenceMode mode;
        counted.frames[7];
    }
    REQUIRE_FALSE(counted.store->get(7)->maps[0].stored.is_inference());
}

TEST_CASE("what was decoded ahead and is no longer expected makes room", "[frames]") {
    Counted counted(20, 2.5 * kBytes);  // none stays: the room is for those ahead
    counted.frames.expect({1, 2});
    REQUIRE(soon([&] { return counted.store->use().bytes == 2 * kBytes; }));
    counted.frames.expect({2, 5});
    REQUIRE(soon([&] { return counted.decoded[5] == 1; }));
    REQUIRE(is_frame(counted.frames[2], 2));
    REQUIRE(is_frame(counted.frames[1], 1));
    REQUIRE(counted.decoded[2] == 1);
    REQUIRE(counted.decoded[1] == 2);
}

TEST_CASE("an error reaches who asks for the frame, and nobody else", "[frames]") {
    Counted counted(6, 100 * kBytes, [](size_t i) {
        if (i == 2) throw Error("images/2.png: not a readable picture");
    });
    counted.frames.expect({0, 1, 2});
    REQUIRE(soon([&] { return counted.decoded[2] > 0; }));
    for (const size_t i : {0, 1, 3}) REQUIRE(is_frame(counted.frames[i], i));
    for (int k = 0; k < 2; ++k)
        REQUIRE(throws_error([&] { counted.frames[2]; }, "images/2.png: not a readable"));
    size_t seen = 0;
    REQUIRE(throws_error(
        [&] {
            for (const auto& frame : counted.frames) seen += is_frame(frame, seen) ? 1 : 100;
        },
        "images/2.png"));
    REQUIRE(seen == 2);
}

TEST_CASE("a list may go while its frames are decoded", "[frames]") {
    std::atomic<bool> started = false, ended = false;
    auto counted = std::make_unique<Counted>(50, 100 * kBytes, [&](size_t) {
        started = true;
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        ended = true;
    });
    counted->frames.expect({0, 1, 2, 3});
    REQUIRE(soon([&] { return started.load(); }));
    counted->store.reset();
    counted->frames = {};  // waits for the one in work
    REQUIRE(ended);
    REQUIRE(counted->counts().back() == 0);
}

TEST_CASE("threads that ask for the same frame share its decoding", "[frames]") {
    Counted counted(40, 100 * kBytes,
                    [](size_t) { std::this_thread::sleep_for(std::chrono::milliseconds(2)); });
    std::atomic<int> right = 0;
    std::vector<std::thread> threads;
    for (int k = 0; k < 4; ++k)
        threads.emplace_back([&] {
            size_t i = 0;
            for (const auto& frame : counted.frames) right += is_frame(frame, i++);
        });
    for (auto& thread : threads) thread.join();
    REQUIRE(right == 4 * 40);
    REQUIRE(counted.counts() == std::vector<int>(40, 1));
}

TEST_CASE("the frames of a video are decoded one at a time and in order", "[frames]") {
    std::mutex mutex;
    std::vector<size_t> order;
    std::atomic<int> at_work = 0, most = 0;
    Counted counted(
        30, 100 * kBytes,
        [&](size_t i) {
            most = std::max<int>(most, ++at_work);
            {
                const std::lock_guard lock(mutex);
                order.push_back(i);
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
            --at_work;
        },
        "video.mp4");
    size_t i = 0;
    for (const auto& frame : counted.frames) REQUIRE(is_frame(frame, i++));
    REQUIRE(most == 1);
    REQUIRE(order.size() == 30);
    REQUIRE(std::is_sorted(order.begin(), order.end()));
}
