// Poses read off pictures: the backbones, the bounded correction and the source of poses.
#include <fmgs/core/random.h>
#include <fmgs/core/rotation.h>
#include <fmgs/fields/encoded_poses.h>
#include <torch/nn/functional/normalization.h>
#include <torch/optim/adam.h>

#include <fstream>

#include "support/gradcheck.h"
#include "support/module.h"
#include "support/stand_in_network.h"
#include "support/test.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

constexpr int64_t kJoints = 4;

torch::Tensor draw(std::vector<int64_t> shape, uint64_t seed = 1) {
    return torch::randn(shape, Random{seed}.generator("draw"), torch::kFloat);
}
torch::Tensor pictures(int64_t count, uint64_t seed = 1) {
    return torch::rand({count, 3, 32, 32}, Random{seed}.generator("pictures"), torch::kFloat);
}
BodyPose pose(uint64_t seed = 1) {
    return {exp_map(0.7 * draw({kJoints, 3}, seed)), draw({3}, seed + 10)};
}
torch::Tensor limits() { return torch::tensor({0.3, 0.2, 0.1, 0.4, 0.05}, torch::kFloat); }

PoseCorrection correction(uint64_t seed = 0) {
    return PoseCorrection(std::make_shared<ConvBackboneImpl>(4, seed), limits());
}

/// One whose head answers something.
PoseCorrection awake(double size, uint64_t seed = 3) {
    auto out = correction(seed);
    const torch::NoGradGuard guard;
    for (auto& p : out->named_parameters(false))
        p.value().copy_(size * torch::randn(p.value().sizes(), Random{seed}.generator(p.key())));
    return out;
}

}  // namespace

TEST_CASE("a correction is born as none: the pose keeps its bits", "[pose_correction]") {
    auto born = correction();
    const auto given = pose();
    for (const uint64_t seed : {1, 2, 3}) {
        const auto now = born->corrected(pictures(1, seed)[0], given);
        REQUIRE(torch::equal(now.rotations, given.rotations));
        REQUIRE(torch::equal(now.translation, given.translation));
    }
}

TEST_CASE("no correction is longer than its limit, whatever the weights", "[pose_correction]") {
    for (const double size : {0.1, 1.0, 100.0}) {
        auto wild = awake(size);
        const auto change = wild->forward(pictures(5)).detach();
        const auto share = change.norm(2, 2) / limits();
        REQUIRE(share.max().item<double>() <= 1 + 1e-6);
        REQUIRE(share.min().item<double>() > 0);
        if (size == 100) REQUIRE(share.min().item<double>() > 0.99);
        // They are turns of the joints in their own frames, and a move.
        const auto given = pose(), now = wild->corrected(pictures(5)[2], given);
        const auto turned = torch::matmul(given.rotations.transpose(1, 2), now.rotations.detach());
        REQUIRE_CLOSE(log_map(turned), change[2].slice(0, 0, kJoints), 1e-5);
        REQUIRE_CLOSE(now.translation - given.translation, change[2][kJoints], 1e-6);
    }
}

TEST_CASE("each picture is read by itself, and always the same", "[pose_correction]") {
    auto encoder = awake(1);
    const auto all = pictures(4), together = encoder->forward(all);
    for (int64_t k = 0; k < 4; ++k)
        REQUIRE_CLOSE(encoder->forward(all.slice(0, k, k + 1))[0], together[k], 1e-6);
    REQUIRE(distance(together[0], together[1]) > 1e-4);
    encoder->eval();
    REQUIRE(torch::equal(encoder->forward(all), together));
    REQUIRE(torch::equal(encoder->forward(all), encoder->forward(all)));
    const auto copy = std::dynamic_pointer_cast<PoseCorrectionImpl>(encoder->clone());
    REQUIRE(torch::equal(copy->forward(all), together));
    REQUIRE_FALSE(copy->parameters()[0].is_alias_of(encoder->parameters()[0]));
    // Where something is in the picture counts.
    auto corner = torch::zeros({2, 3, 32, 32});
    corner.index({0, torch::indexing::Slice(), torch::indexing::Slice(0, 8)}).fill_(1);
    corner.index({1, torch::indexing::Slice(), torch::indexing::Slice(24)}).fill_(1);
    const auto apart = encoder->forward(corner);
    REQUIRE(distance(apart[0], apart[1]) > 1e-3);
}

TEST_CASE("gradients of the correction are right in double, at birth as well",
          "[pose_correction]") {
    for (const double size : {0.0, 0.5}) {
        auto encoder = size > 0 ? awake(size) : correction();
        encoder->to(torch::kDouble);
        const auto picture = pictures(1).to(torch::kDouble)[0];
        const auto given = pose().to(torch::kDouble);
        const auto mix = torch::arange(1, 37, torch::kDouble).view({kJoints, 3, 3});
        const auto value = [&] {
            const auto now = encoder->corrected(picture, given);
            return (now.rotations * mix).sin().sum() + now.translation.square().sum();
        };
        REQUIRE(parameter_gradient_error(*encoder, value) < 1e-5);  // measured 2e-7
    }
}

TEST_CASE("an encoder learns four pictures with their poses by heart", "[pose_correction]") {
    auto encoder = PoseCorrection(std::make_shared<ConvBackboneImpl>(8, 2), limits());
    const auto seen = pictures(4);
    const auto wanted =
        0.6 * limits().view({-1, 1}) *
        torch::nn::functional::normalize(draw({4, kJoints + 1, 3}, 5),
                                         torch::nn::functional::NormalizeFuncOptions().dim(2));
    torch::optim::Adam adam(encoder->parameters(), torch::optim::AdamOptions(3e-3));
    double error = 0;
    for (int64_t step = 0; step < 400; ++step) {
        adam.zero_grad();
        const auto away = encoder->forward(seen) - wanted;
        error = away.detach().norm(2, 2).max().item<double>();
        away.square().sum().backward();
        adam.step();
    }
    REQUIRE(error < 5e-3);  // of turns of 0.06 to 0.24
}

