#include <fmgs/core/io/files.h>
#include <fmgs/train/checkpoint.h>

#include <cmath>
#include <cstring>
#include <random>

#include "support/limits.h"
#include "support/test.h"

using namespace fmgs;
using fmgs::test::on_small_disk;
using fmgs::test::TemporaryFolder;
using fmgs::test::throws_error;
namespace fs = std::filesystem;

namespace {

TensorDict tensors(float value = 1) {
    TensorDict out;
    out.set("volume.table", torch::full({40, 2}, value));
    out.set("mlp.bias", torch::arange(5, torch::kFloat64) * value);
    out.set("order", torch::tensor({3, 1, 2}, torch::kInt64));
    out.set("flags", torch::tensor({true, false, true}));
    out.set("none", torch::empty({0, 4}));
    out.set("scalar", torch::tensor(value));
    return out;
}

std::string file_of(const std::string& header, size_t data) {
    const uint64_t length = header.size();
    std::string out(8, '\0');
    std::memcpy(out.data(), &length, 8);
    return out + header + std::string(data, 'x');
}

bool refused(const std::string& bytes, const std::string& words) {
    return throws_error([&] { parse_safetensors(bytes.data(), bytes.size(), "m.safetensors"); },
                        words);
}

bool same(const TensorDict& a, const TensorDict& b) {
    if (a.size() != b.size()) return false;
    for (const auto& [name, value] : a) {
        if (!b.contains(name) || b.at(name).scalar_type() != value.scalar_type() ||
            !torch::equal(value, b.at(name)))
            return false;
    }
    return true;
}

std::vector<int64_t> steps(const fs::path& folder) {
    std::vector<int64_t> out;
    for (const auto& c : list_checkpoints(folder)) out.push_back(c.state.step);
    return out;
}

}  // namespace

TEST_CASE("tensors of every dtype come back from a safetensors file, in order", "[checkpoint]") {
    TemporaryFolder folder;
    auto in = tensors();
    in.set("é \"quoted\"", torch::tensor({1, 2}, torch::kUInt8));
    in.set("half", torch::tensor({1.5, -2.0}, torch::kFloat16));
    in.set("view", torch::arange(12, torch::kInt32).view({3, 4}).t());
    write_safetensors(folder.path / "a", in);
    const auto out = read_safetensors(folder.path / "a");
    REQUIRE(same(in, out));
    const auto bytes = read_whole(folder.path / "a");
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    REQUIRE(length % 8 == 0);
    REQUIRE(bytes.substr(8, 15) == "{\"volume.table\"");
}

TEST_CASE("a tensor whose name is not UTF-8 is refused", "[checkpoint]") {
    TemporaryFolder folder;
    REQUIRE(throws_error(
        [&] {
            write_safetensors(folder.path / "a", {{"\xff bias", torch::zeros(1)}});
        },
        "a: the name of tensor \"\\ufffd bias\" is not UTF-8"));
    REQUIRE(fs::is_empty(folder.path));
}

TEST_CASE("a safetensors file says what it is, and comes back with it", "[checkpoint]") {
    TemporaryFolder folder;
    const Metadata in = {{"format", "something 12"}, {"é", "two\nlines \"quoted\""}};
    Metadata out = {{"old", "gone"}};
    write_safetensors(folder.path / "a", tensors(), in);
    REQUIRE(same(read_safetensors(folder.path / "a", &out), tensors()));
    REQUIRE(out == in);
    write_safetensors(folder.path / "b", tensors());
    read_safetensors(folder.path / "b", &out);
    REQUIRE(out.empty());
    REQUIRE(throws_error(
        [&] {
            write_safetensors(folder.path / "c", {}, {{"a", "\xff"}});
        },
        "c: the metadata \"\\ufffd\" is not UTF-8"));
    REQUIRE(throws_error(
        [&] {
            write_safetensors(folder.path / "c", {{"__metadata__", torch::zeros(1)}});
        },
        "no tensor can be called __metadata__"));
    REQUIRE(throws_error(
        [&] {
            write_safetensors(folder.path / "c", {}, {{"a", std::string(1 << 20, 'x')}});
        },
        "at most 1048576 are read"));
    check_kind(in, "something", 12, "a");
    REQUIRE(throws_error([&] { check_kind(in, "something", 11, "a"); },
                         "a: is of format 12; the newest that this version of the library reads is "
                         "11"));
    for (const auto* kind : {"some", "something 12", "somethings", ""})
        REQUIRE(throws_error([&] { check_kind(in, kind, 12, "a"); }, "got 'something 12'"));
    for (const auto* format : {"x 0", "x -1"})
        REQUIRE(throws_error([&] { check_kind({{"format", format}}, "x", 12, "a"); }, "of format"));
    for (const auto* format : {"x", "x ", "x 1.5", "x 1 ", "x 99999999999999999999"})
        REQUIRE(throws_error([&] { check_kind({{"format", format}}, "x", 12, "a"); }, "got '"));
}

