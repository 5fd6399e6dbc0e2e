#include <fmgs/core/io/torch_tensor.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/npy_layout.h>
#include <fmgs/core/io/pickle_numpy.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace fmgs::detail {

using Kind = PickleNode::Kind;

namespace {

struct TypeName {
    std::string_view name;   ///< of torch.TYPEStorage or torch.TYPE
    std::string_view dtype;  ///< as NumPy has it; "bf" is none of NumPy's
};
constexpr std::array kTypes{TypeName{"DoubleStorage", "f8"},  TypeName{"FloatStorage", "f4"},
                            TypeName{"HalfStorage", "f2"},    TypeName{"BFloat16Storage", "bf"},
                            TypeName{"LongStorage", "i8"},    TypeName{"IntStorage", "i4"},
                            TypeName{"ShortStorage", "i2"},   TypeName{"CharStorage", "i1"},
                            TypeName{"ByteStorage", "u1"},    TypeName{"BoolStorage", "b1"},
                            TypeName{"UntypedStorage", "u1"}, TypeName{"float64", "f8"},
                            TypeName{"float32", "f4"},        TypeName{"float16", "f2"},
                            TypeName{"bfloat16", "bf"},       TypeName{"int64", "i8"},
                            TypeName{"int32", "i4"},          TypeName{"int16", "i2"},
                            TypeName{"int8", "i1"},           TypeName{"uint8", "u1"},
                            TypeName{"bool", "b1"},           TypeName{"uint16", "u2"},
                            TypeName{"uint32", "u4"},         TypeName{"uint64", "u8"}};

[[noreturn]] void fail(const Pickle& pickle, const std::string& problem) {
    throw Error(fmt::format("{}: {}", pickle.what, problem));
}

std::string dtype_named(const std::string& type, const std::string& what) {
    for (const auto& known : kTypes) {
        if (known.name == type) return std::string(known.dtype);
    }
    throw Error(fmt::format("{}: tensors of torch's {} are not read", what, type));
}

/// torch.float32 → float32
std::string last_word(std::string_view name) {
    return std::string(name.substr(name.rfind('.') + 1));
}

/// A place in a storage; offset and strides in elements.
struct View {
    std::string key, type;
    int64_t offset = 0;
    std::vector<int64_t> shape, strides;
};

/// torch._utils._rebuild_tensor_v2(storage, offset, size, stride, …); _v3 has a dtype behind.
View view_of(const Pickle& pickle, NodeId id) {
    const auto part = [&](size_t i) { return argument(pickle, id, i); };
    if (!pickle.is(part(0), Kind::kPersistent) || !pickle.is(part(1), Kind::kInteger))
        fail(pickle, "a tensor without its storage");
    const auto storage = storage_of(pickle, part(0));
    const auto dtype = part(6);
    View out{
        storage.key,
        pickle.is(dtype, Global::kTorchDtype) ? last_word(pickle.node(dtype).text) : storage.type,
        pickle.node(part(1)).integer, shape_of(pickle, part(2)), shape_of(pickle, part(3))};
    if (out.shape.size() != out.strides.size()) fail(pickle, "a tensor whose strides do not fit");
    return out;
}

/// Whether all elements lie in a storage of so many.
bool fits(const View& view, int64_t elements) {
    int64_t last = view.offset;
    if (view.offset < 0) return false;
    for (size_t k = 0; k < view.shape.size(); ++k) {
        int64_t reach = 0;
        if (view.strides[k] < 0 ||
            __builtin_mul_overflow(view.shape[k] - 1, view.strides[k], &reach) ||
            __builtin_add_overflow(last, reach, &last))
            return false;
    }
    return last < elements;
}

/// bfloat16 is the upper half of float.
NpyArray widened(const NpyArray& half) {
    NpyArray out{"f4", half.shape, std::vector<uint8_t>(2 * half.bytes.size(), 0)};
    for (size_t i = 0; i < half.bytes.size(); i += 2)
        std::memcpy(out.bytes.data() + 2 * i + 2, half.bytes.data() + i, 2);
    return out;
}

NpyArray tensor_of(const Pickle& pickle, PickleValues& values, const TorchStorages& storages,
                   NodeId id) {
    const auto view = view_of(pickle, id);
    const auto dtype = dtype_named(view.type, pickle.what);
    const int64_t item = torch_item_size(view.type, pickle.what);
    const int64_t count = checked_count(view.shape, pickle.what);
    const auto bytes = storages.bytes(view.key);
    NpyArray out{dtype == "bf" ? "u2" : dtype, view.shape, {}};
    if (count > 0) {
        if (!fits(view, static_cast<int64_t>(bytes.size()) / item))
            fail(pickle, "a tensor that reaches outside its storage");
        values.charge(2.0 * static_cast<double>(count) * static_cast<double>(item));
        auto strides = view.strides;
        for (size_t k = 0; k < strides.size(); ++k) {
            // Of a size of one nothing is said, so that it may be any number.
            strides[k] = view.shape[k] == 1 ? 0 : strides[k] * item;
        }
        out.bytes = strided(reinterpret_cast<const uint8_t*>(bytes.data()) + view.offset * item,
                            view.shape, strides, item);
    }
    if (storages.big_endian) swap_bytes(out.bytes, item);
    return dtype == "bf" ? widened(out) : out;
}

}  // namespace

TorchStorage storage_of(const Pickle& pickle, NodeId persistent) {
    const auto identifier = pickle.parts_of(persistent).front();
    if (pickle.is(identifier, Kind::kTuple) && pickle.parts_of(identifier).size() > 4) {
        const auto& words = pickle.parts_of(identifier);
        const auto key = text_of(pickle, words[2]);
        if (key && pickle.is(words[1], Global::kTorchStorage))
            return {std::string(*key), last_word(pickle.node(words[1]).text)};
    }
    fail(pickle, "a storage of torch without its name");
}

int64_t torch_item_size(const std::string& type, const std::string& what) {
    const auto dtype = dtype_named(type, what);
    return dtype == "bf" ? 2 : *item_size(dtype);
}

Value torch_tensors(const Pickle& pickle, uint64_t input, const TorchStorages& storages) {
    PickleValues* made = nullptr;
    PickleValues values(pickle, input,
                        [&](NodeId id) { return tensor_of(pickle, *made, storages, id); });
    made = &values;
    return values.root();
}

}  // namespace fmgs::detail
