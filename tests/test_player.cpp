// The page that plays an avatar: the numbers that it holds.
#include <zlib.h>

#include <nlohmann/json.hpp>

#include "support/page.h"
#include "support/performer.h"

using namespace fmgs;
using namespace fmgs::test;
using Json = nlohmann::json;

namespace {

std::string between(const std::string& text, const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    const auto begin = at + from.size();
    return text.substr(begin, text.find(to, begin) - begin);
}

std::string unpacked(const std::string& base64) {
    static const std::string kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string packed;
    uint32_t bits = 0;
    int count = 0;
    for (const char c : base64) {
        if (c == '=') break;
        bits = bits << 6 | static_cast<uint32_t>(kDigits.find(c));
        if ((count += 6) >= 8) packed += static_cast<char>(bits >> (count -= 8) & 255);
    }
    std::string out(1 << 20, '\0');
    uLongf size = out.size();
    REQUIRE(uncompress(reinterpret_cast<Bytef*>(out.data()), &size,
                       reinterpret_cast<const Bytef*>(packed.data()), packed.size()) == Z_OK);
    out.resize(size);
    return out;
}

/// The arrays of a page, as its script reads them.
struct Held {
    Json meta;
    std::string bytes;

    explicit Held(const std::string& html)
        : meta(Json::parse(between(html, "id=\"meta\">", "</script>"))),
          bytes(unpacked(between(html, "id=\"data\">", "</script>"))) {}
    torch::Tensor at(const std::string& name) const {
        const auto& a = meta["arrays"][name];
        const std::string type = a["type"];
        const auto kind = type == "f4"   ? torch::kFloat
                          : type == "u1" ? torch::kByte
                                         : torch::kShort;
        const int64_t rows = a["rows"], columns = a["columns"], offset = a["offset"];
        REQUIRE(offset % 4 == 0);
        auto x = torch::from_blob(const_cast<char*>(bytes.data()) + offset, {rows, columns}, kind)
                     .to(torch::kDouble);
        if (type == "u2") x = torch::where(x < 0, x + 65536, x);
        return a.contains("low") ? row(a["low"]) + x * row(a["step"]) : x;
    }
    torch::Tensor step(const std::string& name) const { return row(meta["arrays"][name]["step"]); }

  private:
    static torch::Tensor row(const Json& numbers) {
        return torch::tensor(numbers.get<std::vector<double>>(), torch::kDouble);
    }
};

}  // namespace

TEST_CASE("a page holds the avatar to half a step, and nothing from outside", "[player]") {
    const int64_t axes = GENERATE(1, 3);
    const auto s = subject(axes);
    const auto html = player_page(s.avatar, s.scene, s.performance, "</title><script src=x>");
    REQUIRE(outside_references(html).empty());
    REQUIRE(html.find("<title>&lt;/title&gt;&lt;script src=x&gt;</title>") != std::string::npos);
    const Held held(html);
    const auto& parts = s.avatar->parts();
    for (const auto& [name, x] : {std::pair{"center", parts.center},
                                  {"mean", parts.mean},
                                  {"opacity", parts.opacity},
                                  {"boneWeight", parts.bone_weight},
                                  {"components", parts.components.permute({1, 0, 2})}}) {
        INFO(name);
        const auto off = (held.at(name) - x.reshape({x.size(0), -1})).abs();
        REQUIRE((off <= 0.501 * held.step(name) + 1e-6).all().item<bool>());
        const auto range = std::get<0>(x.reshape({x.size(0), -1}).max(0)) -
                           std::get<0>(x.reshape({x.size(0), -1}).min(0));
        const bool fine = name == std::string("center") || name == std::string("mean");
        REQUIRE_CLOSE(held.step(name) * (fine ? 65535 : 255), range.to(torch::kDouble), 1e-5);
    }
    REQUIRE(torch::equal(held.at("boneIndex"), parts.bone_index.to(torch::kDouble)));
    REQUIRE(torch::equal(held.at("labels").flatten(), parts.labels.to(torch::kDouble)));
    REQUIRE(held.meta["along"] == (axes == 1));
    REQUIRE(held.meta["classes"][3]["name"] == "Ärmel");
}

TEST_CASE("bones of a page are forward kinematics times what it holds", "[player]") {
    const auto s = subject(1);
    const Held held(player_page(s.avatar, s.scene, s.performance, ""));
    const auto rest = held.at("rest"), first = held.at("canonical").view({3, 3, 4});
    for (int64_t f = 0; f < 3; ++f) {
        const auto local = held.at("rotations").view({3, 3, 3, 3})[f];
        std::vector<torch::Tensor> turn, place;
        for (int64_t j = 0; j < 3; ++j) {
            const int64_t parent = held.meta["parents"][static_cast<size_t>(j)];
            const auto p = static_cast<size_t>(std::max<int64_t>(parent, 0));
            turn.push_back(parent < 0 ? local[j] : torch::matmul(turn[p], local[j]));
            place.push_back(parent < 0 ? rest[j] + held.at("translation")[f]
                                       : place[p] + torch::matmul(turn[p], rest[j] - rest[parent]));
        }
        const auto bones = torch::cat({torch::matmul(torch::stack(turn), first.slice(2, 0, 3)),
                                       torch::matmul(torch::stack(turn), first.slice(2, 3)) +
                                           torch::stack(place).unsqueeze(2)},
                                      2);
        const auto want = s.avatar->body()->bones(s.performance.poses[static_cast<size_t>(f)]);
        REQUIRE_CLOSE(bones, want.slice(1, 0, 3).to(torch::kDouble), 1e-5);
    }
}

TEST_CASE("poses that a page cannot play are refused", "[player]") {
    auto s = subject(1);
    REQUIRE(throws_error([&] { player_page(s.avatar, s.scene, {}, ""); }, "at least one pose"));
    s.performance.poses[1].bones = torch::eye(4).repeat({3, 1, 1});
    REQUIRE(throws_error([&] { player_page(s.avatar, s.scene, s.performance, ""); }, "got bones"));
    s.performance.poses[1] = {torch::eye(3).repeat({4, 1, 1}), torch::zeros({3})};
    REQUIRE(throws_error([&] { player_page(s.avatar, s.scene, s.performance, ""); }, "rotations"));
}