TEST_CASE("a checkpoint of a newer format is refused, one that names none is read",
          "[checkpoint]") {
    TemporaryFolder folder;
    const auto path = save_checkpoint(folder.path, {.step = 7}, tensors(2), {});
    REQUIRE(read_whole(path / "state.json") ==
            "{\n  \"format\": 1,\n  \"step\": 7,\n  \"crc32\": {\n"
            "    \"model.safetensors\": \"e8b8815b\",\n"
            "    \"optimizer.safetensors\": \"af2c7a7b\"\n  }\n}\n");
    auto model = tensors(0);
    const auto words = "is of format 2; the newest that this version of the library reads is 1";
    write_whole(path / "state.json", "{\"format\": 2, \"step\": 7}");
    REQUIRE(throws_error([&] { load_checkpoint(path, model); }, words));
    write_whole(path / "state.json", "{\"step\": 7}");
    write_safetensors(path / "model.safetensors", tensors(2), {{"format", "fmgs-checkpoint 2"}});
    REQUIRE(throws_error([&] { load_checkpoint(path, model); }, words));
    write_safetensors(path / "model.safetensors", tensors(2), {{"format", "fmgs-avatar 1"}});
    REQUIRE(throws_error([&] { load_checkpoint(path, model); }, "got 'fmgs-avatar 1'"));
    REQUIRE(same(model, tensors(0)));
    write_safetensors(path / "model.safetensors", tensors(2));
    REQUIRE(load_checkpoint(path, model).step == 7);
    REQUIRE(same(model, tensors(2)));
}

TEST_CASE("what losses own is left out where only the model is read", "[checkpoint]") {
    TemporaryFolder folder;
    TensorDict saved = tensors(2), optimizer;
    saved.set("losses.mine.gain", torch::ones(3));
    const auto path = save_checkpoint(folder.path, {.step = 7}, saved, {});
    auto model = tensors(0);
    REQUIRE(throws_error([&] { load_checkpoint(path, model, &optimizer); },
                         "losses.mine.gain: not part of this model"));
    load_checkpoint(path, model);
    REQUIRE(same(model, tensors(2)));
}

