// Files of poses that are damaged, incomplete or of another kind: an Error that names file, key and
// row.
#include <fmgs/data/fits/read_fit.h>
#include <fmgs/data/layouts/fields.h>

#include "support/fits.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

Value text(const std::string& x) { return Value(x); }
Value array(const torch::Tensor& x) { return Value(npy_array(x.contiguous())); }
Value dict(std::vector<std::pair<std::string, Value>> entries) {
    Value::Dict out;
    for (auto& [key, value] : entries) out.emplace_back(text(key), value);
    return Value(std::move(out));
}
Value list(std::vector<Value> items) { return Value(Value::List(std::move(items))); }
torch::Tensor zeros(torch::IntArrayRef shape) { return torch::zeros(shape, torch::kDouble); }
torch::Tensor nan_at(torch::IntArrayRef shape, int64_t row) {
    auto x = zeros(shape);
    x[row].fill_(NAN);
    return x;
}

// What read_pose_file does after the file is open.
bool refused(const Value& value, const std::string& words) {
    return throws_error(
        [&] {
            const auto fit =
                fmgs::detail::read_fit({"FILE", "FILE", value, false, PoseFileOptions{}});
            if (fit.people.empty()) throw Error("FILE: nobody");
        },
        words);
}

/// Saved as .npz, read as users do.
bool refused_file(const NpzFile& arrays, const std::string& words) {
    const TemporaryFolder folder;
    write_npz(folder.path / "m.npz", arrays);
    return throws_error([&] { read_pose_file(folder.path / "m.npz"); }, words);
}

}  // namespace

TEST_CASE("what holds no poses is refused with its keys and what is known", "[fits]") {
    REQUIRE(refused(dict({{"image", array(zeros({4, 4}))}}),
                    "no poses are recognised in it; it holds a dictionary; keys: image; known are "
                    "Meshcapade"));
    REQUIRE(refused(Value(), "FILE: no poses are recognised"));
    REQUIRE(refused(list({}), "no poses are recognised"));
    REQUIRE(refused(array(zeros({7})), "no poses are recognised"));
}

TEST_CASE("other joint counts are refused by number", "[fits]") {
    REQUIRE(refused(array(zeros({5, 51})), "got 51 for 17 joints"));
    REQUIRE(refused(array(zeros({5, 17, 3})), "got 51 for 17 joints"));
    REQUIRE(refused(array(zeros({5, 71})), "expected [frames,3 per joint]"));
    const auto person = dict({{"pose", array(zeros({5, 93}))}, {"trans", array(zeros({5, 3}))}});
    REQUIRE(refused(dict({{"1", person}}), "FILE: person 1: expected 72 numbers a row"));
    REQUIRE(refused(dict({{"bodyPose", array(zeros({5, 31, 3}))}}), "got 93 for 31 joints"));
}

TEST_CASE("NaN is refused with its key and row", "[fits]") {
    REQUIRE(refused(dict({{"poses", array(nan_at({5, 72}, 3))}}),
                    "FILE: poses: row 3 holds NaN or infinity"));
    REQUIRE(refused(dict({{"poses", array(zeros({5, 72}))}, {"trans", array(nan_at({5, 3}, 1))}}),
                    "FILE: trans: row 1"));
    const auto person =
        dict({{"pose", array(zeros({5, 72}))}, {"trans", array(nan_at({5, 3}, 4))}});
    REQUIRE(refused(dict({{"7", person}}), "FILE: person 7: trans: row 4"));
    REQUIRE(refused(dict({{"poses", array(zeros({5, 72}))}, {"betas", array(nan_at({1, 10}, 0))}}),
                    "FILE: betas: row 0"));
}

TEST_CASE("rotation matrices that mirror or shear are refused", "[fits]") {
    auto matrices = torch::eye(3, torch::kDouble).repeat({2, 24, 1, 1});
    matrices[1][5][0][0] = -1;
    REQUIRE(refused(array(matrices), "expected rotation matrices"));
    matrices[1][5][0][0] = 1.2;
    REQUIRE(refused(array(matrices), "expected rotation matrices"));
    // The same of a capture's files.
    const auto angles = [](torch::Tensor x) {
        return Fields(dict({{"global_orient", array(x)}}), "FILE").angles("global_orient", 1);
    };
    const auto half_turn = torch::diag(torch::tensor({-1.0, 1.0, -1.0}));
    REQUIRE_CLOSE(angles(half_turn).norm(), torch::tensor(M_PI), 1e-6);
    REQUIRE(throws_error([&] { angles(-half_turn); },
                         "FILE: global_orient: expected rotation matrices, got some that mirror"));
    REQUIRE(throws_error([&] { angles(1.1 * half_turn); }, "not orthonormal (by 0.21)"));
}

