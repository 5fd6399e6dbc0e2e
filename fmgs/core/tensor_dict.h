#pragma once
/// An ordered dictionary of tensors.
#include <torch/types.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fmgs {

/// Ordered name → tensor: parameters, buffers and moments by dotted name, or Maps (core/types.h).
class TensorDict {
  public:
    using Entry = std::pair<std::string, torch::Tensor>;

    TensorDict() = default;
    TensorDict(std::initializer_list<Entry> entries) : entries_(entries) {}

    /// Adds the tensor, or replaces the one of this name in place.
    void set(const std::string& name, torch::Tensor value);
    bool contains(std::string_view name) const { return find(name) != nullptr; }
    /// The tensor, or nullptr.
    const torch::Tensor* find(std::string_view name) const;
    /// The tensor; Error naming what there is when it is missing.
    const torch::Tensor& at(std::string_view name) const;

    auto begin() const { return entries_.begin(); }
    auto end() const { return entries_.end(); }
    size_t size() const { return entries_.size(); }
    bool empty() const { return entries_.empty(); }
    TensorDict to(torch::Device device) const;
    /// Floating-point tensors take the type, others stay.
    TensorDict to(torch::Dtype dtype) const;

  private:
    std::vector<Entry> entries_;
};

}  // namespace fmgs
