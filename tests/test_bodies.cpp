// Bodies in every layout that people have them in: one body, one result.
#include <fmgs/core/io/body_file.h>
#include <fmgs/core/io/files.h>

#include <map>
#include <set>

#include "support/pickles.h"
#include "support/test.h"

using namespace fmgs;
using test::pickled;
using test::pickles;

namespace {

namespace fs = std::filesystem;

bool same(const torch::Tensor& a, const torch::Tensor& b) {
    return a.defined() == b.defined() && (!a.defined() || torch::equal(a, b));
}

/// What differs first; empty where nothing does.
std::string difference(const BodyData& a, const BodyData& b) {
    if (!same(a.vertices, b.vertices)) return "vertices";
    if (!same(a.faces, b.faces)) return "faces";
    if (!same(a.weights, b.weights)) return "weights";
    if (!same(a.joint_regressor, b.joint_regressor)) return "joint_regressor";
    if (!same(a.parents, b.parents)) return "parents";
    if (!same(a.shape_directions, b.shape_directions)) return "shape_directions";
    if (!same(a.expression_directions, b.expression_directions)) return "expression_directions";
    if (!same(a.rest_rotations, b.rest_rotations)) return "rest_rotations";
    return same(a.pose_directions, b.pose_directions) ? "" : "pose_directions";
}

/// body.npz with other arrays.
fs::path changed(const fs::path& folder, const std::map<std::string, torch::Tensor>& arrays,
                 const std::set<std::string>& without = {}) {
    auto file = read_npz(pickles() / "body.npz");
    for (const auto& [key, value] : arrays) file[key] = npy_array(value);
    for (const auto& key : without) file.erase(key);
    write_npz(folder / "changed.npz", file);
    return folder / "changed.npz";
}

void put(const fs::path& file, const std::string& text) { write_whole(file, text); }

}  // namespace

TEST_CASE("SMPL pickles of every protocol, chumpy or not, give the body of the .npz", "[bodies]") {
    const auto body = read_body(pickles() / "body.npz");
    CHECK(body.shape_directions.size(2) == 3);
    CHECK(body.pose_directions.size(2) == 27);
    for (const char* name : {"body_0.pkl", "body_2.pkl", "body_4.pkl", "body_5.pkl", "body_csc.npz",
                             "body_names.npz"}) {
        INFO(name);
        CHECK(difference(read_body(pickles() / name), body) == "");
    }
}

TEST_CASE("trap 1: a root of 4294967295 and unsigned faces become -1 and int64", "[bodies]") {
    REQUIRE(pickled("body_2.pkl")["kintree_table"].array().dtype == "u4");
    REQUIRE(pickled("body_2.pkl")["f"].array().dtype == "u4");
    const auto body = read_body(pickles() / "body_2.pkl");
    CHECK(torch::equal(body.parents, torch::tensor({-1L, 0L, 1L, 2L})));
    CHECK(body.faces.scalar_type() == torch::kLong);
}

TEST_CASE("trap 2: chumpy's Ch and Select are read; any other class only when asked for",
          "[bodies]") {
    const auto body = read_body(pickles() / "body.npz");
    for (const char* name : {"body_chumpy.pkl", "body_chumpy_python2.pkl"}) {
        INFO(name);
        CHECK(difference(read_body(pickles() / name), body) == "");
        CHECK(test::throws_error([&] { pickled(name)["J"].tensor(); }, "chumpy.linalg.MatVecMult"));
    }
    CHECK(test::throws_error([] { read_body(pickles() / "body_expression.pkl"); },
                             "numpy.array(entry)"));
}

TEST_CASE("trap 6: objects in an .npz that no body needs are not looked into", "[bodies]") {
    CHECK_NOTHROW(read_body(pickles() / "body_names.npz"));
    CHECK(test::throws_error([] { pickled("body_names.npz")["part2num"].is_dict(); },
                             "body_names.npz: 'part2num': a pickle that needs torch.Size"));
    CHECK(pickled("body_names.npz")["joint2num"]["Pelvis"].integer() == 0);
}

TEST_CASE("3DGS-Avatar's folder gives the body that is named", "[bodies]") {
    const auto body = read_body(pickles() / "body.npz");
    for (const auto& [name, scale] : {std::pair{"male", 1}, {"female", 2}, {"neutral", 3}}) {
        auto one = read_body(pickles() / "misc" / name);
        REQUIRE_CLOSE(one.vertices, scale * body.vertices, 0);
        one.vertices = body.vertices;
        CHECK(difference(one, body) == "");
    }
    CHECK(test::throws_error([] { read_body(pickles() / "misc"); }, "misc/female"));
    CHECK(test::throws_error([] { read_body(pickles() / "misc/child"); },
                             "there is no body 'child'; there are: female, male, neutral"));
}

