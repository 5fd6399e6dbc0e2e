#include <fmgs/losses/ssim/ssim.h>

#include <fmgs/core/check.h>
#include <fmgs/core/operators.h>
#include <fmt/format.h>

namespace fmgs::detail {
namespace {

void check_same(const Tensor& x, const Tensor& like, const char* name) {
    if (x.scalar_type() != like.scalar_type() || x.device() != like.device())
        throw Error(fmt::format("ssim: {}: expected {} on {} as the first, got {} on {}", name,
                                toString(like.scalar_type()), like.device().str(),
                                toString(x.scalar_type()), x.device().str()));
}

}  // namespace

void check_pictures(const Tensor& x, const Tensor& y) {
    check_shape(x, {-1, -1, -1}, "ssim: first picture");
    check_shape(y, {x.size(0), x.size(1), x.size(2)}, "ssim: second picture");
    if (x.scalar_type() != torch::kFloat && x.scalar_type() != torch::kDouble)
        throw Error(fmt::format("ssim: first picture: expected float or double, got {}",
                                toString(x.scalar_type())));
    check_same(y, x, "second picture");
}

void check_slopes(const Tensor& grad, const Tensor& x, const Tensor& y, const Tensor& slopes) {
    check_pictures(x, y);
    check_shape(slopes, {3, x.size(0), x.size(1), x.size(2)}, "ssim: slopes");
    check_same(slopes, x, "slopes");
    check_shape(grad, {}, "ssim: gradient");
    check_same(grad, x, "gradient");
}

Tensor dissimilarity_sum(const Tensor& x, const Tensor& y) {
    check_shape(x, {-1, -1, -1}, "ssim: first picture");
    check_device(x.device(), "ssim");
    static const auto op = find_operator<SsimSignature>("fmgs::ssim");
    return op.call(x, y);
}

}  // namespace fmgs::detail
