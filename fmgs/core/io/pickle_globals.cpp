#include <fmgs/core/check.h>
#include <fmgs/core/io/pickle.h>
#include <fmt/format.h>

#include <array>

namespace fmgs::detail {
namespace {

struct Entry {
    std::string_view name;
    Global global;
};

constexpr std::array kData{
    Entry{"numpy.core.multiarray._reconstruct", Global::kReconstruct},
    Entry{"numpy.core.multiarray.scalar", Global::kScalar},
    Entry{"numpy.core.numeric._frombuffer", Global::kFromBuffer},
    Entry{"numpy.ndarray", Global::kNdarray},
    Entry{"numpy.dtype", Global::kDtype},
    Entry{"scipy.sparse.csc.csc_matrix", Global::kCscMatrix},
    Entry{"joblib.numpy_pickle.NumpyArrayWrapper", Global::kJoblibArray},
    Entry{"collections.OrderedDict", Global::kOrderedDict},
    Entry{"collections.defaultdict", Global::kDefaultDict},
    Entry{"builtins.set", Global::kSet},
    Entry{"builtins.frozenset", Global::kFrozenSet},
    Entry{"builtins.list", Global::kList},
    Entry{"builtins.tuple", Global::kTuple},
    Entry{"builtins.dict", Global::kDict},
    Entry{"builtins.object", Global::kObject},
    Entry{"builtins.bytes", Global::kBytes},
    Entry{"builtins.bytearray", Global::kByteArray},
    Entry{"pathlib.PosixPath", Global::kPath},
    Entry{"pathlib.PurePosixPath", Global::kPath},
    Entry{"pathlib.WindowsPath", Global::kPath},
    Entry{"pathlib.PureWindowsPath", Global::kPath},
    Entry{"_codecs.encode", Global::kEncode},
    Entry{"copyreg._reconstructor", Global::kCopy},
};
constexpr std::array kTorch{
    Entry{"torch._utils._rebuild_tensor_v2", Global::kTorchTensor},
    Entry{"torch._utils._rebuild_tensor_v3", Global::kTorchTensor},
    Entry{"torch._utils._rebuild_parameter", Global::kTorchParameter},
    Entry{"torch.Size", Global::kTorchSize},
};
constexpr std::array<std::string_view, 13> kTorchDtypes{
    "float64", "float32", "float16", "bfloat16", "int64",  "int32", "int16",
    "int8",    "uint8",   "bool",    "uint16",   "uint32", "uint64"};

/// One spelling for what Python 2, NumPy 2 and newer libraries call differently.
std::string one_spelling(std::string_view module) {
    for (const auto& [from, to] :
         {std::pair<std::string_view, std::string_view>{"__builtin__", "builtins"},
          {"copy_reg", "copyreg"},
          {"numpy._core", "numpy.core"},
          {"scipy.sparse._csc", "scipy.sparse.csc"},
          {"sklearn.externals.joblib", "joblib"},
          {"pathlib._local", "pathlib"}}) {
        if (module == from || (module.starts_with(from) && module[from.size()] == '.'))
            return std::string(to) + std::string(module.substr(from.size()));
    }
    return std::string(module);
}

const Entry* find(const auto& table, std::string_view name) {
    for (const auto& entry : table) {
        if (entry.name == name) return &entry;
    }
    return nullptr;
}

}  // namespace

Global global_of(std::string_view module, std::string_view name, bool torch,
                 const std::string& what) {
    const auto spelled = one_spelling(module);
    const auto full = fmt::format("{}.{}", spelled, name);
    if (const auto* entry = find(kData, full)) return entry->global;
    if (spelled == "chumpy" || spelled.starts_with("chumpy.")) return Global::kChumpy;
    if (torch) {
        if (const auto* entry = find(kTorch, full)) return entry->global;
        if ((spelled == "torch" || spelled == "torch.storage") && name.ends_with("Storage"))
            return Global::kTorchStorage;
        for (const auto dtype : kTorchDtypes) {
            if (spelled == "torch" && name == dtype) return Global::kTorchDtype;
        }
    }
    const char* cure =
        full == "torch.storage._load_from_bytes"
            ? "; it holds torch tensors: save arrays instead (tensor.numpy()), or use torch.save"
        : full.find('\r') != full.npos
            ? "; its line ends were changed (CRLF): copy the file again in binary mode"
            : "; save it as plain arrays, numbers, text, lists and dictionaries";
    throw Error(
        fmt::format("{}: a pickle that needs {}, which is no data: nothing is ever executed{}",
                    what, full, cure));
}

}  // namespace fmgs::detail