TEST_CASE("expressions of SMPL-X and FLAME are kept beside the shape", "[bodies]") {
    CHECK(shape_count(55, 400) == 300);
    CHECK(shape_count(55, 20) == 10);
    CHECK(shape_count(5, 400) == 300);
    CHECK(shape_count(24, 300) == 300);
    CHECK(shape_count(24, 20) == 20);
    // FLAME's joints and directions on a small mesh.
    const test::TemporaryFolder folder;
    const auto weights =
        torch::eye(5).index_select(0, torch::tensor({0L, 1L, 2L, 3L, 4L, 0L, 1L, 2L}));
    const auto shapes = torch::arange(8 * 3 * 400, torch::kFloat).view({8, 3, 400});
    const auto file =
        changed(folder.path,
                {{"weights", weights},
                 {"J_regressor", torch::ones({5, 8}) / 8},
                 {"shapedirs", shapes},
                 {"kintree_table", torch::tensor({{-1L, 0L, 1L, 1L, 1L}, {0L, 1L, 2L, 3L, 4L}})}},
                {"posedirs"});
    const auto body = read_body(file);
    CHECK(torch::equal(body.shape_directions, shapes.slice(2, 0, 300)));
    CHECK(torch::equal(body.expression_directions, shapes.slice(2, 300)));
    CHECK(describe_body(file, body).ends_with("300 betas, 100 expressions that nothing uses"));
    // Nothing uses them, and they are there again after a round trip.
    const auto betas = torch::tensor({1.F, -2.F});
    auto without = body;
    without.expression_directions = torch::Tensor();
    CHECK(torch::equal(BodyModel(body, betas)->shaped(), BodyModel(without, betas)->shaped()));
    write_body(folder.path / "again.npz", body);
    CHECK(difference(read_body(folder.path / "again.npz"), body) == "");
    auto few = body;
    few.expression_directions = shapes.slice(2, 300, 310);
    CHECK(test::throws_error([&] { write_body(folder.path / "few.npz", few); },
                             "300 shape directions and 10 expressions cannot be told apart"));
}

TEST_CASE("a rig keeps its joints where its file says, and its bones move it", "[bodies]") {
    const auto joints = torch::arange(12, torch::kFloat).view({4, 3}) / 4;
    const auto rig = read_body(pickles() / "rig.npz");
    const BodyModel model(rig, torch::zeros({0}));
    REQUIRE_CLOSE(model->joints(), joints, 1e-5);  // measured 2e-6
    BodyPose pose;
    pose.bones = torch::eye(4).repeat({4, 1, 1});
    pose.bones.select(1, 0).select(1, 3).fill_(0.5);
    REQUIRE_CLOSE(model->posed(pose), rig.vertices + torch::tensor({0.5F, 0.F, 0.F}), 1e-6);

    // The same with rest bones, as .ply and as .obj.
    const test::TemporaryFolder folder;
    auto bones = torch::eye(4).repeat({4, 1, 1});
    bones.slice(1, 0, 3).select(2, 3).copy_(joints);
    write_npz(folder.path / "one.npz", {{"weights", npy_array(rig.weights)},
                                        {"parents", npy_array(rig.parents)},
                                        {"rest_bones", npy_array(bones)}});
    write_obj(folder.path / "one.obj", {rig.vertices, rig.faces});
    std::string ply =
        "ply\nformat ascii 1.0\nelement vertex 8\nproperty float x\nproperty float y\n"
        "property float z\nelement face 6\nproperty list uchar int vertex_indices\n"
        "end_header\n";
    for (int64_t i = 0; i < 8; ++i)
        for (int64_t k = 0; k < 3; ++k)
            ply += std::to_string(rig.vertices[i][k].item<double>()) + (k == 2 ? "\n" : " ");
    for (int64_t i = 0; i < 6; ++i)
        ply += "3 " + std::to_string(i) + " " + std::to_string(i + 1) + " " +
               std::to_string(i + 2) + "\n";
    put(folder.path / "one.ply", ply);
    for (const char* name : {"one.obj", "one.ply"}) {
        INFO(name);
        CHECK(difference(read_body(folder.path / name), rig) == "");
    }
    put(folder.path / "two.ply", ply);
    CHECK(test::throws_error([&] { read_body(folder.path / "two.ply"); },
                             "a mesh alone is no body; put its rig beside it"));
    put(folder.path / "one.ply", ply.substr(0, ply.size() - 20));
    CHECK(test::throws_error([&] { read_body(folder.path / "one.ply"); }, "one.ply: cut off"));
}

