#include <fmgs/core/config/config.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/safetensors.h>
#include <fmgs/core/named_tensors.h>
#include <fmgs/run/shots.h>
#include <fmgs/train/checkpoint.h>

#include <cstring>
#include <random>

#include "support/limits.h"
#include "support/tiny_avatar.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

const fs::path kData = fs::path(FMGS_SOURCE_DIR) / "tests/data";
const fs::path kFormat1 = kData / "avatar_format_1.safetensors";
const fs::path kFormat1Maps = kData / "avatar_format_1_maps.safetensors";

/// Both training poses, from the training camera and from its back, as NAME.k.
TensorDict views(const SavedAvatar& saved) {
    TensorDict out;
    int64_t k = 0;
    const auto& scene = saved.scene;
    const auto pivot = scene.pose(0).translation + saved.avatar->parts().body->joints()[0];
    for (const auto& camera : turntable(scene.camera, pivot, scene.up, 2)) {
        const auto maps = draw(saved.avatar, camera, scene.pose(k));
        for (const auto& [name, map] : maps) out.set(name + "." + std::to_string(k), map);
        ++k;
    }
    return out;
}

std::string options_text(const AvatarOptions& options) {
    std::string text = dump_yaml(options);
    for (const auto& [name, modality] : options.modalities) text += name + dump_yaml(modality);
    return text;
}

/// The file with one part of it changed by `edit`, and whether it is refused with these words.
template <class F>
bool refused(const fs::path& folder, F&& edit, const std::string& words) {
    const auto file = folder / "edited.safetensors";
    save(file, tiny_avatar());
    Metadata metadata;
    auto tensors = read_safetensors(file, &metadata);
    edit(tensors, metadata);
    write_safetensors(file, tensors, metadata);
    return throws_error([&] { load_avatar(file); }, words) &&
           throws_error([&] { load_avatar(file); }, file.string());
}

TensorDict without(const TensorDict& tensors, const std::string& name) {
    TensorDict out;
    for (const auto& [key, tensor] : tensors) {
        if (key != name) out.set(key, tensor);
    }
    return out;
}

