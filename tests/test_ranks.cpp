// What ranks do together, and whom they name when one is lost. Ranks are threads here;
// tests/test_ranks_program.cpp has processes.
#include <fmgs/run/agree.h>
#include <fmgs/train/batch.h>

#include <atomic>
#include <functional>
#include <set>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "support/ranks.h"
#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;

TEST_CASE("ranks share out the draws of a run without gap or overlap", "[ranks]") {
    const Ranks alone;
    CHECK(Share::of(1, alone).draws(7) == std::vector<int64_t>{7});
    CHECK(Share::of(3, alone).draws(2) == std::vector<int64_t>{6, 7, 8});
    for (const int64_t batch : {3, 4, 5, 7}) {
        std::vector<std::vector<int64_t>> draws(3);
        const auto ends = on_ranks(3, [&](Ranks& ranks) {
            auto& mine = draws[static_cast<size_t>(ranks.rank())];
            const auto share = Share::of(batch, ranks);
            mine = share.draws(10);
            // next() goes through the same draws, step after step.
            auto draw = share.draws(8).front();
            for (const int64_t step : {8, 9})
                for (const int64_t expected : share.draws(step)) {
                    if (draw != expected) throw Error("not in order");
                    draw = share.next(draw);
                }
        });
        for (const auto& end : ends) CHECK(end.empty());
        std::vector<int64_t> all;
        for (const auto& part : draws) {
            CHECK(part.size() >= static_cast<size_t>(batch / 3));
            CHECK(part.size() <= static_cast<size_t>((batch + 2) / 3));
            all.insert(all.end(), part.begin(), part.end());
        }
        REQUIRE(std::ssize(all) == batch);
        for (int64_t k = 0; k < batch; ++k) CHECK(all[static_cast<size_t>(k)] == 10 * batch + k);
    }
    for (const auto& end : on_ranks(3, [](Ranks& ranks) { (void)Share::of(2, ranks); }))
        CHECK(end.find("train.batch: expected at least a frame for each of 3 ranks, got 2") == 0);
}

TEST_CASE("what ranks do together gives all of them the same", "[ranks]") {
    std::atomic<int> right = 0;
    const auto ends = on_ranks(3, [&](Ranks& ranks) {
        const auto mine = static_cast<float>(ranks.rank());
        const auto sum = torch::full({1000}, 1 + mine);
        const auto counts = torch::tensor({ranks.rank(), int64_t{1}});
        ranks.sum({sum, counts});
        right += (sum == 6).all().item<bool>() && counts[0].item<int64_t>() == 3 &&
                 counts[1].item<int64_t>() == 3;
        const auto values = torch::full({2, 3}, mine), nothing = torch::zeros({0});
        const auto flags = torch::tensor({ranks.first(), true});
        ranks.take_from_first({values, nothing, flags});
        right += (values == 0).all().item<bool>() && flags.all().item<bool>();
        const auto texts = ranks.texts(std::string(static_cast<size_t>(ranks.rank()), 'x'));
        right += texts == std::vector<std::string>{"", "x", "xx"};
        right += !ranks.any(false);
        right += ranks.any(ranks.rank() == 2);
        right += ranks.text() == "3 ranks, Gloo";
    });
    for (const auto& end : ends) CHECK(end.empty());
    CHECK(right == 3 * 6);
}

TEST_CASE("what one rank throws all throw, with its name", "[ranks]") {
    // Those who did not fail learn it in whatever they do next.
    const std::function<void(Ranks&)> nexts[] = {
        [](Ranks& ranks) { (void)ranks.any(true); },
        [](Ranks& ranks) { ranks.sum({torch::ones({5})}); },
        [](Ranks& ranks) { (void)ranks.texts("text"); },
        [](Ranks& ranks) { ranks.take_from_first({torch::ones({5})}); }};
    for (const auto& next : nexts) {
        const auto ends = on_ranks(3, [&](Ranks& ranks) {
            const auto agreed = ranks.guarded([&] {
                // Not announced twice.
                ranks.guarded([&] {
                    if (ranks.rank() == 1) throw Error("the map 'mask' is missing");
                });
                next(ranks);
                return 1;
            });
            throw Error("got on: " + std::to_string(agreed));
        });
        for (const auto& end : ends) CHECK(end == "rank 1: the map 'mask' is missing");
    }
    // Of several the first is heard; an empty reason is one.
    const auto ends = on_ranks(3, [](Ranks& ranks) {
        ranks.guarded([&] {
            if (ranks.rank() > 0) throw Error(ranks.rank() == 1 ? "" : "second");
        });
        (void)ranks.any(false);
    });
    for (const auto& end : ends) CHECK(end == "rank 1: ");
    Ranks alone;
    CHECK(throws_error([&] { alone.guarded([] { throw Error("as it was"); }); }, "as it was"));
}

TEST_CASE("no two groups are given one port, though nobody listens there yet", "[ranks]") {
    std::set<uint16_t> ports;
    for (int k = 0; k < 300; ++k) ports.insert(free_port());
    CHECK(ports.size() == 300);
}

