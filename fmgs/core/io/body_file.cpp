#include <fmgs/core/io/body_file.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/npz.h>
#include <fmt/format.h>
#include <torch/types.h>

namespace fmgs {
namespace {

void check_finite(const torch::Tensor& x, const char* name) {
    if (!x.isfinite().all().item<bool>())
        throw Error(fmt::format("{}: expected finite values, got NaN or infinity", name));
}

void check_range(const torch::Tensor& x, int64_t bound, const char* name) {
    if (x.numel() == 0) throw Error(fmt::format("{}: expected at least one row, got none", name));
    const auto low = x.min().item<int64_t>(), high = x.max().item<int64_t>();
    if (low < 0 || high >= bound) {
        throw Error(fmt::format("{}: expected indices in [0,{}), got {}", name, bound,
                                low < 0 ? low : high));
    }
}

void check_row_sums(const torch::Tensor& x, const char* name, double tolerance) {
    const auto worst = (x.to(torch::kDouble).sum(1) - 1).abs().max().item<double>();
    if (worst > tolerance)
        throw Error(
            fmt::format("{}: expected rows that sum to 1, one is off by {:.3g}", name, worst));
}

}  // namespace

void check_body(const BodyData& body) {
    check_shape(body.vertices, {-1, 3}, "v_template");
    check_shape(body.weights, {body.vertices.size(0), -1}, "weights");
    const int64_t vertices = body.vertices.size(0), joints = body.weights.size(1);
    if (vertices < 1 || joints < 1)
        throw Error("v_template, weights: expected at least one vertex and one joint");
    check_shape(body.faces, {-1, 3}, "f");
    check_shape(body.joint_regressor, {joints, vertices}, "J_regressor");
    check_shape(body.parents, {joints}, "kintree_table (row 0)");
    check_shape(body.shape_directions, {vertices, 3, -1}, "shapedirs");
    for (const auto* index : {&body.faces, &body.parents}) {
        if (index->scalar_type() != torch::kLong)
            throw Error("f, kintree_table: expected int64 indices");
    }
    check_range(body.faces, vertices, "f");
    check_finite(body.vertices, "v_template");
    check_finite(body.weights, "weights");
    check_finite(body.joint_regressor, "J_regressor");
    check_finite(body.shape_directions, "shapedirs");
    // float16 and text-exported files round: 1e-2 lets them pass and still catches a transposed or
    // scaled array.
    check_row_sums(body.weights, "weights", 1e-2);
    check_row_sums(body.joint_regressor, "J_regressor", 1e-2);
    if (body.weights.min().item<double>() < -1e-6) throw Error("weights: expected none below zero");
    const auto parents = body.parents.cpu();
    const auto* parent = parents.data_ptr<int64_t>();
    for (int64_t j = 0; j < joints; ++j) {
        if (j == 0 ? parent[j] != -1 : (parent[j] < 0 || parent[j] >= j)) {
            throw Error(
                fmt::format("kintree_table: expected the parent of joint {} to be {}, got {}", j,
                            j == 0 ? "none (-1 or 4294967295)" : "a joint before it", parent[j]));
        }
    }
    if (body.pose_directions.defined()) {
        check_shape(body.pose_directions, {vertices, 3, 9 * (joints - 1)}, "posedirs");
        check_finite(body.pose_directions, "posedirs");
    }
    if (body.expression_directions.defined()) {
        check_shape(body.expression_directions, {vertices, 3, -1}, "expressions in shapedirs");
        check_finite(body.expression_directions, "expressions in shapedirs");
    }
    if (body.rest_rotations.defined()) {
        check_shape(body.rest_rotations, {joints, 3, 3}, "rest_bones");
        const auto R = body.rest_rotations.to(torch::kDouble);
        const auto gram = torch::matmul(R, R.transpose(1, 2)) - torch::eye(3, R.options());
        if (!(gram.abs().max().item<double>() < 1e-3) ||
            torch::linalg_det(R).min().item<double>() < 0)
            throw Error("rest_bones: expected a rotation and a place of each bone, got others");
    }
}

void write_body(const std::filesystem::path& file, const BodyData& body) {
    check_body(body);
    const auto joints = torch::arange(body.parents.size(0), torch::kLong);
    const auto shapes = body.expression_directions.defined()
                            ? torch::cat({body.shape_directions, body.expression_directions}, 2)
                            : body.shape_directions;
    if (shape_count(body.weights.size(1), shapes.size(2)) != body.shape_directions.size(2))
        throw Error(fmt::format(
            "{}: shapedirs: {} shape directions and {} expressions cannot be told apart when they "
            "are read; expected 300 and 100, or 10 and 10 of SMPL-X",
            file.string(), body.shape_directions.size(2),
            shapes.size(2) - body.shape_directions.size(2)));
    NpzFile out{{"v_template", npy_array(body.vertices)},
                {"f", npy_array(body.faces)},
                {"weights", npy_array(body.weights)},
                {"J_regressor", npy_array(body.joint_regressor)},
                {"kintree_table", npy_array(torch::stack({body.parents.cpu(), joints}))},
                {"shapedirs", npy_array(shapes)},
                {"bs_style", {"U3", {}, npy_array(std::vector<std::string>{"lbs"}).bytes}},
                {"bs_type", {"U7", {}, npy_array(std::vector<std::string>{"lrotmin"}).bytes}}};
    if (body.pose_directions.defined()) out.emplace("posedirs", npy_array(body.pose_directions));
    if (body.rest_rotations.defined()) {
        const auto joints_at_rest = torch::matmul(body.joint_regressor, body.vertices);
        out.emplace("rest_bones", npy_array(rigid(body.rest_rotations, joints_at_rest)));
    }
    write_npz(file, out);
}

}  // namespace fmgs
