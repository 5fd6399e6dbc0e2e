#include <fmgs/core/check.h>

#include <c10/util/Exception.h>
#include <fmgs/core/operators.h>
#include <fmt/format.h>

#include <new>

namespace fmgs {

std::string message_of(const std::exception_ptr& exception) {
    try {
        std::rethrow_exception(exception);
    } catch (const c10::Error& error) {
        return error.what_without_backtrace();
    } catch (const std::bad_alloc&) {
        return "there is not enough memory";
    } catch (const std::exception& error) {
        return error.what();
    } catch (...) {
        return "an unknown error";
    }
}

std::string shape_text(torch::IntArrayRef shape) {
    std::string text = "[";
    for (size_t i = 0; i < shape.size(); ++i) {
        if (i) text += ',';
        text += shape[i] < 0 ? std::string("any") : std::to_string(shape[i]);
    }
    text += ']';
    return text;
}

void check_shape(const torch::Tensor& x, std::initializer_list<int64_t> shape, const char* name) {
    const torch::IntArrayRef expected(shape.begin(), shape.size());
    if (!x.defined())
        throw Error(
            fmt::format("{}: expected {}, got an undefined tensor", name, shape_text(expected)));
    bool same = x.dim() == static_cast<int64_t>(expected.size());
    for (size_t i = 0; same && i < expected.size(); ++i)
        same = expected[i] < 0 || expected[i] == x.size(i);
    if (!same)
        throw Error(fmt::format("{}: expected {}, got {}", name, shape_text(expected),
                                shape_text(x.sizes())));
}

void check_device(torch::Device device, const char* name) {
    if (detail::has_kernels(device)) return;
    if (detail::has_kernels(torch::kCUDA))
        throw Error(
            fmt::format("{}: expected tensors on 'cpu' or 'cuda', got '{}'", name, device.str()));
    throw Error(fmt::format(
        "{}: expected tensors on 'cpu', got '{}': this build has no kernels for it; configure with "
        "FMGS_CUDA=ON",
        name, device.str()));
}

}  // namespace fmgs
