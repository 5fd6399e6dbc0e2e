#pragma once
/// For operators that work on rows of small vectors and matrices on the CPU.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <torch/types.h>

namespace fmgs::detail {

/// Calls f(n) for the rows [0,rows) on all threads.
template <class F>
void for_rows(int64_t rows, F&& f) {
    at::parallel_for(0, rows, 512, [&](int64_t first, int64_t last) {
        for (int64_t n = first; n < last; ++n) f(n);
    });
}

/// Three numbers.
template <class T>
struct Three {
    T x, y, z;
};
template <class T>
Three<T> operator+(Three<T> a, Three<T> b) {
    return {a.x + b.x, a.y + b.y, a.z + b.z};
}
template <class T>
Three<T> operator-(Three<T> a, Three<T> b) {
    return {a.x - b.x, a.y - b.y, a.z - b.z};
}
template <class T>
Three<T> operator*(T s, Three<T> a) {
    return {s * a.x, s * a.y, s * a.z};
}
template <class T>
T dot(Three<T> a, Three<T> b) {
    return a.x * b.x + a.y * b.y + a.z * b.z;
}
template <class T>
Three<T> cross(Three<T> a, Three<T> b) {
    return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}
/// The three numbers that lie `stride` apart; of a null pointer: none.
template <class T>
Three<T> read(const T* at, int64_t stride = 1) {
    return at ? Three<T>{at[0], at[stride], at[2 * stride]} : Three<T>{};
}
template <class T>
void write(T* at, Three<T> v, int64_t stride = 1) {
    at[0] = v.x;
    at[stride] = v.y;
    at[2 * stride] = v.z;
}

/// A matrix by its rows.
template <class T>
struct Nine {
    Three<T> row[3];

    Three<T> operator*(Three<T> v) const {
        return {dot(row[0], v), dot(row[1], v), dot(row[2], v)};
    }
    /// The transpose times v.
    Three<T> t(Three<T> v) const { return v.x * row[0] + v.y * row[1] + v.z * row[2]; }
};
/// A matrix whose rows lie `stride` apart.
template <class T>
Nine<T> read_matrix(const T* at, int64_t stride = 3) {
    return {{read(at), read(at + stride), read(at + 2 * stride)}};
}

/// Row n of a contiguous tensor of `width` numbers a row; null where there is no tensor.
template <class T>
struct Rows {
    const T* data;
    int64_t width;

    explicit Rows(const torch::Tensor& x)
        : data(x.defined() ? x.const_data_ptr<T>() : nullptr),
          width(x.defined() && x.size(0) > 0 ? x.numel() / x.size(0) : 0) {}
    const T* operator[](int64_t n) const { return data ? data + n * width : nullptr; }
};

inline torch::Tensor packed(const torch::Tensor& x) { return x.defined() ? x.contiguous() : x; }

}  // namespace fmgs::detail
