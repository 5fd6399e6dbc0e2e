#pragma once
/// What nodes of pickles say of arrays: dtypes, shapes, bytes. Not public.
#include <fmgs/core/io/npz.h>
#include <fmgs/core/io/pickle.h>

#include <optional>

namespace fmgs::detail {

struct PickledDtype {
    std::string descr;  ///< "<f4", ">i8", "|b1"
    bool objects = false;
};
/// Error for structures, dates, complex numbers and what is no dtype.
PickledDtype dtype_of(const Pickle& pickle, NodeId id);
/// A tuple of sizes, or one size. Error when it is neither.
std::vector<int64_t> shape_of(const Pickle& pickle, NodeId id);
/// Text or bytes; nothing for anything else.
std::optional<std::string_view> text_of(const Pickle& pickle, NodeId id);
/// Bytes, however they are wrapped (`_codecs.encode`, bytearray); `own` keeps those that had to be
/// made. Nothing for anything else.
std::optional<std::string_view> bytes_of(const Pickle& pickle, NodeId id, std::string& own);
/// The class of an object; kNoNode when that is no class.
NodeId class_of(const Pickle& pickle, NodeId object);
/// The i-th argument of an object's call; kNoNode where there is none.
NodeId argument(const Pickle& pickle, NodeId object, size_t i);
/// The value of an attribute in an object's state; kNoNode where there is none.
NodeId attribute(const Pickle& pickle, NodeId object, std::string_view name);

/// What joblib says of the array whose bytes follow.
struct JoblibArray {
    PickledDtype dtype;
    std::vector<int64_t> shape;
    bool fortran_order = false;
    bool aligned = false;  ///< a length and so many bytes are in front
    bool objects = false;  ///< a pickle follows instead
    uint64_t bytes = 0;
};
JoblibArray joblib_array(const Pickle& pickle, NodeId object);

}  // namespace fmgs::detail