TEST_CASE("damaged safetensors files are refused", "[checkpoint]") {
    const std::string good = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
    REQUIRE(
        parse_safetensors(file_of(good, 8).data(), file_of(good, 8).size(), "x").at("a").size(0) ==
        2);
    REQUIRE(refused("", "got 0 bytes"));
    REQUIRE(refused(std::string(8, '\xff'), "does not fit into a file of 8 bytes"));
    REQUIRE(refused(file_of(good, 7), "do not lie in the 7 bytes"));
    REQUIRE(refused(file_of(good, 9), "1 bytes belong to no tensor"));
    REQUIRE(refused(file_of("[]", 0), "not a JSON object"));
    REQUIRE(refused(file_of("{", 0), "not a JSON object"));
    REQUIRE(refused(file_of(R"({"__metadata__":[]})", 0), "is not an object of strings"));
    REQUIRE(
        refused(file_of(R"({"__metadata__":{"a":1}})", 0), "expected strings, got number for 'a'"));
    REQUIRE(refused(file_of(R"({"__metadata__":{"a":{"b":"c"}}})", 0),
                    "expected strings, got object for 'a'"));
    const auto entry = [](const std::string& rest) {
        return R"({"a":{"dtype":"F32",)" + rest + "}}";
    };
    REQUIRE(refused(file_of(entry(R"("shape":[3],"data_offsets":[0,8])"), 8),
                    "shape does not fill its 8 bytes"));
    REQUIRE(refused(file_of(entry(R"("shape":[-2],"data_offsets":[0,8])"), 8),
                    "expected a count, got -2"));
    const std::string deep = std::string(400000, '[') + std::string(400000, ']');
    REQUIRE(refused(file_of(entry(R"("shape":[)" + deep + R"(],"data_offsets":[0,8])"), 8),
                    "expected a count, got array"));
    REQUIRE(refused(file_of(std::string(2000000, ' '), 0), "a header of 2000000 bytes"));
    REQUIRE(refused(file_of(entry(R"("shape":[4611686018427387906],"data_offsets":[0,8])"), 8),
                    "shape does not fill"));
    REQUIRE(refused(file_of(entry(R"("shape":[0,9223372036854775807],"data_offsets":[0,0])"), 0),
                    "shape does not fill"));
    REQUIRE(refused(file_of(entry(R"("shape":[2],"data_offsets":[8,0])"), 8), "do not lie in"));
    REQUIRE(refused(file_of(entry(R"("shape":[2])"), 8), "expected dtype, shape and data_offsets"));
    REQUIRE(refused(file_of(R"({"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}})", 8),
                    "unknown dtype 'F99'"));
    const std::string two =
        R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[)";
    REQUIRE(refused(file_of(two + "2,6]}}", 6), "overlaps another or leaves a hole"));
    REQUIRE(refused(file_of(two + "5,9]}}", 9), "overlaps another or leaves a hole"));
}

TEST_CASE("no damaged byte of a safetensors file does more than throw", "[checkpoint]") {
    TemporaryFolder folder;
    write_safetensors(folder.path / "a", tensors());
    const auto good = read_whole(folder.path / "a");
    std::mt19937 draw(1);
    for (int k = 0; k < 3000; ++k) {
        auto bytes = good;
        for (int n = 0; n < 1 + k % 3; ++n)
            bytes[draw() % 600 % bytes.size()] = static_cast<char>(draw());
        if (k % 5 == 0) bytes.resize(draw() % bytes.size());
        try {
            parse_safetensors(bytes.data(), bytes.size(), "x");
        } catch (const Error&) {
        }
    }
}

TEST_CASE("every mismatch is reported at once and nothing is copied", "[checkpoint]") {
    TensorDict from = tensors(7), into = tensors(1);
    from.set("extra", torch::zeros(3));
    into.set("needed", torch::zeros(3));
    into.set("order", torch::tensor({3, 1}, torch::kInt64));
    into.set("mlp.bias", torch::zeros(5));
    for (const char* words : {"needed: missing", "extra: not part of this model",
                              "order: expected Long [2], got Long [3]",
                              "mlp.bias: expected Float [5], got Double [5]"}) {
        REQUIRE(throws_error([&] { copy_tensors(from, into, "model"); }, words));
    }
    REQUIRE(into.at("volume.table")[0][0].item<float>() == 1);
}

TEST_CASE("a checkpoint comes back bit for bit", "[checkpoint]") {
    TemporaryFolder folder;
    const auto path =
        save_checkpoint(folder.path / "checkpoints", {100, 31.25}, tensors(0.1F), tensors(3));
    auto model = tensors(0), optimizer = tensors(0);
    const auto state = load_checkpoint(path, model, &optimizer);
    REQUIRE(state.step == 100);
    REQUIRE(state.score == 31.25);
    REQUIRE(same(model, tensors(0.1F)));
    REQUIRE(same(optimizer, tensors(3)));
    model.set("other", torch::zeros(1));
    optimizer.set("moment", torch::zeros(1));
    REQUIRE(throws_error([&] { load_checkpoint(path, model, &optimizer); },
                         "other: missing\n  moment: missing"));
    REQUIRE(
        throws_error([&] { load_checkpoint(folder.path / "no", model); }, "no such checkpoint"));
}

