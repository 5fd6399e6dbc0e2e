#pragma once
/// Surfels turned and posed on the CPU, a row at a time, forward and backward: what a dozen
/// operators of torch find on other devices, in one pass over memory.
#include <torch/types.h>

namespace fmgs {
struct Surfels;
}

namespace fmgs::detail {

/// Do these functions take tensors like this one?
inline bool takes_rows(const torch::Tensor& x) {
    return x.is_cpu() && (x.scalar_type() == torch::kFloat || x.scalar_type() == torch::kDouble);
}

/// R exp([r]×): R [N,3,3], r [N,3]. Returns [N,3,3]. A second derivative raises.
torch::Tensor turned_rows(const torch::Tensor& R, const torch::Tensor& r);

struct PosedRows {
    torch::Tensor center;    ///< [N,3]
    torch::Tensor tangents;  ///< [N,3,2]
    torch::Tensor normal;    ///< [N,3]
};
/// Eqs. 11 and 12, see Surfels::posed(): position [N,3], rotation [N,3,3], scale [N,2]; the same
/// transforms [N,4,4] twice, cut or not: those that move the centre, and those that turn the rest.
/// A second derivative raises.
PosedRows posed_rows(const torch::Tensor& position, const torch::Tensor& rotation,
                     const torch::Tensor& scale, const torch::Tensor& T_center,
                     const torch::Tensor& T_tangent);
/// The same by operators of torch (surfels.cpp).
PosedRows posed_by_operators(const Surfels& s, const torch::Tensor& T_center,
                             const torch::Tensor& T_tangent);

}  // namespace fmgs::detail