TEST_CASE("a scripted network is read as it is, and only its head learns", "[pose_correction]") {
    const TemporaryFolder folder;
    const auto file = save_network(folder.path / "net.pt", "return x.mean([2, 3])");
    const auto scripted = std::make_shared<ScriptedBackboneImpl>(file, 32);
    REQUIRE(scripted->width() == 3);
    const auto seen = pictures(2);
    REQUIRE_CLOSE(scripted->forward(seen), seen.mean({2, 3}), 1e-6);
    PoseCorrection encoder(scripted, limits());
    REQUIRE(encoder->parameters().size() == 2);
    encoder->forward(seen).square().sum().backward();
    {
        const torch::NoGradGuard guard;
        encoder->named_parameters()["weight"].fill_(0.5);
    }
    encoder->zero_grad();
    encoder->forward(seen).sum().backward();
    REQUIRE(encoder->named_parameters()["weight"].grad().abs().sum().item<double>() > 0);
    const auto copy = std::dynamic_pointer_cast<PoseCorrectionImpl>(encoder->clone());
    REQUIRE(torch::equal(copy->forward(seen), encoder->forward(seen)));
    // Maps are averaged; the same network by its options.
    save_network(folder.path / "maps.pt", "return x[:, :2] * 2.0");
    const ScriptedBackbone maps(folder.path / "maps.pt", 32);
    REQUIRE_CLOSE(maps.ptr()->forward(seen), 2 * seen.slice(1, 0, 2).mean({2, 3}), 1e-6);
    const PoseCorrection by_options(PoseCorrectionOptions{.backbone = file.string(), .size = 32},
                                    kJoints);
    REQUIRE(by_options.ptr()->forward(seen).abs().max().item<double>() == 0);
}

TEST_CASE("networks that do not fit are refused with their file", "[pose_correction]") {
    const TemporaryFolder folder;
    const auto refused = [&](const std::string& body, const std::string& why) {
        const auto file = save_network(folder.path / "net.pt", body);
        return throws_error([&] { ScriptedBackboneImpl(file, 32); }, why) &&
               throws_error([&] { ScriptedBackboneImpl(file, 32); }, "net.pt");
    };
    REQUIRE(refused("return x.mean()", "expected finite features [1,C]"));
    REQUIRE(refused("return x.mean([2, 3]) / 0.0", "expected finite features"));
    REQUIRE(refused("return x.reshape([7, 7])", "the network fails on pictures of 32x32"));
    std::ofstream(folder.path / "text.pt") << "no network";
    REQUIRE(throws_error([&] { ScriptedBackboneImpl(folder.path / "text.pt", 32); },
                         "expected a TorchScript archive"));
    REQUIRE(throws_error([&] { PoseCorrectionImpl(nullptr, limits()); }, "got none"));
    REQUIRE(throws_error([&] { ConvBackboneImpl(0); }, "channels"));
    auto encoder = correction();
    auto bones = pose();
    bones.bones = torch::eye(4).expand({kJoints, 4, 4});
    REQUIRE(throws_error([&] { encoder->corrected(pictures(1)[0], bones); }, "got bones"));
    REQUIRE(throws_error(
        [&] {
            encoder->corrected(pictures(1)[0],
                               {torch::eye(3).repeat({2, 1, 1}), torch::zeros({3})});
        },
        "rotations of the pose to correct"));
}

TEST_CASE("encoded poses are the file's, corrected by each picture, which is asked for once",
          "[pose_correction]") {
    std::vector<BodyPose> file = {pose(1), pose(2), pose(3)};
    const auto seen = pictures(3);
    std::vector<int64_t> asked;
    auto encoder = awake(0.3);
    EncodedPoses poses(
        file,
        [&](int64_t k) {
            asked.push_back(k);
            return seen[k];
        },
        encoder.ptr());
    REQUIRE(poses->size() == 3);
    const auto now = poses->forward(1);
    poses->forward(1);
    REQUIRE(asked == std::vector<int64_t>{1});
    const auto wanted = encoder->corrected(seen[1], file[1]);
    REQUIRE(torch::equal(now.rotations, wanted.rotations));
    REQUIRE(torch::equal(now.translation, wanted.translation));
    REQUIRE(now.rotations.requires_grad());
    const auto rows = poses->rows();
    REQUIRE_FALSE(rows.axis_angle.requires_grad());
    REQUIRE_CLOSE(exp_map(rows.axis_angle[1]), wanted.rotations.detach(), 1e-5);
    REQUIRE(torch::equal(rows.translation[1], wanted.translation.detach()));
    REQUIRE(throws_error([&] { poses->forward(3); }, "expected a row in [0,3), got 3"));
    for (const auto& parameter : grouped_parameters(*poses))
        REQUIRE(parameter.group == "picture_encoder");
    const auto copy = std::dynamic_pointer_cast<EncodedPosesImpl>(poses->clone());
    REQUIRE(torch::equal(copy->forward(2).rotations, poses->forward(2).rotations));
    REQUIRE(throws_error(
        [&] {
            EncodedPosesImpl(
                {}, [](int64_t) { return torch::Tensor(); }, encoder.ptr());
        },
        "expected at least one"));
    REQUIRE(throws_error([&] { EncodedPosesImpl(file, nullptr, encoder.ptr()); }, "got none"));
}
