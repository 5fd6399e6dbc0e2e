// What other programs find in a checkpoint: the tensors of docs/checkpoints.md.
#include <fmgs/core/io/npz.h>
#include <fmgs/train/checkpoint.h>
#include <fmt/format.h>
#include <fnmatch.h>

#include <cctype>
#include <map>
#include <sstream>

#include "support/programs.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

/// A row of the table in docs/checkpoints.md.
struct Documented {
    std::string name, dtype;
    std::vector<std::string> shape;
    bool seen = false;
};

std::vector<std::string> split(const std::string& text, char at) {
    std::vector<std::string> parts;
    std::istringstream in(text);
    for (std::string part; std::getline(in, part, at);) parts.push_back(part);
    return parts;
}

std::vector<Documented> documented_tensors() {
    std::vector<Documented> rows;
    for (const auto& line : split(bytes(fs::path(FMGS_SOURCE_DIR) / "docs/checkpoints.md"), '\n')) {
        if (line.rfind("| `", 0) != 0) continue;
        const auto cells = split(line, '|');  // "", " `name` ", " F32 ", " [N,3] ", …
        rows.push_back({cells[1].substr(2, cells[1].size() - 4), cells[2].substr(1, 3),
                        split(cells[3].substr(2, cells[3].size() - 4), ',')});
    }
    return rows;
}

/// Every tensor fits one row: its dtype, its numbers, and one size for each capital letter.
void check_documented(const TensorDict& tensors, std::vector<Documented>& rows) {
    std::map<std::string, int64_t> sizes;
    for (const auto& [name, tensor] : tensors) {
        INFO(name);
        std::vector<Documented*> fitting;
        for (auto& row : rows) {
            if (fnmatch(row.name.c_str(), name.c_str(), 0) == 0) fitting.push_back(&row);
        }
        REQUIRE(fitting.size() == 1);
        auto& row = *fitting[0];
        row.seen = true;
        CHECK(tensor.scalar_type() == (row.dtype == "I64" ? torch::kInt64 : torch::kFloat32));
        REQUIRE(static_cast<size_t>(tensor.dim()) == row.shape.size());
        for (int64_t k = 0; k < tensor.dim(); ++k) {
            const auto& word = row.shape[static_cast<size_t>(k)];
            if (std::isdigit(word[0])) CHECK(tensor.size(k) == std::stoll(word));
            if (std::isupper(word[0]))
                CHECK(tensor.size(k) == sizes.try_emplace(word, tensor.size(k)).first->second);
        }
    }
}

}  // namespace

TEST_CASE("a checkpoint holds the tensors of docs/checkpoints.md", "[checkpoint]") {
    const TemporaryFolder folder;
    auto rows = documented_tensors();
    const auto data = folder.path / "capture";
    copy_capture(data);
    auto body = read_npz(data / "body.npz");
    const int64_t vertices = body.at("v_template").tensor().size(0);
    body["posedirs"] = npy_array(torch::full({vertices, 3, int64_t{9} * 23}, 1e-3));
    write_npz(data / "body.npz", body);
    for (const auto& arguments :
         {train(folder.path / "plain", "train.steps=1"),
          train(folder.path / "free",
                "train.steps=1 avatar.surfels.free=true avatar.skinning.type=table "
                "avatar.skinning.extra_joint=true avatar.pose_projection.components=2 "
                "avatar.blendshapes.shape=true avatar.blendshapes.pose=true "
                "avatar.blendshapes.betas=true avatar.appearance.type=material",
                data)}) {
        const auto done = run(arguments);
        INFO(done.text);
        REQUIRE(done.code == 0);
    }
    for (const auto* name : {"plain", "free"}) {
        const auto checkpoint = folder.path / name / "checkpoints/000001";
        const auto tensors = read_safetensors(checkpoint / "model.safetensors");
        check_documented(tensors, rows);
        const auto moments = read_safetensors(checkpoint / "optimizer.safetensors");
        REQUIRE(!moments.empty());
        for (const auto& [moment, value] : moments) {
            INFO(moment);
            const auto dot = moment.rfind('.');
            const auto kind = moment.substr(dot + 1);
            const auto& parameter = tensors.at(moment.substr(0, dot));
            if (kind == "steps") {
                CHECK(value.scalar_type() == torch::kInt64);
                CHECK(value.sizes() == torch::IntArrayRef{1});
            } else {
                CHECK((kind == "first" || kind == "second"));
                CHECK(value.scalar_type() == parameter.scalar_type());
                CHECK(value.sizes() == parameter.sizes());
            }
        }
    }
    for (const auto& row : rows) {
        INFO(row.name);
        CHECK(row.seen);
    }
}

// A ctest entry of its own, python_safetensors, so that it can be reported as skipped.
TEST_CASE("Python's safetensors reads a checkpoint as the library does", "[.python]") {
    const TemporaryFolder folder;
    REQUIRE(run(train(folder.path / "run", "train.steps=1")).code == 0);
    std::string command = "python3 " FMGS_SOURCE_DIR "/tests/support/same_tensors.py";
    for (const auto* name : {"model", "optimizer"}) {
        const auto file =
            folder.path / "run/checkpoints/000001" / (std::string(name) + ".safetensors");
        NpzFile arrays;
        for (const auto& [key, tensor] : read_safetensors(file)) arrays[key] = npy_array(tensor);
        write_npz(folder.path / name, arrays);
        command += fmt::format(" {} {}", file.string(), (folder.path / name).string());
    }
    const auto compared = shell(command);
    fmt::print("{}{}", compared.code == 77 ? "skipped: " : "", compared.text);
    REQUIRE((compared.code == 0 || compared.code == 77));
}
