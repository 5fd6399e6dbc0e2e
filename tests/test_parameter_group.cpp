#include <fmgs/avatar.h>
#include <fmgs/fields/pose_table.h>
#include <fmgs/losses/loss.h>

#include "support/person.h"
#include "support/test.h"

using namespace fmgs;

namespace {

std::map<std::string, std::string> groups(const torch::nn::Module& module) {
    std::map<std::string, std::string> out;
    for (const auto& parameter : grouped_parameters(module)) out[parameter.name] = parameter.group;
    return out;
}

struct Nameless : torch::nn::Module {
    torch::Tensor weight = register_parameter("volume_of_skinning", torch::zeros({2}));
};

struct Named : torch::nn::Module, ParameterGroups {
    Named() { register_module("inner", inner); }
    std::string parameter_group(const std::string& name) const override {
        return name == "inner.volume_of_skinning" ? "pose" : "";
    }
    std::shared_ptr<Nameless> inner = std::make_shared<Nameless>();
};

struct Learned : Loss {
    torch::Tensor forward(const LossInput&) override { return sharpness.sum(); }
    torch::Tensor sharpness = register_parameter("sharpness", torch::ones({1}));
};

}  // namespace

TEST_CASE("every parameter of an avatar has the group that its module says", "[groups]") {
    auto avatar = test::small_avatar(
        {.levels = 2, .base_resolution = 4, .finest_resolution = 8, .log2_hashmap_size = 6});
    const auto found = groups(*avatar);
    REQUIRE(found.size() == avatar->parameters().size());
    REQUIRE(found.at("surfels.log_scale") == "scale");
    REQUIRE(found.at("surfels.opacity_logit") == "opacity");
    REQUIRE(found.at("geometry.volume.table") == "volume");
    REQUIRE(found.at("geometry.mlp.weight0") == "network");
    REQUIRE(found.at("appearance.volume.table") == "volume");
    REQUIRE(found.at("skinning.volume.table") == "skinning");
    REQUIRE(found.at("skinning.mlp.bias1") == "skinning");
    REQUIRE(found.at("feature_semantic.volume.table") == "feature_volume");
    REQUIRE(found.at("feature_semantic.mlp.weight0") == "network");
    REQUIRE(found.at("encoder.hidden_weight") == "network");
    PoseTable poses(std::vector<BodyPose>{{torch::eye(3).unsqueeze(0), torch::zeros({3})}});
    REQUIRE(groups(*poses).at("root") == "pose_root");
    REQUIRE(groups(*poses).at("joints") == "pose_joints");
    REQUIRE(groups(*poses).at("translation") == "pose_translation");
}

TEST_CASE("a modality of any name has the rates of a modality", "[groups]") {
    const BodyModel body(procedural_body(), torch::zeros({0}));
    AvatarOptions options;
    options.subdivisions = 0;
    options.modalities = {{"volume_of_skinning", {}}};
    for (const auto& [name, group] : groups(*Avatar(paper_parts(body, options)))) {
        INFO(name);
        if (name.starts_with("feature_volume_of_skinning.mlp.")) REQUIRE(group == "network");
        if (name.starts_with("feature_volume_of_skinning.volume."))
            REQUIRE(group == "feature_volume");
    }
}

TEST_CASE("names say nothing; the outermost module that answers is heard", "[groups]") {
    const Nameless silent;
    REQUIRE(test::throws_error([&] { grouped_parameters(silent, "user."); },
                               "parameter 'user.volume_of_skinning' belongs to no group"));
    REQUIRE(groups(Named()).at("inner.volume_of_skinning") == "pose");
    REQUIRE(groups(Learned()).at("sharpness") == "loss");
}