TEST_CASE("missing keys are named beside those that are there", "[fits]") {
    REQUIRE(refused(dict({{"global_orient", array(zeros({5, 3}))}}),
                    "there is global_orient, expected body_pose [frames,69] beside it"));
    const auto params =
        dict({{"body_pose", array(zeros({5, 63}))}, {"global_orient", array(zeros({5, 3}))}});
    REQUIRE(refused(dict({{"smpl_params_incam", params}}),
                    "FILE: smpl_params_incam: expected transl [any,3], there is none"));
    REQUIRE(refused(dict({{"results", dict({{"smpl_thetas", array(zeros({1, 72}))}})}}),
                    "FILE: expected cam_trans [any,3]"));
    const auto frame = dict(
        {{"smpl", list({dict({{"body_pose", array(zeros({23, 3, 3}))}})})}, {"camera", list({})}});
    REQUIRE(refused(dict({{"a/000001.jpg", frame}}),
                    "FILE: 000001: expected a smpl and a camera for each of 1 persons"));
}

TEST_CASE("values of another kind are refused by key", "[fits]") {
    REQUIRE(refused(dict({{"poses", text("standing")}}), "poses: expected rotations of joints"));
    REQUIRE(refused(dict({{"poses", array(zeros({5, 72}))}, {"trans", text("here")}}),
                    "trans: expected numbers [any,3], got"));
    REQUIRE(refused(dict({{"poses", list({list({Value(1.0)}), list({})})}}), "poses: expected"));
    REQUIRE(refused(dict({{"smpl_poses", array(zeros({5, 72}))},
                          {"smpl_trans", array(zeros({5, 3}))},
                          {"smpl_scaling", array(zeros({1}))}}),
                    "smpl_scaling: expected a positive number, got 0"));
}

TEST_CASE("Rh and Th beside a root that is turned already are refused", "[fits]") {
    const auto record = dict({{"Rh", array(zeros({1, 3}))},
                              {"Th", array(zeros({1, 3}))},
                              {"poses", array(torch::ones({1, 72}, torch::kDouble))}});
    REQUIRE(refused(record, "expected the first three numbers to be zero beside Rh"));
    REQUIRE(refused(list({record, record}), "expected the first three numbers"));
}

TEST_CASE("counts that do not match, or frames that do not ascend, are refused", "[fits]") {
    const NpzFile good{{"poses", npy_array(zeros({5, 72}))}, {"trans", npy_array(zeros({5, 3}))}};
    auto file = good;
    file["trans"] = npy_array(zeros({4, 3}));
    REQUIRE(refused_file(file, "m.npz: rows that do not match: 5 poses, 4 translations"));
    file = good;
    file["frame_ids"] = npy_array(torch::tensor({0, 1, 1, 2, 3}));
    REQUIRE(refused_file(file, "expected frame numbers that ascend, got 1 after 1"));
    file["frame_ids"] = npy_array(torch::tensor({0, 1}));
    REQUIRE(refused_file(file, "5 poses, 2 frame_ids"));
    file = good;
    file["poses"] = npy_array(zeros({0, 72}));
    REQUIRE(refused_file(file, "expected at least one frame, got none"));
    file = good;
    file["frame_names"] = npy_array(std::vector<std::string>{"a", "b"});
    REQUIRE(refused_file(file, "5 poses, 2 frame_names"));
}

TEST_CASE("lengths that cannot be metres and betas that cannot be a shape are both named",
          "[fits]") {
    NpzFile file{{"poses", npy_array(zeros({5, 72}))},
                 {"trans", npy_array(torch::full({5, 3}, 657.0, torch::kDouble))},
                 {"betas", npy_array(torch::full({1, 10}, 11905.0, torch::kDouble))}};
    REQUIRE(refused_file(file, "these may be millimetres: divide by 1000"));
    REQUIRE(refused_file(file, "betas: the largest is 11905"));
    file["betas"] = npy_array(zeros({1, 10}));
    file["trans"] = npy_array(torch::full({5, 3}, 120.0, torch::kDouble));
    REQUIRE(refused_file(file, "these may be centimetres: divide by 100"));
    file["trans"] = npy_array(zeros({5, 3}));
    file["poses"] = npy_array(torch::full({5, 72}, 25.0, torch::kDouble));
    REQUIRE(refused_file(file, "these may be degrees"));
}

TEST_CASE("a person who is in a frame twice, and a folder without poses, are refused", "[fits]") {
    const auto record = dict({{"id", Value(int64_t{3})},
                              {"Rh", array(zeros({1, 3}))},
                              {"Th", array(zeros({1, 3}))},
                              {"poses", array(zeros({1, 72}))}});
    REQUIRE(refused(list({record, record}), "frame 0: expected person 3 once, got it twice"));
    REQUIRE(refused(dict({{"000000", list({})}, {"000001", list({})}}), "FILE: nobody"));
    const TemporaryFolder folder;
    REQUIRE(
        throws_error([&] { read_pose_file(folder.path); }, "expected a file of poses per frame"));
    REQUIRE(
        throws_error([&] { read_pose_file(folder.path / "none.npz"); }, "there is no such file"));
}
