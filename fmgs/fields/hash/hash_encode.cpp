#include <fmgs/fields/hash/hash_encode.h>

#include <fmgs/core/check.h>
#include <fmgs/core/operators.h>
#include <fmgs/fields/hash/hash_encode_op.h>
#include <fmt/format.h>

#include <limits>

namespace fmgs::detail {
namespace {

/// The caches of fixed points; they would be used as addresses.
void check_corners(EncodeInputs& in, at::TensorList corners) {
    const int64_t levels = static_cast<int64_t>(in.levels.size()), entries = in.table.size(0);
    const auto& table = in.table;
    if (corners.size() != 5)
        throw Error(
            fmt::format("hash_encode: corners: expected 0 or 5 tensors, got {}", corners.size()));
    const int64_t N = in.x.size(0);
    check_shape(corners[0], {levels, N, 8}, "indices of the fixed points");
    check_shape(corners[1], {levels, N, 3}, "fractions of the fixed points");
    check_shape(corners[2], {entries + 1}, "row_offsets of the fixed points");
    check_shape(corners[3], {levels * N * 8}, "columns of the fixed points");
    check_shape(corners[4], {levels * N * 8}, "values of the fixed points");
    for (size_t k = 0; k < 5; ++k) {
        const bool real = k == 1 || k == 4;
        const auto expected = real ? table.scalar_type() : torch::kInt32;
        if (corners[k].scalar_type() != expected || corners[k].device() != table.device()) {
            throw Error(fmt::format(
                "fixed points: expected {} on {} as the hash grid, got {} on {}; locate them again "
                "after the grid changed its dtype or device",
                c10::toString(expected), table.device().str(),
                c10::toString(corners[k].scalar_type()), corners[k].device().str()));
        }
        in.corners.push_back(corners[k].contiguous());
    }
}

}  // namespace

EncodeInputs checked(const Tensor& table, const Tensor& x, int64_t levels, int64_t base_resolution,
                     int64_t finest_resolution, int64_t log2_hashmap_size, at::TensorList corners) {
    if (levels < 1 || base_resolution < 1 || finest_resolution < base_resolution ||
        log2_hashmap_size < 3 || log2_hashmap_size > 28) {
        throw Error(fmt::format(
            "hash_encode: expected levels >= 1, 1 <= base_resolution <= finest_resolution and "
            "log2_hashmap_size in "
            "[3,28], got {}, {}, {}, {}",
            levels, base_resolution, finest_resolution, log2_hashmap_size));
    }
    auto rule = hash_levels(levels, base_resolution, finest_resolution, log2_hashmap_size);
    const int64_t entries = rule.back().start + rule.back().entries;
    if (entries > std::numeric_limits<int32_t>::max())
        throw Error(fmt::format(
            "hash_encode: {} entries do not fit 32-bit indices; lower log2_hashmap_size", entries));
    check_shape(table, {entries, -1}, "table of the hash grid");
    check_shape(x, {-1, 3}, "points of the hash grid");
    if (x.scalar_type() != table.scalar_type() || x.device() != table.device()) {
        throw Error(
            fmt::format("points of the hash grid: expected {} on {} as the table, got {} on {}",
                        c10::toString(table.scalar_type()), table.device().str(),
                        c10::toString(x.scalar_type()), x.device().str()));
    }
    EncodeInputs in{std::move(rule), table.contiguous(), x.contiguous(), {}};
    if (corners.empty()) return in;
    check_corners(in, corners);
    return in;
}

void check_gradient(const Tensor& grad, const EncodeInputs& in) {
    check_shape(grad, {in.x.size(0), static_cast<int64_t>(in.levels.size()) * in.table.size(1)},
                "gradient of hash_encode");
    if (grad.scalar_type() != in.table.scalar_type() || grad.device() != in.table.device()) {
        throw Error(
            fmt::format("gradient of hash_encode: expected {} on {} as the table, got {} on {}",
                        c10::toString(in.table.scalar_type()), in.table.device().str(),
                        c10::toString(grad.scalar_type()), grad.device().str()));
    }
}

torch::Tensor hash_encode(const torch::Tensor& table, const torch::Tensor& x,
                          const HashGridOptions& options,
                          const std::vector<torch::Tensor>& corners) {
    check_device(table.device(), "hash_encode");
    static const auto op = find_operator<EncodeSignature>("fmgs::hash_encode");
    return op.call(table, x, options.levels, options.base_resolution, options.finest_resolution,
                   options.log2_hashmap_size, corners);
}

}  // namespace fmgs::detail
