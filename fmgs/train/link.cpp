#include <fmgs/train/link.h>

#include <fmgs/core/check.h>
#include <fmgs/train/ranks.h>
#include <fmgs/train/watch.h>
#include <fmt/format.h>

#if defined(FMGS_GLOO)
#define USE_C10D_GLOO
#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <mutex>
#include <thread>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#endif

namespace fmgs {

#if defined(FMGS_GLOO)

namespace {

using Clock = std::chrono::steady_clock;
using Tensors = std::vector<torch::Tensor>;

std::chrono::milliseconds milliseconds(double seconds) {
    return std::chrono::milliseconds(static_cast<int64_t>(1e3 * seconds));
}

/// The address under which this machine reaches the meeting place: the others reach it there.
std::string own_address(const RankEnvironment& environment) {
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_DGRAM;
    const auto port = std::to_string(environment.port);
    if (::getaddrinfo(environment.address.c_str(), port.c_str(), &hints, &found) != 0)
        throw Error(fmt::format("MASTER_ADDR: there is no host '{}'", environment.address));
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
    for (const auto* at = found; at; at = at->ai_next) {
        // A datagram socket: nothing is sent.
        const int socket = ::socket(at->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (socket < 0) continue;
        sockaddr_storage own{};
        socklen_t size = sizeof own;
        char text[NI_MAXHOST] = {};
        const bool ok = ::connect(socket, at->ai_addr, at->ai_addrlen) == 0 &&
                        ::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &size) == 0 &&
                        ::getnameinfo(reinterpret_cast<sockaddr*>(&own), size, text, sizeof text,
                                      nullptr, 0, NI_NUMERICHOST) == 0;
        ::close(socket);
        if (ok) return text;
    }
    throw Error(fmt::format("MASTER_ADDR: '{}' cannot be reached", environment.address));
}

/// Whether this rank holds the store.
bool serves(const RankEnvironment& environment) {
    return environment.rank == 0 && !environment.hosted;
}

/// The connection to the store, within `timeout` seconds. c10d alone takes up to three times as
/// long, and for ever where somebody else listens who does not answer: it tries on a thread of its
/// own.
c10::intrusive_ptr<c10d::TCPStore> open_store(const RankEnvironment& environment, double timeout) {
    c10d::TCPStoreOptions options;
    options.port = environment.port;
    options.isServer = serves(environment);
    options.waitWorkers = false;
    options.timeout = milliseconds(timeout + 5);  // later than this rank, which says more
    std::packaged_task<c10::intrusive_ptr<c10d::TCPStore>()> open(
        [options, address = environment.address] {
            return c10::make_intrusive<c10d::TCPStore>(address, options);
        });
    auto opened = open.get_future();
    std::thread(std::move(open)).detach();
    if (opened.wait_for(milliseconds(timeout)) != std::future_status::ready) {
        (void)own_address(environment);  // throws if there is no such host
        throw Error(fmt::format("nobody answered within {:.0f} s", timeout));
    }
    const auto store = opened.get();
    store->setTimeout(milliseconds(timeout));
    return store;
}

/// The store at which the ranks meet, once all are there.
c10::intrusive_ptr<c10d::TCPStore> meet(const RankEnvironment& environment, double timeout) {
    const auto place = fmt::format("{}:{}", environment.address, environment.port);
    c10::intrusive_ptr<c10d::TCPStore> store;
    try {
        store = open_store(environment, timeout);
    } catch (...) {
        throw Error(fmt::format("rank {}: {} at {}, MASTER_ADDR:MASTER_PORT ({})", environment.rank,
                                serves(environment) ? "cannot listen" : "rank 0 was not found",
                                place, message_of(std::current_exception())));
    }
    const auto here = [&](int64_t rank) {
        return fmt::format("{}/here/{}", store_prefix(environment), rank);
    };
    if (store->add(here(environment.rank), 1) != 1)
        throw Error(fmt::format(
            "rank {}: another process has this rank at {}; does another run meet there? Give this "
            "one another MASTER_PORT",
            environment.rank, place));
    const auto end = Clock::now() + milliseconds(timeout);
    for (;;) {
        std::string missing;
        for (int64_t r = 0; r < environment.size; ++r)
            if (!store->check({here(r)}))
                missing += (missing.empty() ? "" : ", ") + std::to_string(r);
        if (missing.empty()) return store;
        if (Clock::now() > end)
            throw Error(
                fmt::format("rank {}: of {} ranks these did not come to {} within {:.0f} s: {}",
                            environment.rank, environment.size, place, timeout, missing));
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

c10::intrusive_ptr<c10d::ProcessGroupGloo> connect(const RankEnvironment& environment,
                                                   const c10::intrusive_ptr<c10d::Store>& store,
                                                   double timeout) {
    const auto options = c10d::ProcessGroupGloo::Options::create(milliseconds(timeout));
    const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
    options->devices.push_back(
        interface ? c10d::ProcessGroupGloo::createDeviceForInterface(interface)
                  : c10d::ProcessGroupGloo::createDeviceForHostname(own_address(environment)));
    auto group = c10::make_intrusive<c10d::ProcessGroupGloo>(
        c10::make_intrusive<c10d::PrefixStore>(store_prefix(environment) + "/gloo", store),
        static_cast<int>(environment.rank), static_cast<int>(environment.size), options);
    // From here on Gloo's own limit is no help: it cannot tell who is late. The watch can.
    group->setTimeout(milliseconds(20 * timeout));
    return group;
}

/// Starts a collective. c10d's flight recorder is one for all groups of a process and takes in a
/// new one without a lock (LibTorch 2.11): ranks that are threads of one process start one by one.
template <class Collective>
c10::intrusive_ptr<c10d::Work> start(Collective collective) {
    static std::mutex mutex;
    const std::lock_guard<std::mutex> lock(mutex);
    return collective();
}

constexpr int64_t kInOrder = 3;  // ranks: twice their numbers each instead of four thirds

class GlooLink : public Link {
  public:
    GlooLink(const RankEnvironment& environment, double timeout)
        : environment_(environment),
          timeout_(timeout),
          store_(meet(environment, timeout)),
          watch_(std::make_unique<Watch>(environment, timeout)),
          group_(connect(environment, store_, timeout)) {}

    ~GlooLink() override {
        if (lost_) return;
        watch_.reset();
        if (environment_.hosted) return;
        // Rank 0 takes the store along when it leaves: the others say that they need it no longer.
        try {
            const auto key = store_prefix(environment_) + "/left";
            if (environment_.rank != 0) (void)store_->add(key, 1);
            const auto end = Clock::now() + std::chrono::seconds(5);
            while (environment_.rank == 0 && store_->add(key, 0) + 1 < environment_.size &&
                   Clock::now() < end)
                std::this_thread::sleep_for(std::chrono::milliseconds(5));
        } catch (...) {  // it is gone
        }
    }
    GlooLink(const GlooLink&) = delete;
    GlooLink& operator=(const GlooLink&) = delete;

    // A few ranks send all to all and add in their order, as one process does: at least the bits of
    // single frames do not depend on how they are spread. Of more, that would be too much to send.
    void sum(const Tensors& tensors) override {
        const bool in_order = environment_.size <= kInOrder;
        Tensors values;
        std::vector<std::vector<Tensors>> parts(tensors.size(), std::vector<Tensors>(1));
        std::vector<c10::intrusive_ptr<c10d::Work>> works;
        for (size_t k = 0; k < tensors.size(); ++k) {
            values.push_back(tensors[k].cpu());
            Tensors mine = {values.back()};
            for (int64_t r = 0; in_order && r < environment_.size; ++r)
                parts[k][0].push_back(torch::empty_like(mine[0]));
            works.push_back(start([&] {
                return in_order ? group_->allgather(parts[k], mine) : group_->allreduce(mine);
            }));
        }
        for (size_t k = 0; k < tensors.size(); ++k) {
            wait(works[k]);
            if (in_order) values[k] = parts[k][0][0];
            for (int64_t r = 1; in_order && r < environment_.size; ++r)
                values[k] += parts[k][0][static_cast<size_t>(r)];
            if (in_order || !tensors[k].is_cpu()) tensors[k].copy_(values[k]);
        }
    }

    void take_from_first(const torch::Tensor& tensor) override {
        auto values = Tensors{tensor};
        wait(start([&] { return group_->broadcast(values); }));
    }

    Tensors gather(const torch::Tensor& tensor) override {
        auto mine = Tensors{tensor};
        std::vector<Tensors> all(1);
        for (int64_t r = 0; r < environment_.size; ++r) all[0].push_back(torch::empty_like(tensor));
        wait(start([&] { return group_->allgather(all, mine); }));
        return all[0];
    }

    void at_step(int64_t step) override { watch_->at_step(step); }
    std::string name() const override { return "Gloo"; }

  private:
    void wait(const c10::intrusive_ptr<c10d::Work>& work) {
        constexpr auto kLook = std::chrono::milliseconds(200);
        constexpr double kSoon = 3, kGiveUp = 15;  // seconds, once a connection broke
        double waited = 0, waited_broken = 0;
        std::string broken;
        for (auto last = Clock::now();;) {
            try {
                if (broken.empty() && work->wait(kLook)) return;
            } catch (...) {
                if (work->isCompleted() && !work->isSuccess())
                    broken = message_of(std::current_exception());
            }
            if (!broken.empty()) std::this_thread::sleep_for(kLook);
            const auto now = Clock::now();
            // A process that was stopped did not wait.
            const double passed = std::min(
                1.0, std::chrono::duration<double>(now - std::exchange(last, now)).count());
            waited += passed;
            if (!broken.empty()) waited_broken += passed;
            const auto verdict = watch_->verdict();
            if (verdict) lose(*verdict);
            const auto silent =
                watch_->silent(broken.empty() ? timeout_ : std::min(kSoon, timeout_));
            if (silent) lose(*silent);
            if (waited_broken > kGiveUp)
                lose(fmt::format("a connection broke though all ranks live: {}", broken));
            if (waited > 10 * timeout_)
                lose(fmt::format("{}: lives, but did not come for {:.0f} s (10 × train.timeout)",
                                 watch_->behind(), waited));
        }
    }

    [[noreturn]] void lose(const std::string& who) {
        watch_->give_up(who);
        // The others read it in the store, which rank 0 takes along.
        std::this_thread::sleep_for(std::chrono::milliseconds(serves(environment_) ? 2500 : 1000));
        // Threads of Gloo may be inside a call that has no end: the process leaves without them.
        lost_ = true;
        (void)group_.release();
        (void)store_.release();
        throw LostRankError("lost " + who);
    }

    RankEnvironment environment_;
    double timeout_;
    bool lost_ = false;
    c10::intrusive_ptr<c10d::TCPStore> store_;
    std::unique_ptr<Watch> watch_;
    c10::intrusive_ptr<c10d::ProcessGroupGloo> group_;
};

}  // namespace

std::unique_ptr<Link> open_link(const RankEnvironment& environment, double timeout) {
    return std::make_unique<GlooLink>(environment, timeout);
}

#else

std::unique_ptr<Link> open_link(const RankEnvironment& environment, double) {
    throw Error(
        fmt::format("{} ranks were asked for, but this build has no Gloo: install libgloo-dev "
                    "(scripts/setup.sh "
                    "does) and configure again, or start one process",
                    environment.size));
}

#endif

}  // namespace fmgs
