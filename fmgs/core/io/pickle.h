#pragma once
/// Python pickles of protocols 0 to 5 (PEP 3154, PEP 574; the opcodes are those of Python's
/// pickletools), read as what they say: nothing is imported, called or built. Free of torch. Not
/// public.
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace fmgs::detail {

/// The classes and functions that data files name. Any other name is an Error.
enum class Global : int32_t {
    kReconstruct,     ///< numpy.core.multiarray._reconstruct, also numpy._core
    kScalar,          ///< numpy.core.multiarray.scalar
    kFromBuffer,      ///< numpy.core.numeric._frombuffer
    kNdarray,         ///< numpy.ndarray
    kDtype,           ///< numpy.dtype
    kCscMatrix,       ///< scipy.sparse.csc.csc_matrix, also scipy.sparse._csc
    kChumpy,          ///< any of chumpy's
    kJoblibArray,     ///< joblib.numpy_pickle.NumpyArrayWrapper
    kOrderedDict,     ///< collections.OrderedDict
    kDefaultDict,     ///< collections.defaultdict
    kSet,             ///< builtins.set
    kFrozenSet,       ///< builtins.frozenset
    kList,            ///< builtins.list
    kTuple,           ///< builtins.tuple
    kDict,            ///< builtins.dict
    kObject,          ///< builtins.object
    kBytes,           ///< builtins.bytes
    kByteArray,       ///< builtins.bytearray
    kPath,            ///< pathlib.PosixPath and its siblings
    kEncode,          ///< _codecs.encode
    kCopy,            ///< copyreg._reconstructor
    kTorchTensor,     ///< torch._utils._rebuild_tensor_v2, _v3
    kTorchParameter,  ///< torch._utils._rebuild_parameter
    kTorchStorage,    ///< torch.FloatStorage and its siblings
    kTorchDtype,      ///< torch.float32 and its siblings
    kTorchSize,       ///< torch.Size
};

/// Error, which names it, for all that is not in the list. `torch`: whether its names are known.
Global global_of(std::string_view module, std::string_view name, bool torch,
                 const std::string& what);

/// A node's number in its pickle.
using NodeId = uint32_t;
constexpr NodeId kNoNode = UINT32_MAX;

struct PickleNode {
    enum class Kind : uint8_t {
        kNone,
        kBoolean,     ///< integer: 0 or 1
        kInteger,     ///< integer
        kReal,        ///< real
        kText,        ///< text, UTF-8
        kBytes,       ///< text; Python 2's str, too
        kGlobal,      ///< integer: a Global; text: its full name
        kTuple,       ///< parts
        kList,        ///< parts
        kSet,         ///< parts
        kDict,        ///< parts: key, value, key, value, …
        kObject,      ///< parts: what was called, its arguments, its state, then key, value, …
        kPersistent,  ///< parts: the identifier (torch's storages)
    };
    Kind kind = Kind::kNone;
    uint32_t parts = 0;  ///< of Pickle::parts
    union {
        int64_t integer = 0;
        double real;
    };
    std::string_view text;
};

/// The nodes of a pickle. Text lies in the bytes that were read, which have to outlive it, or in
/// `unescaped`.
struct Pickle {
    std::string what;  ///< the file, for messages
    std::vector<PickleNode> nodes;
    std::vector<std::vector<NodeId>> parts;
    std::deque<std::string> unescaped;
    NodeId root = kNoNode;
    size_t size = 0;  ///< bytes that were read

    const PickleNode& node(NodeId id) const { return nodes[id]; }
    const std::vector<NodeId>& parts_of(NodeId id) const { return parts[nodes[id].parts]; }
    bool is(NodeId id, PickleNode::Kind kind) const {
        return id != kNoNode && nodes[id].kind == kind;
    }
    /// Whether this is the named class or function.
    bool is(NodeId id, Global global) const;
};

/// The parts of an object that are always there.
enum ObjectPart : size_t { kCalled, kArguments, kState, kFirstItem };

/// What may stand in a file beside plain pickles.
struct PickleOptions {
    bool torch = false;  ///< identifiers and names of torch's archives
    bool joblib = true;  ///< arrays whose bytes follow their description
};

/// Error, with `what` in front, when the bytes are no whole pickle, or one that names anything
/// beside data. Bytes after its end are left alone: `size` says where it ends.
Pickle parse_pickle(std::string_view bytes, const std::string& what,
                    const PickleOptions& options = {});

/// What Python's repr and raw-unicode-escape have made of bytes and text. Error for a broken
/// escape.
std::string unescape_repr(std::string_view text, const std::string& what);
std::string unescape_unicode(std::string_view text, const std::string& what);

}  // namespace fmgs::detail
