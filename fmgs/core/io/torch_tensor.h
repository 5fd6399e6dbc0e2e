#pragma once
/// Tensors as torch.save describes them: storages by name, and views of them. Not public.
#include <fmgs/core/io/npz.h>
#include <fmgs/core/io/pickle.h>
#include <fmgs/core/io/pickle_values.h>

#include <functional>

namespace fmgs::detail {

/// The storage that a persistent identifier names: ("storage", class, key, device, elements, …).
struct TorchStorage {
    std::string key, type;  ///< type: "FloatStorage", …
};
TorchStorage storage_of(const Pickle& pickle, NodeId persistent);

/// Bytes of one element of a storage's or a tensor's type ("FloatStorage", "float32", …). Error,
/// which names it, when tensors of this type are not read.
int64_t torch_item_size(const std::string& type, const std::string& what);

/// Where a file keeps the values of its storages.
struct TorchStorages {
    std::function<std::string_view(const std::string& key)> bytes;
    bool big_endian = false;
};

/// The value of a pickle whose tensors lie in these storages. `input`: bytes of the file.
Value torch_tensors(const Pickle& pickle, uint64_t input, const TorchStorages& storages);

}  // namespace fmgs::detail
