#pragma once
/// A device that is not the CPU, for machines without one. Its kernels are those of the CPU. It
/// takes the place of PyTorch's HPU; PrivateUse1, meant for this, is no device that
/// torch::nn::Module::to can move to. What would go wrong on a GPU goes wrong here, too: a CPU
/// tensor that meets one on the device is refused, and the processor cannot read the device's
/// memory. Include it once in a program.
#include <ATen/EmptyTensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <ATen/detail/HPUHooksInterface.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <fmgs/core/check.h>
#include <torch/library.h>
#include <torch/types.h>

#include <cstring>
#include <set>

namespace fmgs::test {

inline const torch::Device kStandIn(torch::kHPU, 0);

namespace stand_in {

/// Addresses of the device have a bit set that no address of the processor has: reading through one
/// is a segmentation fault.
inline void* moved(const void* address) {
    constexpr auto kBit = uintptr_t{1} << 62;
    return address ? reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(address) ^ kBit) : nullptr;
}

struct Memory : c10::Allocator {
    c10::DataPtr allocate(size_t bytes) override {
        void* host = bytes ? std::malloc(bytes) : nullptr;
        return {moved(host), host, &std::free, kStandIn};
    }
    c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
    void copy_data(void* to, const void* from, size_t bytes) const override {
        std::memcpy(moved(to), moved(from), bytes);
    }
};

inline Memory& memory() {
    static Memory value;
    return value;
}

struct Hooks : at::HPUHooksInterface {
    using at::HPUHooksInterface::HPUHooksInterface;
    explicit Hooks(at::HPUHooksArgs) {}
    void init() const override {}
    bool hasHPU() const override { return true; }
    bool isBuilt() const override { return true; }
    bool isAvailable() const override { return true; }
    bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
    c10::Allocator* getPinnedMemoryAllocator() const override { return c10::GetCPUAllocator(); }
};

/// The device has one stream and no events; it is always finished.
struct Guard : c10::impl::NoOpDeviceGuardImpl<torch::kHPU> {
    c10::Device exchangeDevice(c10::Device) const override { return kStandIn; }
    c10::Device getDevice() const override { return kStandIn; }
    c10::Stream getStream(c10::Device) const noexcept override { return stream(); }
    c10::Stream exchangeStream(c10::Stream) const noexcept override { return stream(); }