TEST_CASE("a rank that does not come is named", "[ranks]") {
    RankEnvironment first;
    first.size = 3;
    first.address = "127.0.0.1";
    first.port = free_port();
    CHECK(throws_error([&] { (void)Ranks::join(first, 1); },
                       "rank 0: of 3 ranks these did not come to 127.0.0.1:" +
                           std::to_string(first.port) + " within 1 s: 1, 2"));
    auto second = first;
    second.rank = 1;
    const auto absent = "rank 1: rank 0 was not found at 127.0.0.1:" + std::to_string(first.port) +
                        ", MASTER_ADDR:MASTER_PORT (nobody answered within 1 s)";
    CHECK(throws_error([&] { (void)Ranks::join(second, 1); }, absent));
    auto nowhere = second;
    nowhere.address = "no-such-host.invalid";
    CHECK(throws_error([&] { (void)Ranks::join(nowhere, 1); },
                       "(MASTER_ADDR: there is no host 'no-such-host.invalid')"));
}

TEST_CASE("somebody else who listens where ranks meet is told from rank 0", "[ranks]") {
    RankEnvironment environment;
    environment.size = 2;
    environment.address = "127.0.0.1";
    environment.port = free_port();
    const int stranger = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(environment.port);
    REQUIRE(::bind(stranger, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(stranger, 8) == 0);
    CHECK(throws_error([&] { (void)Ranks::join(environment, 5); }, "rank 0: cannot listen at "));
    environment.rank = 1;
    const auto start = std::chrono::steady_clock::now();
    CHECK(throws_error([&] { (void)Ranks::join(environment, 1); }, "rank 1: rank 0 was not found"));
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(4));
    ::close(stranger);
}

TEST_CASE("gradients and reports are means over the batch, whoever drew its frames", "[ranks]") {
    constexpr int64_t kBatch = 5;
    // Frame k gives x the gradient k + 1, y only frame 3 does, z none; the loss is 10 k.
    const auto run = [](Ranks& ranks) {
        const auto share = Share::of(kBatch, ranks);
        std::vector<Parameter> parameters;
        for (const auto* name : {"x", "y", "z"})
            parameters.push_back({name, "network", torch::zeros({2, 3}).requires_grad_(true)});
        MeanReport reports;
        for (const int64_t k : share.draws(0)) {
            auto loss = (static_cast<double>(k + 1) * parameters[0].tensor).sum() + 10 * k;
            if (k == 3) loss = loss + 5 * parameters[1].tensor.sum();
            loss.backward();
            Maps rendered{{"color", torch::full({1}, k)}};
            reports.add({loss, {{"term", 0.5, torch::full({}, 2 * k)}}, rendered});
        }
        const auto report = reports.over(ranks, kBatch);
        const auto own = average_gradients(ranks, parameters, kBatch);
        const auto grad = [&](size_t k) { return parameters[k].tensor.grad(); };
        if (report.total.item<float>() != 20 || report.terms[0].value.item<float>() != 4 ||
            report.terms[0].weight != 0.5)
            throw Error("the report is not the mean");
        if (report.rendered.at("color").item<int64_t>() != share.begin)
            throw Error("the picture is not that of the rank's first frame");
        if (!torch::equal(grad(0), torch::full({2, 3}, 3.f)) ||
            !torch::equal(grad(1), torch::full({2, 3}, 1.f)) || grad(2).defined())
            throw Error("the gradients are not the mean");
        const bool had = share.begin <= 3 && 3 < share.end;
        if (own[1].defined() != had || (had && own[1][0][0].item<float>() != 5))
            throw Error("this rank's own sums are not kept");
    };
    for (const int64_t size : {1, 2, 3, 5})
        for (const auto& end : on_ranks(size, run)) CHECK(end == "");
}

TEST_CASE("ranks that do not mean the same run all end", "[ranks]") {
    const auto ends = on_ranks(2, [](Ranks& ranks) {
        check_agreement(ranks,
                        {{"option train.seed", ranks.first() ? "0" : "3"}, {"the capture", "a"}});
    });
    for (const auto& end : ends)
        CHECK(end.find("rank 1: option train.seed is 3, rank 0 has 0") != std::string::npos);
}

TEST_CASE("ranks meet at a store that their launcher holds, also when it restarts them",
          "[ranks]") {
    c10d::TCPStoreOptions options;
    options.port = free_port();
    options.isServer = true;
    options.waitWorkers = false;
    const auto store = c10::make_intrusive<c10d::TCPStore>("127.0.0.1", options);
    for (const auto* restart : {"0", "1"}) {
        std::vector<std::thread> threads;
        std::atomic<int> right = 0;
        for (int64_t rank = 0; rank < 2; ++rank)
            threads.emplace_back([&, rank] {
                RankEnvironment environment;
                environment.rank = rank;
                environment.size = 2;
                environment.address = "127.0.0.1";
                environment.port = options.port;
                environment.hosted = true;
                environment.restart = restart;
                right += Ranks::join(environment, 10)->any(rank == 1);
            });
        for (auto& thread : threads) thread.join();
        CHECK(right == 2);
    }
    // Without telling: a rank that is there already.
    RankEnvironment again;
    again.rank = 1;
    again.size = 2;
    again.address = "127.0.0.1";
    again.port = options.port;
    again.restart = "1";
    CHECK(throws_error([&] { (void)Ranks::join(again, 5); },
                       "rank 1: another process has this rank at 127.0.0.1:"));
}
