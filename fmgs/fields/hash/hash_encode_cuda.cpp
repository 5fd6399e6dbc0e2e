/// Torch's side of the CUDA backend of fmgs::hash_encode.
#include <fmgs/fields/hash/hash_encode_cuda.h>

#include <fmgs/core/cuda/check.h>
#include <fmgs/fields/hash/hash_grid_kernels.h>
#include <fmt/format.h>

#include <bit>
#include <limits>

namespace fmgs::detail {
namespace {

/// Contiguous, and where 16 bytes can be read at once: a view may start anywhere.
Tensor aligned(const Tensor& x) {
    const auto packed = x.contiguous();
    return reinterpret_cast<uintptr_t>(packed.const_data_ptr()) % 16 == 0 ? packed : packed.clone();
}

/// What all kernels of a call share.
template <class T>
struct DeviceEncode {
    int64_t n, count, features, nonzeros;
    GridLevels<T> grid{};
    c10::cuda::CUDAGuard guard;
    cudaStream_t stream;

    explicit DeviceEncode(const EncodeInputs& in)
        : n(in.x.size(0)),
          count(static_cast<int64_t>(in.levels.size())),
          features(in.table.size(1)),
          nonzeros(n * count * 8),
          guard(in.table.device()),
          stream(stream_of(in.table)) {
        if (count > kMaxHashLevels)
            throw Error(fmt::format("hash_encode: expected at most {} levels on a GPU, got {}",
                                    kMaxHashLevels, count));
        if (features < 1 || features > max_hash_features<T>())
            throw Error(
                fmt::format("hash_encode: expected 1 to {} features per level on a GPU, got {}",
                            max_hash_features<T>(), features));
        grid.count = static_cast<int32_t>(count);
        grid.entries = static_cast<int32_t>(in.table.size(0));
        for (size_t l = 0; l < in.levels.size(); ++l) {
            const auto& from = in.levels[l];
            grid.level[l] = {static_cast<T>(from.scale), from.resolution, from.start, from.entries,
                             from.dense};
        }
    }
    const T* read(const Tensor& x) const { return x.const_data_ptr<T>(); }
};

template <class T>
Tensor encode_on_device(const EncodeInputs& in) {
    const DeviceEncode<T> call(in);
    auto out = torch::empty({call.n, call.count * call.features}, in.table.options());
    const Tensor table = aligned(in.table);
    Tensor indices;
    EncodeParams<T> p{};
    p.grid = call.grid;
    p.table = call.read(table);
    p.n = call.n;
    p.features = static_cast<int32_t>(call.features);
    p.out = out.template mutable_data_ptr<T>();
    if (in.corners.empty()) {
        p.points = call.read(in.x);
    } else {
        indices = aligned(in.corners[0]);
        p.indices = indices.const_data_ptr<int32_t>();
        p.fractions = call.read(in.corners[1]);
    }
    check_cuda(launch_encode(p, call.stream), "hash_encode");
    return out;
}

/// Who reads an entry and with which weight, as in FixedPoints.
struct Transpose {
    Tensor row_offsets, columns, weights;
};

/// The columns of live points: their corners, sorted by entry. The sort is stable, so the columns
/// of an entry keep the order of the points, and nothing is left to the order of threads.
template <class T>
Transpose transpose_on_device(const EncodeInputs& in, const DeviceEncode<T>& call) {
    const auto integers = in.x.options().dtype(torch::kInt);
    const Tensor indices = torch::empty({call.nonzeros}, integers),
                 sorted = torch::empty_like(indices), order = torch::empty_like(indices);
    const Tensor fractions = torch::empty({call.count, call.n, 3}, in.x.options());
    check_cuda(launch_corners(CornerParams<T>{call.grid, call.read(in.x), call.n,
                                              indices.mutable_data_ptr<int32_t>(),
                                              fractions.mutable_data_ptr<T>()},
                              call.stream),
               "hash_encode: corners");
    if (call.nonzeros > 0) {
        const Tensor positions = torch::arange(call.nonzeros, integers);
        const int bits = std::bit_width(static_cast<uint32_t>(call.grid.entries - 1));
        const auto sort = [&](void* storage, size_t& bytes) {
            check_cuda(sort_corners(
                           storage, bytes, indices.const_data_ptr<int32_t>(),
                           sorted.mutable_data_ptr<int32_t>(), positions.const_data_ptr<int32_t>(),
                           order.mutable_data_ptr<int32_t>(), call.nonzeros, bits, call.stream),
                       "hash_encode: sorting corners");
        };
        size_t bytes = 0;
        sort(nullptr, bytes);
        const auto storage =
            torch::empty({static_cast<int64_t>(bytes)}, integers.dtype(torch::kByte));
        sort(storage.mutable_data_ptr(), bytes);
    }
    Transpose out{torch::empty({int64_t{call.grid.entries} + 1}, integers),
                  torch::empty({call.nonzeros}, integers),
                  torch::empty({call.nonzeros}, in.x.options())};
    TransposeParams<T> p{};
    p.keys = sorted.const_data_ptr<int32_t>();
    p.order = order.const_data_ptr<int32_t>();
    p.fractions = call.read(fractions);
    p.n = call.n;
    p.nonzeros = call.nonzeros;
    p.entries = call.grid.entries;
    p.row_offsets = out.row_offsets.mutable_data_ptr<int32_t>();
    p.columns = out.columns.mutable_data_ptr<int32_t>();
    p.weights = out.weights.mutable_data_ptr<T>();
    check_cuda(launch_transpose(p, call.stream), "hash_encode: columns");
    return out;
}

template <class T>
Tensor table_gradient_on_device(const EncodeInputs& in, const DeviceEncode<T>& call,
                                const Tensor& grad) {
    if (call.nonzeros > std::numeric_limits<int32_t>::max())
        throw Error(fmt::format("hash_encode: {} points in {} levels do not fit 32-bit indices",
                                call.n, call.count));
    const Transpose lists = in.corners.empty()
                                ? transpose_on_device<T>(in, call)
                                : Transpose{in.corners[2], in.corners[3], in.corners[4]};
    // The columns of an entry are neighbours: level by level their gradients share cache lines.
    const Tensor by_level = aligned(grad.view({call.n, call.count, call.features}).transpose(0, 1));
    auto out = torch::empty({in.table.size(0), call.features}, in.table.options());
    TableGradientParams<T> p{};
    p.grid = call.grid;
    p.grad = call.read(by_level);
    p.row_offsets = lists.row_offsets.const_data_ptr<int32_t>();
    p.columns = lists.columns.const_data_ptr<int32_t>();
    p.weights = call.read(lists.weights);
    p.n = call.n;
    p.nonzeros = call.nonzeros;
    p.features = static_cast<int32_t>(call.features);
    p.grad_table = out.template mutable_data_ptr<T>();
    check_cuda(launch_table_gradient(p, call.stream), "hash_encode: gradient of the table");
    return out;
}

template <class T>
std::tuple<Tensor, Tensor> encode_backward_on_device(const EncodeInputs& in, const Tensor& grad,
                                                     std::array<bool, 2> needs) {
    const DeviceEncode<T> call(in);
    Tensor grad_table, grad_x;
    if (needs[0]) grad_table = table_gradient_on_device<T>(in, call, grad);
    if (needs[1]) {
        const Tensor rows = aligned(grad), table = aligned(in.table);
        grad_x = torch::empty({call.n, 3}, in.x.options());
        PointGradientParams<T> p{};
        p.grid = call.grid;
        p.grad = call.read(rows);
        p.table = call.read(table);
        p.points = call.read(in.x);
        p.n = call.n;
        p.features = static_cast<int32_t>(call.features);
        p.grad_points = grad_x.template mutable_data_ptr<T>();
        check_cuda(launch_point_gradient(p, call.stream), "hash_encode: gradient of the points");
    }
    return {grad_table, grad_x};
}

void check_float(const Tensor& table) {
    if (table.scalar_type() != torch::kFloat)
        throw Error(fmt::format("hash_encode: expected float on a GPU, got {}",
                                toString(table.scalar_type())));
}

}  // namespace

Tensor hash_encode_cuda(const EncodeInputs& in) {
    check_float(in.table);
    return encode_on_device<float>(in);
}

std::tuple<Tensor, Tensor> hash_encode_cuda_backward(const EncodeInputs& in, const Tensor& grad,
                                                     std::array<bool, 2> needs) {
    check_float(in.table);
    return encode_backward_on_device<float>(in, grad, needs);
}

}  // namespace fmgs::detail
