#include <fmgs/train/watch.h>

#if defined(FMGS_GLOO)
#include <fmgs/core/check.h>
#include <fmt/format.h>
#include <unistd.h>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <thread>

namespace fmgs {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kBeat = std::chrono::milliseconds(500);
constexpr double kMostCounted = 1;  // seconds: a process that was stopped did not listen either

double since(Clock::time_point& last) {
    const auto now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - std::exchange(last, now)).count();
    return std::min(seconds, kMostCounted);
}

std::string own_name() {
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '?';
    return fmt::format("{}, process {}", host.data(), ::getpid());
}

/// A sign of life: "BEAT STEP HOST, process PID".
struct Sign {
    std::string text;
    double silent = 0;  // seconds

    int64_t step() const {
        const auto space = text.find(' ');
        return space == std::string::npos ? -1 : std::atoll(text.c_str() + space);
    }
    std::string name() const {
        const auto second = text.find(' ', text.find(' ') + 1);
        return second == std::string::npos ? "?" : text.substr(second + 1);
    }
};

}  // namespace

struct Watch::State {
    mutable std::mutex mutex;
    std::condition_variable woken;
    std::string prefix, place;
    int64_t rank = 0, step = 0;
    bool hosted = false;
    bool stop = false, ended = false;
    std::vector<Sign> signs;
    std::string store_problem;
    std::optional<std::string> verdict, own_verdict;
    uint64_t rounds = 0;
    // Of silent(): how long no round has come to its end.
    mutable uint64_t rounds_seen = 0;
    mutable double stuck = 0;
    mutable Clock::time_point asked = Clock::now();

    std::string name_of(size_t r) const {
        return fmt::format("rank {} ({}), at step {}", r, signs[r].name(), signs[r].step());
    }
    std::string host() const {
        return hosted ? fmt::format("the launcher's store at {}", place)
                      : fmt::format("{}, which holds the store at {}", name_of(0), place);
    }
};

namespace {

std::vector<uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }
std::string text_of(const std::vector<uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

/// One round: says its own sign, reads all others'.
void beat(Watch::State& state, c10d::TCPStore& store, uint64_t count, Clock::time_point& last) {
    std::vector<std::string> keys;
    std::string own;
    std::optional<std::string> verdict;
    {
        const std::lock_guard lock(state.mutex);
        for (size_t r = 0; r < state.signs.size(); ++r)
            keys.push_back(fmt::format("{}/sign/{}", state.prefix, r));
        own = fmt::format("{} {} {}", count, state.step, own_name());
        verdict = std::exchange(state.own_verdict, std::nullopt);
    }
    const auto key = state.prefix + "/verdict";
    store.set(keys[static_cast<size_t>(state.rank)], bytes_of(own));
    if (verdict) store.set(key, bytes_of(*verdict));
    std::vector<std::string> signs;
    for (const auto& k : keys) signs.push_back(store.check({k}) ? text_of(store.get(k)) : "");
    std::optional<std::string> theirs;
    if (store.check({key})) theirs = text_of(store.get(key));

    const std::lock_guard lock(state.mutex);
    const double passed = since(last);
    for (size_t r = 0; r < signs.size(); ++r) {
        auto& sign = state.signs[r];
        sign.silent = signs[r] == sign.text ? sign.silent + passed : 0;
        sign.text = signs[r];
    }
    if (theirs && !state.verdict) state.verdict = theirs;
    ++state.rounds;
}

void watch(const std::shared_ptr<Watch::State>& state,
           const c10::intrusive_ptr<c10d::TCPStore>& store) {
    auto last = Clock::now();
    for (uint64_t count = 0;; ++count) {
        try {
            beat(*state, *store, count, last);
        } catch (...) {
            const std::lock_guard lock(state->mutex);
            state->store_problem = message_of(std::current_exception());
        }
        std::unique_lock lock(state->mutex);
        if (!state->own_verdict && !state->stop && state->store_problem.empty())
            state->woken.wait_for(lock, kBeat,
                                  [&] { return state->stop || state->own_verdict.has_value(); });
        if (state->store_problem.empty() && (!state->stop || state->own_verdict)) continue;
        state->ended = true;
        state->woken.notify_all();
        return;
    }
}

}  // namespace

Watch::Watch(const RankEnvironment& environment, double timeout)
    : state_(std::make_shared<State>()) {
    c10d::TCPStoreOptions options;
    options.port = environment.port;
    options.waitWorkers = false;
    options.timeout = std::chrono::milliseconds(static_cast<int64_t>(1e3 * timeout));
    const auto store = c10::make_intrusive<c10d::TCPStore>(environment.address, options);
    state_->prefix = store_prefix(environment);
    state_->place = fmt::format("{}:{}", environment.address, environment.port);
    state_->rank = environment.rank;
    state_->hosted = environment.hosted;
    state_->signs.resize(static_cast<size_t>(environment.size));
    std::thread(watch, state_, store).detach();
}

Watch::~Watch() {
    std::unique_lock lock(state_->mutex);
    state_->stop = true;
    state_->woken.notify_all();
    state_->woken.wait_for(lock, std::chrono::seconds(2), [&] { return state_->ended; });
}

void Watch::at_step(int64_t step) {
    const std::lock_guard lock(state_->mutex);
    state_->step = step;
}

std::optional<std::string> Watch::silent(double seconds) const {
    const std::lock_guard lock(state_->mutex);
    auto& s = *state_;
    const double passed = since(s.asked);
    s.stuck = s.rounds == s.rounds_seen ? s.stuck + passed : 0;
    s.rounds_seen = s.rounds;
    if (!s.store_problem.empty())
        return fmt::format("{}: the connection broke: {}", s.host(), s.store_problem);
    if (s.stuck > seconds) return fmt::format("{}: no answer for {:.0f} s", s.host(), s.stuck);
    std::string text;
    for (size_t r = 0; r < s.signs.size(); ++r) {
        if (static_cast<int64_t>(r) == s.rank || s.signs[r].silent <= seconds) continue;
        text += fmt::format("{}{}: no sign of life for {:.0f} s", text.empty() ? "" : "; ",
                            s.name_of(r), s.signs[r].silent);
    }
    return text.empty() ? std::nullopt : std::optional(text);
}

std::string Watch::behind() const {
    const std::lock_guard lock(state_->mutex);
    const auto& signs = state_->signs;
    int64_t lowest = INT64_MAX, highest = -1;
    for (const auto& sign : signs) {
        lowest = std::min(lowest, sign.step());
        highest = std::max(highest, sign.step());
    }
    std::string text;
    for (size_t r = 0; r < signs.size(); ++r)
        if (static_cast<int64_t>(r) != state_->rank &&
            (lowest == highest || signs[r].step() == lowest))
            text += (text.empty() ? "" : "; ") + state_->name_of(r);
    return text;
}

std::optional<std::string> Watch::verdict() const {
    const std::lock_guard lock(state_->mutex);
    return state_->verdict;
}

void Watch::give_up(const std::string& why) {
    const std::lock_guard lock(state_->mutex);
    state_->own_verdict = why;
    state_->woken.notify_all();
}

std::string store_prefix(const RankEnvironment& environment) {
    return "fmgs/" + environment.restart;
}

}  // namespace fmgs

#endif