  private:
    static c10::Stream stream() { return c10::Stream(c10::Stream::DEFAULT, kStandIn); }
};

inline torch::Tensor empty(torch::IntArrayRef size, std::optional<torch::ScalarType> type,
                           std::optional<torch::Layout>, std::optional<torch::Device>,
                           std::optional<bool>, std::optional<torch::MemoryFormat> format) {
    return at::detail::empty_generic(size, &memory(), c10::DispatchKeySet(c10::DispatchKey::HPU),
                                     c10::dtype_or_default(type), format);
}
inline torch::Tensor empty_strided(torch::IntArrayRef size, torch::IntArrayRef stride,
                                   std::optional<torch::ScalarType> type,
                                   std::optional<torch::Layout>, std::optional<torch::Device>,
                                   std::optional<bool>) {
    return at::detail::empty_strided_generic(size, stride, &memory(),
                                             c10::DispatchKeySet(c10::DispatchKey::HPU),
                                             c10::dtype_or_default(type));
}

/// A tensor of the CPU on the same memory.
inline torch::Tensor on_host(const torch::Tensor& x) {
    if (x.is_cpu()) return x;
    return torch::from_blob(moved(x.data_ptr()), x.sizes(), x.strides(),
                            x.options().device(torch::kCPU));
}
inline torch::Tensor copy_from(const torch::Tensor& from, const torch::Tensor& to, bool) {
    on_host(to).copy_(on_host(from));
    return to;
}
inline const torch::Tensor& resize(const torch::Tensor& x, torch::IntArrayRef size,
                                   std::optional<torch::MemoryFormat>) {
    const auto& storage = x.storage();
    const size_t bytes = at::detail::computeStorageNbytesContiguous(
        size, x.itemsize(), static_cast<size_t>(x.storage_offset()));
    if (bytes > storage.nbytes()) {
        auto larger = memory().allocate(bytes);
        if (storage.nbytes()) memory().copy_data(larger.get(), storage.data(), storage.nbytes());
        storage.set_data_ptr_noswap(std::move(larger));
        storage.set_nbytes(bytes);
    }
    x.unsafeGetTensorImpl()->set_sizes_contiguous(size);
    return x;
}
inline torch::Tensor copy_from_and_resize(const torch::Tensor& from, const torch::Tensor& to) {
    to.resize_(from.sizes());
    return copy_from(from, to, false);
}

/// Refuses a tensor of the CPU among the arguments of an operator on the device, but for numbers
/// (tensors of no dimension), as a GPU does, and for what an operator wants there.
inline void check_argument(const c10::FunctionSchema& schema, size_t k, const torch::Tensor& x) {
    const auto& name = schema.arguments()[k].name();
    if (x.defined() && x.is_cpu() && x.dim() > 0 && name != "channel_route")
        throw Error(schema.name() + ": '" + name + "' is on the CPU, the others on the device");
}

inline bool is_written(const c10::Argument& argument) {
    return argument.alias_info() && argument.alias_info()->isWrite();
}

/// What the kernel of the CPU is given in place of an argument. What it writes is a copy, which it
/// can resize.
inline c10::IValue argument_on_host(const c10::FunctionSchema& schema, size_t k,
                                    const c10::IValue& value) {
    const auto tensor = [&](const torch::Tensor& x) {
        check_argument(schema, k, x);
        if (!x.defined()) return x;
        return is_written(schema.arguments()[k]) ? on_host(x).clone() : on_host(x);
    };
    if (value.isTensor()) return tensor(value.toTensor());
    if (value.isDevice()) return torch::Device(torch::kCPU);
    if (value.isTensorList()) {
        c10::List<torch::Tensor> list;
        for (const torch::Tensor& x : value.toTensorList()) list.push_back(tensor(x));
        return list;
    }
    if (value.isOptionalTensorList()) {
        c10::List<std::optional<torch::Tensor>> list;
        for (const std::optional<torch::Tensor>& x : value.toOptionalTensorList())
            list.push_back(x ? std::optional(tensor(*x)) : std::nullopt);
        return list;
    }
    return value;
}

/// What the caller is given in place of a result: a new tensor, or the argument that was written.
inline c10::IValue result_on_device(const c10::FunctionSchema& schema, size_t r,
                                    const c10::IValue& value,
                                    const std::vector<c10::IValue>& arguments) {
    if (const auto* alias = schema.returns()[r].alias_info()) {
        for (size_t k = 0; k < arguments.size(); ++k) {
            const auto* other = schema.arguments()[k].alias_info();
            if (alias->isWrite() && other && *other == *alias) return arguments[k];
        }
        throw Error(schema.name() + ": a view needs a kernel of its own");
    }
    const auto tensor = [](const torch::Tensor& x) { return x.defined() ? x.to(kStandIn) : x; };
    if (value.isTensor()) return tensor(value.toTensor());
    if (value.isTensorList()) {
        c10::List<torch::Tensor> list;
        for (const torch::Tensor& x : value.toTensorList()) list.push_back(tensor(x));
        return list;
    }
    return value;
}

/// Every operator: the kernel of the CPU, once all of its tensors are known to be on the device.
inline void checked_fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
    const auto& schema = op.schema();
    const auto arguments = torch::jit::pop(*stack, schema.arguments().size());
    std::vector<c10::IValue> host;
    for (size_t k = 0; k < arguments.size(); ++k)
        host.push_back(argument_on_host(schema, k, arguments[k]));
    stack->insert(stack->end(), host.begin(), host.end());
    op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
    for (size_t k = 0; k < arguments.size(); ++k) {
        if (!is_written(schema.arguments()[k])) continue;
        if (!arguments[k].isTensor())
            throw Error(schema.name() + ": a list that is written needs a kernel of its own");
        const auto &written = host[k].toTensor(), &x = arguments[k].toTensor();
        if (written.sizes() != x.sizes()) x.resize_(written.sizes());
        on_host(x).copy_(written);
    }
    const auto results = torch::jit::pop(*stack, schema.returns().size());
    for (size_t r = 0; r < results.size(); ++r)
        stack->push_back(result_on_device(schema, r, results[r], arguments));
}
inline auto fallback() { return torch::CppFunction::makeFromBoxedFunction<&checked_fallback>(); }

}  // namespace stand_in
}  // namespace fmgs::test

namespace at::detail {
using fmgs::test::stand_in::Guard;
C10_REGISTER_GUARD_IMPL(HPU, Guard)
}  // namespace at::detail
namespace at {
using HPUHooks = fmgs::test::stand_in::Hooks;
C10_REGISTER_CLASS(HPUHooksRegistry, HPUHooks, HPUHooks)
}  // namespace at

TORCH_LIBRARY_IMPL(aten, HPU, m) {
    using namespace fmgs::test::stand_in;
    m.impl("empty.memory_format", empty);
    m.impl("empty_strided", empty_strided);
    m.impl("as_strided", at::native::as_strided_tensorimpl);
    m.impl("view", at::native::view);
    m.impl("_reshape_alias", at::native::_reshape_alias);
    m.impl("resize_", resize);
    m.impl("_copy_from", copy_from);
    m.impl("_copy_from_and_resize", copy_from_and_resize);
}
TORCH_LIBRARY_IMPL(_, HPU, m) { m.fallback(fmgs::test::stand_in::fallback()); }
// The operators of this project: a fallback is no kernel that check_device would find.
TORCH_LIBRARY_IMPL(fmgs, HPU, m) {
    for (const auto& op : c10::Dispatcher::singleton().getAllOpNames()) {
        if (op.name.rfind("fmgs::", 0) == 0)
            m.impl(op.name.c_str(), fmgs::test::stand_in::fallback());
    }
}