void replace(std::string& text, const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    REQUIRE(at != std::string::npos);
    text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("an avatar comes back from its file to the bit, without the one that was saved",
          "[avatar_file]") {
    const TemporaryFolder folder;
    const auto file = folder.path / "a.safetensors";
    TensorDict before;
    {
        const auto saved = tiny_avatar();
        save(file, saved);
        before = views(saved);
    }
    const auto loaded = load_avatar(file);
    const auto after = views(loaded);
    REQUIRE(mismatches(after, before).empty());
    for (const auto& [name, map] : before) {
        INFO(name);
        REQUIRE(torch::equal(map, after.at(name)));
    }
    REQUIRE((before.at("alpha.0") > 0.5).sum().item<int64_t>() > 40);

    const auto expected = tiny_avatar();
    const auto& scene = loaded.scene;
    REQUIRE(options_text(loaded.options) == options_text(expected.options));
    REQUIRE(scene.camera.width == 24);
    REQUIRE(scene.camera.height == 20);
    REQUIRE(scene.camera.near == expected.scene.camera.near);
    REQUIRE(scene.camera.low_pass == 0.5);
    REQUIRE(torch::equal(scene.root, expected.scene.root));
    REQUIRE(torch::equal(scene.up, expected.scene.up));
    REQUIRE(scene.frames == expected.scene.frames);
    REQUIRE(scene.labels == expected.scene.labels);
    REQUIRE(torch::equal(scene.axis_angle, expected.scene.axis_angle));
    REQUIRE(throws_error([&] { scene.pose(2); }, "a training frame in [0,2), got 2"));
    // Once more through a file: the same bytes.
    save(folder.path / "b.safetensors", loaded);
    REQUIRE(read_whole(file) == read_whole(folder.path / "b.safetensors"));
}

TEST_CASE("parts that stay out are not missed: no geometry, no modality", "[avatar_file]") {
    const TemporaryFolder folder;
    auto saved = tiny_avatar();
    saved.options.modalities.clear();
    saved.options.surfels.learn_opacity = false;
    auto parts = paper_parts(BodyModel(octahedron(), torch::zeros({0})), saved.options);
    saved.avatar = Avatar(parts);
    save(folder.path / "a", saved);
    const auto loaded = load_avatar(folder.path / "a");
    REQUIRE(loaded.options.modalities.empty());
    REQUIRE(torch::equal(views(saved).at("color.0"), views(loaded).at("color.0")));
}

TEST_CASE("a file of format 1 is read and looks as it did", "[avatar_file]") {
    REQUIRE(fs::file_size(kFormat1) < 100000);
    const auto expected = read_safetensors(kFormat1Maps);
    const auto found = views(load_avatar(kFormat1));
    REQUIRE(mismatches(found, expected).empty());
    // Another instruction set rounds in another order: 1e-6 was seen.
    for (const auto& [name, map] : expected) {
        INFO(name);
        REQUIRE_CLOSE(found.at(name), map, 1e-5);
    }
}

// test_avatar_file "[.write]": what the case above reads. Only for a new format, beside the old.
TEST_CASE("writes the file of format 1", "[.write]") {
    fs::create_directories(kData);
    save(kFormat1, tiny_avatar());
    write_safetensors(kFormat1Maps, views(load_avatar(kFormat1)));
}

TEST_CASE("what is no avatar file is refused with what it is", "[avatar_file]") {
    const TemporaryFolder folder;
    const auto newer = [](TensorDict&, Metadata& m) { m["format"] = "fmgs-avatar 2"; };
    REQUIRE(refused(folder.path, newer,
                    "is of format 2; the newest that this version of the library reads is 1"));
    const auto nameless = [](TensorDict&, Metadata& m) { m.erase("format"); };
    REQUIRE(refused(folder.path, nameless,
                    "expected a safetensors file of format 'fmgs-avatar 1', got one that names no "
                    "format"));
    const auto other = [](TensorDict&, Metadata& m) { m["format"] = "fmgs-avatars 1"; };
    REQUIRE(refused(folder.path, other, "got 'fmgs-avatars 1'"));
    const auto model = save_checkpoint(folder.path, {.step = 1}, {{"a", torch::ones(2)}}, {}) /
                       "model.safetensors";
    REQUIRE(throws_error([&] { load_avatar(model); }, "got 'fmgs-checkpoint 1'"));
    write_whole(folder.path / "picture.png", "\x89PNG and so on");
    REQUIRE(throws_error([&] { load_avatar(folder.path / "picture.png"); }, "picture.png: "));
    REQUIRE(throws_error([&] { load_avatar(folder.path / "none"); }, "none: cannot be read"));
}

TEST_CASE("an avatar file whose parts do not fit each other is refused by name", "[avatar_file]") {
    const TemporaryFolder folder;
    const auto drop = [](const char* name) {
        return [name](TensorDict& t, Metadata&) { t = without(t, name); };
    };
    REQUIRE(refused(folder.path, drop("avatar.skinning.mlp.bias0"), "skinning.mlp.bias0: missing"));
    REQUIRE(refused(folder.path, drop("avatar.body.shaped"), "shaped"));
    REQUIRE(refused(folder.path, drop("scene.up"), "scene.up"));
    const auto put = [](const char* name, const torch::Tensor& value) {
        return [=](TensorDict& t, Metadata&) { t.set(name, value); };
    };
    REQUIRE(refused(folder.path, put("avatar.skinning.extra", torch::zeros(1)),
                    "skinning.extra: not part of this model"));
    REQUIRE(refused(folder.path, put("optimizer", torch::zeros(1)),
                    "the tensor 'optimizer' is no part of an avatar"));
    REQUIRE(refused(folder.path, put("avatar.surfels.log_scale", torch::zeros({32, 3})),
                    "surfels.log_scale: expected Float [32,2], got Float [32,3]"));
    REQUIRE(refused(folder.path, put("avatar.body.parents", torch::tensor({-1, 0, 2})),
                    "kintree_table"));
    REQUIRE(refused(folder.path, put("avatar.body.faces", torch::full({8, 3}, 6, torch::kLong)),
                    "f: expected indices in [0,6), got 6"));
    REQUIRE(refused(folder.path, put("poses.translation", torch::zeros({3, 3})),
                    "poses.translation: expected [2,3], got [3,3]"));
    REQUIRE(refused(folder.path, put("scene.root", torch::full({3}, NAN)),
                    "scene.root: expected finite"));
}

TEST_CASE("options of an avatar file allocate nothing that the file does not hold",
          "[avatar_file]") {
    const TemporaryFolder folder;
    const auto edit = [](const char* key, const char* from, const char* to) {
        return [=](TensorDict&, Metadata& m) { replace(m[key], from, to); };
    };
    REQUIRE(refused(folder.path, edit("options", "subdivisions: 1", "subdivisions: 4"),
                    "options: 4 subdivisions do not make the surfels of the file"));
    REQUIRE(refused(folder.path, edit("options", "log2_hashmap_size: 6", "log2_hashmap_size: 26"),
                    "geometry.volume.table: expected Float"));
    const auto fine = [](TensorDict&, Metadata& m) {
        replace(m["options"], "finest_resolution: 6", "finest_resolution: 60000");
        replace(m["options"], "log2_hashmap_size: 6", "log2_hashmap_size: 26");
    };
    REQUIRE(refused(folder.path, fine, "numbers, but the file holds"));
    REQUIRE(refused(folder.path, edit("options", "hidden: 8", "hidden: 4096"),
                    "numbers, but the file holds"));
    REQUIRE(refused(folder.path, edit("options", "hidden: 8", "hidden: -8"), "from 1 to"));
    REQUIRE(refused(folder.path, edit("options", "levels: 2", "levels: 2000000000"), "levels"));
    REQUIRE(refused(folder.path, edit("options", "hidden: 8", "hiden: 8"), "unknown key"));
    REQUIRE(refused(folder.path, edit("scene", "width: 24", "width: 100000"), "camera: expected"));
    REQUIRE(refused(folder.path, edit("scene", "low_pass: 0.5", "low_pass: 0"), "low_pass"));
    const auto lack = [](TensorDict&, Metadata& m) { m.erase("scene"); };
    REQUIRE(refused(folder.path, lack, "its metadata lack 'scene'"));
}

TEST_CASE("no damaged byte of an avatar file does more than throw", "[avatar_file]") {
    const TemporaryFolder folder;
    const auto file = folder.path / "a";
    save(file, tiny_avatar());
    const auto good = read_whole(file);
    uint64_t header = 0;
    std::memcpy(&header, good.data(), 8);
    std::mt19937 draw(1);
    int thrown = 0;
    for (int k = 0; k < 300; ++k) {
        auto bytes = good;
        bytes[draw() % (8 + header)] = static_cast<char>(k % 2 ? '0' + draw() % 10 : draw());
        if (k % 5 == 0) bytes.resize(draw() % bytes.size());
        write_synced(file, {bytes});
        try {
            load_avatar(file);
        } catch (const Error&) {
            ++thrown;
        }
    }
    REQUIRE(thrown > 150);
}

TEST_CASE("a part that is not the paper's cannot be saved, and the file before stays",
          "[avatar_file]") {
    struct Own : SkinningFieldImpl {
        using SkinningFieldImpl::SkinningFieldImpl;
    };
    const TemporaryFolder folder;
    const auto file = folder.path / "a";
    auto saved = tiny_avatar();
    save(file, saved);
    const auto before = read_whole(file);
    auto parts = saved.avatar->parts();
    parts.skinning = std::make_shared<Own>(saved.options.skinning,
                                           padded_box(parts.body->canonical().vertices), 3);
    saved.avatar = Avatar(parts);
    REQUIRE(throws_error([&] { save(file, saved); }, "the part 'skinning' is not the paper's"));
    saved = tiny_avatar();
    saved.options.subdivisions = -1;  // not what the parts were made with
    REQUIRE(throws_error([&] { save(file, saved); }, "subdivisions do not make the surfels"));
    saved = tiny_avatar();
    saved.scene.frames.pop_back();
    REQUIRE(throws_error([&] { save(file, saved); }, "poses.axis_angle: expected [1,3,3]"));
    REQUIRE(on_small_disk(1000, [&] {
        return throws_error([&] { save(file, tiny_avatar()); }, "cannot write: File too large");
    }));
    REQUIRE(read_whole(file) == before);
}