TEST_CASE("a PLY file of either byte order is the same mesh", "[bodies]") {
    const test::TemporaryFolder folder;
    const auto binary = [](bool big) {
        std::string out =
            "ply\r\nformat binary_" + std::string(big ? "big" : "little") +
            "_endian 1.0\r\ncomment of another program\r\nelement vertex 4\r\n"
            "property double x\r\nproperty float y\r\nproperty short z\r\nproperty uchar red\r\n"
            "element edge 1\r\nproperty int a\r\nelement face 1\r\n"
            "property list uchar uint vertex_index\r\nend_header\r\n";
        const auto number = [&](auto x) {
            std::string bytes(reinterpret_cast<const char*>(&x), sizeof(x));
            out += big ? std::string(bytes.rbegin(), bytes.rend()) : bytes;
        };
        for (int i = 0; i < 4; ++i) {
            number(double(i));
            number(float(i * i));
            number(int16_t(-i));
            number(uint8_t(7));
        }
        number(int32_t(3));
        number(uint8_t(4));
        for (uint32_t i = 0; i < 4; ++i) number(i);
        return out;
    };
    for (const bool big : {false, true}) {
        put(folder.path / "a.ply", binary(big));
        const auto mesh = read_ply(folder.path / "a.ply");
        REQUIRE_CLOSE(mesh.vertices[3], torch::tensor({3.F, 9.F, -3.F}), 0);
        CHECK(torch::equal(mesh.faces, torch::tensor({{0L, 1L, 2L}, {0L, 2L, 3L}})));
        const auto whole = binary(big);
        for (size_t size = 0; size < whole.size(); size += 3) {
            put(folder.path / "a.ply", whole.substr(0, size));
            CHECK_THROWS_AS(read_ply(folder.path / "a.ply"), Error);
        }
    }
}

TEST_CASE("a body that is none is refused with what it lacks", "[bodies]") {
    const test::TemporaryFolder folder;
    const auto refused = [](const fs::path& file, const std::string& words) {
        return test::throws_error([&] { read_body(file); }, words) &&
               test::throws_error([&] { read_body(file); }, file.filename().string() + ": ");
    };
    CHECK(refused(pickles() / "body_dual_quaternions.pkl", "bs_style: expected 'lbs', got 'dqs'"));
    CHECK(refused(pickles() / "kinds_4.pkl", "there is no 'v_template' (or 'vertices')"));
    CHECK(refused(pickles() / "shared.pkl",
                  "expected a body (v_template, f, weights, …), got a list"));
    CHECK(refused(changed(folder.path, {{"f", torch::tensor({{0L, 1L, 8L}})}}),
                  "f: expected indices"));
    CHECK(refused(changed(folder.path, {{"kintree_table",
                                         torch::tensor({{-1L, 0L, 9L, 2L}, {0L, 1L, 2L, 3L}})}}),
                  "kintree_table: expected the parent of joint 2"));
    CHECK(refused(changed(folder.path, {}, {"J_regressor"}), "needs 'J_regressor'"));
    CHECK(refused(changed(folder.path, {}, {"J_regressor", "J"}), "'joints' or 'rest_bones'"));
    const auto flat = torch::cat({torch::rand({8, 2}), torch::zeros({8, 1})}, 1);
    CHECK(refused(changed(folder.path, {{"v_template", flat}, {"J", torch::ones({4, 3})}},
                          {"J_regressor", "shapedirs"}),
                  "the mesh is flat"));
    put(folder.path / "a.npz", "version https://git-lfs.github.com/spec/v1\n");
    CHECK(refused(folder.path / "a.npz", "git lfs pull"));
    put(folder.path / "a.pkl", "<!DOCTYPE html><html>");
    CHECK(refused(folder.path / "a.pkl", "a web page"));
    put(folder.path / "a.pkl", "");
    CHECK(refused(folder.path / "a.pkl", "an empty file"));
    fs::copy_file(pickles() / "body.npz", folder.path / "npz.pkl");
    CHECK_NOTHROW(read_body(folder.path / "npz.pkl"));  // what it is counts, not its name
}

TEST_CASE("what logs say of a body tells files of one name apart", "[bodies]") {
    const auto body = read_body(pickles() / "body.npz");
    CHECK(describe_body(pickles() / "body.npz", body) ==
          "body body.npz (0 MB): 8 vertices, 6 faces, 4 joints, 3 betas");
    CHECK(describe_body("a/basicModel_f_lbs_10_207_0_v1.0.0.pkl", body)
              .ends_with(", female by its name"));
    CHECK(describe_body("smplh/male/model.npz", body).ends_with(", male by its name"));
    CHECK(describe_body("SMPL_NEUTRAL.pkl", body).ends_with(", neutral by its name"));
}
