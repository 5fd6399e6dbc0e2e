#pragma once
/// What happens between the products of a block of rows of an Mlp: one pass over it each.
#include <c10/util/BFloat16.h>

#include <cstdint>

namespace fmgs::detail {

constexpr double kMlpSlope = 0.01;  ///< of the LeakyReLU between layers

/// h[r,c] ← LeakyReLU(h[r,c] + bias[c]), or without the LeakyReLU. h: [rows,columns].
void add_bias(float* h, const float* bias, int64_t rows, int64_t columns, bool leaky);
void add_bias(double* h, const double* bias, int64_t rows, int64_t columns, bool leaky);
void add_bias(c10::BFloat16* h, const float* bias, int64_t rows, int64_t columns, bool leaky);

/// g[r,c] ← g[r,c] · LeakyReLU′, whose output was h[r,c]; sum[c] += Σ_r g[r,c].
void leaky_backward(float* g, const float* h, int64_t rows, int64_t columns, float* sum);
void leaky_backward(double* g, const double* h, int64_t rows, int64_t columns, double* sum);
void leaky_backward(c10::BFloat16* g, const c10::BFloat16* h, int64_t rows, int64_t columns,
                    float* sum);

/// to[k] ← from[k] in the other type.
void convert(const float* from, int64_t count, c10::BFloat16* to);

}  // namespace fmgs::detail
