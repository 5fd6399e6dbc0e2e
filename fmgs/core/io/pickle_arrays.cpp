/// The arrays of PickleValues: NumPy's, joblib's, SciPy's, chumpy's.
#include <fmgs/core/check.h>
#include <fmgs/core/io/npy_layout.h>
#include <fmgs/core/io/pickle_numpy.h>
#include <fmgs/core/io/pickle_values.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace fmgs::detail {

using Kind = PickleNode::Kind;

namespace {

const uint8_t* data_of(std::string_view bytes) {
    return reinterpret_cast<const uint8_t*>(bytes.data());
}

/// Lists of lists as the shape says; `at` walks over the items.
Value nested(const Value::List& items, const std::vector<int64_t>& shape, size_t axis, size_t& at) {
    Value::List out;
    for (int64_t i = 0; i < shape[axis]; ++i)
        out.push_back(axis + 1 == shape.size() ? items[at++] : nested(items, shape, axis + 1, at));
    return Value(std::move(out));
}

/// One element as what it is.
Value scalar_value(const NpyArray& array) {
    if (!is_numeric(array)) {
        const auto texts = array.strings();
        return Value(texts.empty() ? std::string() : texts.front());
    }
    if (array.dtype == "b1") return Value(integer_at(array, 0) != 0);
    return array.dtype[0] == 'f' ? Value(real_at(array, 0)) : Value(integer_at(array, 0));
}

}  // namespace

Value array_or_text(NpyArray array) {
    return array.shape.empty() && !is_numeric(array) ? scalar_value(array)
                                                     : Value(std::move(array));
}

Value PickleValues::array_value(const std::string& descr, const std::vector<int64_t>& shape,
                                bool fortran_order, std::string_view bytes) {
    charge(static_cast<double>(bytes.size()));
    return array_or_text(
        array_of(descr, shape, fortran_order, data_of(bytes), bytes.size(), pickle_.what));
}

Value PickleValues::objects(NodeId list, const std::vector<int64_t>& shape) {
    if (!pickle_.is(list, Kind::kList)) fail("an array of objects without its objects");
    const auto items = value(list);
    const auto count = checked_count(shape, pickle_.what);
    if (items.list().size() != static_cast<uint64_t>(count))
        fail(fmt::format("an array of objects of shape {} holds {} of them", shape_text(shape),
                         items.list().size()));
    if (shape.empty()) return items.list().front();
    size_t at = 0;
    return count == 0 || shape.size() == 1 ? items : nested(items.list(), shape, 0, at);
}

Value PickleValues::ndarray(NodeId id) {
    if (!pickle_.is(argument(pickle_, id, 0), Global::kNdarray))
        fail("an array of a class of its own is not read; save numpy.asarray(it)");
    const auto state = pickle_.parts_of(id)[kState];
    if (!pickle_.is(state, Kind::kTuple)) fail("an array without its values");
    const auto& parts = pickle_.parts_of(state);
    if (parts.size() != 4 && parts.size() != 5) fail("an array without its values");
    const size_t first = parts.size() - 4;  // a version is in front since NumPy 1.0
    const auto shape = shape_of(pickle_, parts[first]);
    const auto dtype = dtype_of(pickle_, parts[first + 1]);
    if (dtype.objects) return objects(parts[first + 3], shape);
    const auto& order = pickle_.node(parts[first + 2]);
    if (order.kind != Kind::kBoolean && order.kind != Kind::kInteger)
        fail("an array whose order is not said");
    std::string own;
    const auto bytes = bytes_of(pickle_, parts[first + 3], own);
    if (!bytes) fail("an array without its bytes");
    return array_value(dtype.descr, shape, order.integer != 0, *bytes);
}

Value PickleValues::scalar(NodeId id) {
    const auto dtype = dtype_of(pickle_, argument(pickle_, id, 0));
    std::string own;
    const auto bytes = bytes_of(pickle_, argument(pickle_, id, 1), own);
    if (!bytes || dtype.objects) fail("a number of NumPy without its bytes");
    return scalar_value(
        array_of(dtype.descr, {}, false, data_of(*bytes), bytes->size(), pickle_.what));
}