TEST_CASE("the last two checkpoints and the best one stay", "[checkpoint]") {
    TemporaryFolder folder;
    const double scores[] = {20, 30, 25, 24, 23};
    for (int k = 0; k < 5; ++k)
        save_checkpoint(folder.path, {int64_t{100} * (k + 1), scores[k]}, tensors(), tensors());
    REQUIRE(steps(folder.path) == std::vector<int64_t>{200, 400, 500});
    save_checkpoint(folder.path, {500, 40}, tensors(8), tensors());  // the same step once more
    REQUIRE(latest_checkpoint(folder.path)->state.score == 40);
    auto model = tensors(0);
    load_checkpoint(latest_checkpoint(folder.path)->folder, model);
    REQUIRE(same(model, tensors(8)));
    TemporaryFolder unscored;
    for (int k = 1; k < 5; ++k) save_checkpoint(unscored.path, {.step = k}, tensors(), tensors());
    REQUIRE(steps(unscored.path) == std::vector<int64_t>{3, 4});
}

TEST_CASE("what an interrupted save left behind is no checkpoint and goes with the next save",
          "[checkpoint]") {
    TemporaryFolder folder;
    fs::create_directory(folder.path / ".unfinished-000900");
    write_whole(folder.path / ".unfinished-000900/state.json", "{\"step\": 900}");
    REQUIRE(!latest_checkpoint(folder.path));
    save_checkpoint(folder.path, {.step = 1}, tensors(), tensors());
    REQUIRE(!fs::exists(folder.path / ".unfinished-000900"));
    REQUIRE(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
}

TEST_CASE("a save that runs out of room is an error and keeps the last checkpoint",
          "[checkpoint]") {
    TemporaryFolder folder;
    save_checkpoint(folder.path, {.step = 1}, tensors(4), tensors());
    REQUIRE(on_small_disk(1000, [&] {
        return throws_error(
            [&] {
                save_checkpoint(folder.path, {.step = 2}, {{"big", torch::zeros(5000)}}, {});
            },
            "earlier ones are untouched");
    }));
    REQUIRE(steps(folder.path) == std::vector<int64_t>{1});
    REQUIRE(std::distance(fs::directory_iterator(folder.path), fs::directory_iterator()) == 1);
    auto model = tensors(0);
    load_checkpoint(folder.path / "000001", model);
    REQUIRE(same(model, tensors(4)));
    write_whole(folder.path / "file", "x");
    REQUIRE(throws_error([&] { save_checkpoint(folder.path / "file", {.step = 2}, {}, {}); },
                         "was not saved"));
}

TEST_CASE("a checkpoint that is saved is not called lost when an earlier one cannot be removed",
          "[checkpoint]") {
    TemporaryFolder folder;
    const auto stuck = folder.path / std::string(255, '0');  // no longer name can be made of it
    fs::create_directory(stuck);
    write_whole(stuck / "state.json", "{\"step\": 0}");
    save_checkpoint(folder.path, {.step = 1}, tensors(), tensors());
    REQUIRE(throws_error([&] { save_checkpoint(folder.path, {.step = 2}, tensors(4), tensors()); },
                         "step 2 was saved, but an earlier one cannot be removed"));
    auto model = tensors(0);
    load_checkpoint(folder.path / "000002", model);
    REQUIRE(same(model, tensors(4)));
}

namespace {

void change_byte(const fs::path& file, size_t place) {
    auto bytes = read_whole(file);
    bytes.at(place) = static_cast<char>(bytes[place] ^ 0x10);
    write_whole(file, bytes);
}

}  // namespace

TEST_CASE("a checkpoint whose bytes changed is refused, with the way back", "[checkpoint]") {
    for (const std::string file : {"model.safetensors", "optimizer.safetensors"}) {
        INFO(file);
        TemporaryFolder folder;
        for (const int64_t step : {7, 20})
            save_checkpoint(folder.path, {.step = step}, tensors(4), tensors(5));
        const auto damaged = folder.path / "000020" / file;
        change_byte(damaged, fs::file_size(damaged) - 1);  // a weight: the file is well formed
        auto model = tensors(0), optimizer = tensors(0);
        REQUIRE(throws_error([&] { load_checkpoint(damaged.parent_path(), model, &optimizer); },
                             damaged.string() +
                                 ": its bytes are not those that were saved; the file "
                                 "is damaged; to go on from step 7, remove " +
                                 damaged.parent_path().string()));
        REQUIRE(same(model, tensors(0)));
        write_whole(damaged, "short");
        REQUIRE(throws_error([&] { load_checkpoint(damaged.parent_path(), model, &optimizer); },
                             "; to go on from step 7, remove "));
        fs::remove_all(damaged.parent_path());
        REQUIRE(load_checkpoint(latest_checkpoint(folder.path)->folder, model, &optimizer).step ==
                7);
    }
}

TEST_CASE("a checkpoint of the first version has no sums and is read", "[checkpoint]") {
    TemporaryFolder folder;
    const auto path = save_checkpoint(folder.path, {.step = 7}, tensors(4), tensors(5));
    write_whole(path / "state.json", "{\"step\": 7}");
    auto model = tensors(0);
    REQUIRE(load_checkpoint(path, model).step == 7);
    REQUIRE(same(model, tensors(4)));
}

TEST_CASE("a damaged state.json stops nothing but the newest checkpoint", "[checkpoint]") {
    for (const char* text : {"", "{", "[]", "{\"step\": -1}", "{\"step\": 18446744073709551615}",
                             "{\"step\": 8}", "{\"step\": \"7\"}"}) {
        INFO(text);
        TemporaryFolder folder;
        for (const int64_t step : {7, 20})
            save_checkpoint(folder.path, {.step = step}, tensors(), tensors());
        write_whole(folder.path / "000007/state.json", text);
        REQUIRE(steps(folder.path) == std::vector<int64_t>{20});
        REQUIRE(latest_checkpoint(folder.path)->state.step == 20);
        save_checkpoint(folder.path, {.step = 30}, tensors(), tensors());
        REQUIRE(fs::exists(folder.path / "000007"));  // nobody asked for its removal

        write_whole(folder.path / "000030/state.json", text);
        REQUIRE(
            throws_error([&] { latest_checkpoint(folder.path); },
                         "; to go on from step 20, remove " + (folder.path / "000030").string()));
    }
}

TEST_CASE("what is not finite is not saved", "[checkpoint]") {
    for (const double bad : {double(NAN), HUGE_VAL}) {
        TemporaryFolder folder;
        save_checkpoint(folder.path, {.step = 1}, tensors(), tensors());
        auto spoiled = tensors();
        spoiled.at("volume.table")[39][1] = bad;
        REQUIRE(throws_error(
            [&] { save_checkpoint(folder.path, {.step = 2}, spoiled, tensors()); },
            "step 2 was not saved (earlier ones are untouched): 'volume.table' is not finite"));
        REQUIRE(throws_error([&] { save_checkpoint(folder.path, {.step = 2}, tensors(), spoiled); },
                             "'volume.table' is not finite"));
        REQUIRE(steps(folder.path) == std::vector<int64_t>{1});
    }
}

TEST_CASE("the poses of an earlier checkpoint, root and joints in one tensor, are read",
          "[checkpoint]") {
    const TemporaryFolder folder;
    const auto angles = torch::arange(24, torch::kFloat).view({2, 4, 3});
    const auto path = save_checkpoint(folder.path, {.step = 3},
                                      {{"poses.axis_angle", angles}, {"a", torch::ones({1})}}, {});
    TensorDict now = {{"poses.root", torch::zeros({2, 3})},
                      {"poses.joints", torch::zeros({2, 3, 3})},
                      {"a", torch::zeros({1})}};
    REQUIRE(load_checkpoint(path, now).step == 3);
    REQUIRE(torch::equal(now.at("poses.root"), angles.select(1, 0)));
    REQUIRE(torch::equal(now.at("poses.joints"), angles.slice(1, 1)));
}
