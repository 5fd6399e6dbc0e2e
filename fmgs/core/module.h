#pragma once
/// What the library's modules add to torch's: integer buffers stay integers, and copies are deep.
#include <torch/nn/module.h>

#include <memory>
#include <typeinfo>

namespace fmgs {

class Module : public torch::nn::Module {
  public:
    using torch::nn::Module::Module;
    using torch::nn::Module::to;
    /// Parameters and floating-point buffers take the type; indices stay integers.
    void to(torch::Dtype dtype, bool non_blocking = false) override;
    void to(torch::Device device, torch::Dtype dtype, bool non_blocking = false) override;
    /// A deep copy with parameters and buffers of its own, on `device` if one is given. Error for a
    /// class that does not implement it; one line does: see cloned().
    std::shared_ptr<torch::nn::Module> clone(
        const std::optional<torch::Device>& device = std::nullopt) const override;
};

/// Copies every parameter and buffer of `from` into `to`, by name, with its type; the copies share
/// no memory and lie on `device`, or where they were. Error when the names differ.
void copy_state(const torch::nn::Module& from, torch::nn::Module& to,
                const std::optional<torch::Device>& device = std::nullopt);

namespace detail {
[[noreturn]] void refuse_clone(const torch::nn::Module& module);
}

/// The body of clone() in a class that can be built again from its constructor's arguments:
///   return cloned(*this, device, options_, volume_->box());
/// Error when `original` is of a derived class, of which it would copy only a part.
template <class Impl, class... Arguments>
std::shared_ptr<Impl> cloned(const Impl& original, const std::optional<torch::Device>& device,
                             Arguments&&... arguments) {
    if (typeid(original) != typeid(Impl)) detail::refuse_clone(original);
    auto copy = std::make_shared<Impl>(std::forward<Arguments>(arguments)...);
    copy_state(original, *copy, device);
    return copy;
}

}  // namespace fmgs