Value PickleValues::from_buffer(NodeId id) {
    const auto part = [&](size_t i) { return argument(pickle_, id, i); };
    std::string own;
    const auto bytes = bytes_of(pickle_, part(0), own);
    if (!bytes) fail("an array without its bytes");
    const auto dtype = dtype_of(pickle_, part(1));
    const auto shape = shape_of(pickle_, part(2));
    const auto order = text_of(pickle_, part(3));
    if (!order || (*order != "C" && *order != "F" && *order != "K"))
        fail("an array whose order is not said");
    auto array = array_value(dtype.descr, shape, *order == "F", *bytes);
    if (*order != "K") return array;
    // The axes lie in another order than C's or Fortran's: shape is that of the bytes.
    const auto axes = shape_of(pickle_, part(4));
    auto sorted = axes;
    std::sort(sorted.begin(), sorted.end());
    for (size_t k = 0; k < sorted.size(); ++k) {
        if (sorted[k] != static_cast<int64_t>(k)) fail("an array whose axes are no permutation");
    }
    if (axes.size() != shape.size() || !array.is_array())
        fail("an array whose axes are no permutation");
    auto source = array.array();
    const auto item = *item_size(source.dtype);
    std::vector<int64_t> own_strides(shape.size(), item), strides, sizes;
    for (size_t k = shape.size(); k-- > 1;) own_strides[k - 1] = own_strides[k] * shape[k];
    for (const auto axis : axes) {
        strides.push_back(own_strides[static_cast<size_t>(axis)]);
        sizes.push_back(shape[static_cast<size_t>(axis)]);
    }
    return Value(NpyArray{source.dtype, sizes, strided(source.bytes.data(), sizes, strides, item)});
}

Value PickleValues::joblib(NodeId id) {
    const auto array = joblib_array(pickle_, id);
    if (array.objects) {
        const auto& parts = pickle_.parts_of(id);
        if (parts.size() <= kFirstItem) fail("an array of joblib without its objects");
        return value(parts[kFirstItem]);
    }
    return array_value(array.dtype.descr, array.shape, array.fortran_order, pickle_.node(id).text);
}

NpyArray PickleValues::array_of_node(NodeId id, const char* name) {
    if (id == kNoNode) fail(fmt::format("'{}' of a matrix or of chumpy is missing", name));
    return value(id).array();
}

Value PickleValues::csc_matrix(NodeId id) {
    const auto part = [&](const char* name) { return attribute(pickle_, id, name); };
    const auto shape =
        shape_of(pickle_, part("_shape") != kNoNode ? part("_shape") : part("shape"));
    const auto data = array_of_node(part("data"), "data");
    const auto rows = array_of_node(part("indices"), "indices");
    const auto starts = array_of_node(part("indptr"), "indptr");
    const int64_t entries = data.count();
    if (shape.size() != 2 || shape[0] < 0 || shape[1] < 0 || rows.count() != entries ||
        starts.count() - 1 != shape[1] || !is_numeric(data))
        fail("a sparse matrix (csc) whose parts do not go together");
    const auto cells = static_cast<double>(shape[0]) * static_cast<double>(shape[1]);
    charge(8 * cells);
    NpyArray out{"f8", shape, std::vector<uint8_t>(static_cast<size_t>(8 * cells))};
    int64_t begin = 0;
    for (int64_t column = 0; column < shape[1]; ++column) {
        const auto end = integer_at(starts, column + 1);
        if (integer_at(starts, column) != begin || end < begin || end > entries)
            fail("a sparse matrix (csc) whose columns are out of order");
        for (; begin < end; ++begin) {
            const auto row = integer_at(rows, begin);
            if (row < 0 || row >= shape[0])
                fail(fmt::format("a sparse matrix (csc) of {} rows with an entry in row {}",
                                 shape[0], row));
            double sum = 0;  // entries that are there twice are added, as SciPy does
            auto* cell = out.bytes.data() + 8 * (row * shape[1] + column);
            std::memcpy(&sum, cell, 8);
            sum += real_at(data, begin);
            std::memcpy(cell, &sum, 8);
        }
    }
    if (begin != entries) fail("a sparse matrix (csc) with entries outside its columns");
    return Value(std::move(out));
}

/// ravel(a)[idxs], reshaped.
Value PickleValues::select(NodeId id) {
    const auto from = array_of_node(attribute(pickle_, id, "a"), "a");
    const auto indices = array_of_node(attribute(pickle_, id, "idxs"), "idxs");
    const auto wanted = attribute(pickle_, id, "preferred_shape");
    auto shape = wanted == kNoNode || pickle_.is(wanted, Kind::kNone) ? indices.shape
                                                                      : shape_of(pickle_, wanted);
    if (!is_numeric(from)) fail("chumpy.reordering.Select of what are no numbers");
    const int64_t count = from.count(), chosen = indices.count();
    if (checked_count(shape, pickle_.what) != chosen)
        fail(fmt::format("chumpy.reordering.Select of {} values as {}", chosen, shape_text(shape)));
    const auto item = static_cast<size_t>(*item_size(from.dtype));
    charge(static_cast<double>(item) * static_cast<double>(chosen));
    NpyArray out{from.dtype, shape, std::vector<uint8_t>(item * static_cast<size_t>(chosen))};
    for (int64_t i = 0; i < chosen; ++i) {
        const auto at = integer_at(indices, i);
        if (at < 0 || at >= count)
            fail(fmt::format("chumpy.reordering.Select takes value {} of {}", at, count));
        std::memcpy(out.bytes.data() + item * static_cast<size_t>(i),
                    from.bytes.data() + item * static_cast<size_t>(at), item);
    }
    return Value(std::move(out));
}

}  // namespace fmgs::detail
