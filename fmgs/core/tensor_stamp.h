#pragma once
/// Tells whether a tensor is still what it was, without reading it.
#include <torch/types.h>

namespace fmgs {

/// Which memory a tensor has and how often it was written. Equal stamps: the same values. The stamp
/// holds the memory, so that nothing else can be given its address.
class TensorStamp {
  public:
    TensorStamp() = default;
    explicit TensorStamp(const torch::Tensor& x)
        : storage_(x.storage()), version_(x.is_inference() ? 0 : x._version()) {}
    bool operator==(const TensorStamp& other) const {
        return storage_.unsafeGetStorageImpl() == other.storage_.unsafeGetStorageImpl() &&
               version_ == other.version_;
    }

  private:
    c10::Storage storage_;
    int64_t version_ = 0;
};

}  // namespace fmgs
