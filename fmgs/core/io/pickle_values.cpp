#include <fmgs/core/io/pickle_values.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/npy_layout.h>
#include <fmgs/core/io/pickle_numpy.h>
#include <fmt/format.h>

namespace fmgs::detail {

using Kind = PickleNode::Kind;

namespace {

constexpr int kDeepest = 200;
constexpr uint64_t kMostMet = uint64_t{1} << 26;
constexpr uint64_t kUnderWay = UINT64_MAX;

}  // namespace

Value pickle_value(std::string_view bytes, const std::string& what) {
    const auto pickle = parse_pickle(bytes, what);
    if (pickle.size != bytes.size())
        throw Error(fmt::format("{}: {} bytes after the end of the pickle", what,
                                bytes.size() - pickle.size));
    return PickleValues(pickle, bytes.size()).root();
}

PickleValues::PickleValues(const Pickle& pickle, uint64_t input, Tensor tensor)
    : pickle_(pickle),
      tensor_(std::move(tensor)),
      // What a file holds is copied out of it once or twice; the rest is for sparse matrices.
      budget_(3.0 * static_cast<double>(input) + 512e6),
      done_(pickle.parts.size()),
      weight_(pickle.parts.size(), 0) {}

Value PickleValues::root() {
    try {
        return value(pickle_.root);
    } catch (const Error& error) {
        if (std::string_view(error.what()).starts_with(pickle_.what)) throw;
        fail(error.what());
    }
}

void PickleValues::fail(const std::string& problem) const {
    throw Error(fmt::format("{}: {}", pickle_.what, problem));
}

void PickleValues::charge(double bytes) {
    budget_ -= bytes;
    if (budget_ < 0)
        fail(
            "its arrays take far more memory than the file has bytes; is it what it claims to be?");
}

Value PickleValues::value(NodeId id) {
    if (++met_ > kMostMet) fail(fmt::format("it holds more than {} values", kMostMet));
    const auto part = pickle_.node(id).parts;
    if (part == 0) return made(id);
    if (weight_[part] == kUnderWay) fail("a list, dictionary or object that holds itself");
    if (weight_[part] > 0) {
        met_ += weight_[part] - 1;
        if (met_ > kMostMet) fail(fmt::format("it holds more than {} values", kMostMet));
        return done_[part];
    }
    if (depth_ == kDeepest) fail(fmt::format("it is nested more than {} deep", kDeepest));
    const auto before = met_;
    weight_[part] = kUnderWay;
    ++depth_;
    done_[part] = made(id);
    --depth_;
    weight_[part] = met_ - before + 1;
    return done_[part];
}

Value PickleValues::made(NodeId id) {
    const auto& node = pickle_.node(id);
    switch (node.kind) {
        case Kind::kNone:
            return Value();
        case Kind::kBoolean:
            return Value(node.integer != 0);
        case Kind::kInteger:
            return Value(node.integer);
        case Kind::kReal:
            return Value(node.real);
        case Kind::kText:
        case Kind::kBytes:
            charge(static_cast<double>(node.text.size()));
            return Value(std::string(node.text));
        case Kind::kGlobal:
            if (pickle_.is(id, Global::kTorchDtype)) return Value(std::string(node.text));
            fail(fmt::format("{} stands where data are expected", node.text));
        case Kind::kTuple:
        case Kind::kList:
        case Kind::kSet:
            return list_of(pickle_.parts_of(id));
        case Kind::kDict:
            return dictionary({}, pickle_.parts_of(id), 0);
        case Kind::kObject:
            return object(id);
        case Kind::kPersistent:
            fail("a bare storage of torch; save tensors");
    }
    fail("a node of no kind");
}

Value PickleValues::list_of(const std::vector<NodeId>& items) {
    Value::List out;
    out.reserve(items.size());
    for (const auto item : items) out.push_back(value(item));
    return Value(std::move(out));
}

Value PickleValues::dictionary(const std::vector<NodeId>& pairs, const std::vector<NodeId>& items,
                               size_t from) {
    Value::Dict out;
    out.reserve(pairs.size() + (items.size() - from) / 2);
    for (const auto pair : pairs) {
        if (!pickle_.is(pair, Kind::kTuple) && !pickle_.is(pair, Kind::kList))
            fail("a dictionary of what are no pairs");
        const auto& two = pickle_.parts_of(pair);
        if (two.size() != 2) fail("a dictionary of what are no pairs");
        auto key = value(two[0]);
        out.emplace_back(std::move(key), value(two[1]));
    }
    for (size_t i = from; i + 1 < items.size(); i += 2) {
        auto key = value(items[i]);
        out.emplace_back(std::move(key), value(items[i + 1]));
    }
    return Value(std::move(out));
}

Value PickleValues::object(NodeId id) {
    const auto made = class_of(pickle_, id);
    if (!pickle_.is(made, Kind::kGlobal)) fail("an object of no class");
    return data_object(id, static_cast<Global>(pickle_.node(made).integer));
}

Value PickleValues::data_object(NodeId id, Global global) {
    switch (global) {
        case Global::kReconstruct:
            return ndarray(id);
        case Global::kScalar:
            return scalar(id);
        case Global::kFromBuffer:
            return from_buffer(id);
        case Global::kDtype:
            return Value(dtype_of(pickle_, id).descr);
        case Global::kCscMatrix:
            return csc_matrix(id);
        case Global::kChumpy:
            return chumpy(id);
        case Global::kJoblibArray:
            return joblib(id);
        case Global::kOrderedDict:
        case Global::kDefaultDict:
        case Global::kDict:
            return mapping(id);
        case Global::kSet:
        case Global::kFrozenSet:
        case Global::kList:
        case Global::kTuple:
            return sequence(id);
        case Global::kPath:
            return path(id);
        case Global::kTorchTensor:
            return Value(tensor_(id));
        case Global::kTorchParameter:
        case Global::kTorchSize:
            if (const auto inner = argument(pickle_, id, 0); inner != kNoNode) return value(inner);
            fail("a tensor or size of torch that is empty");
        case Global::kBytes:
        case Global::kByteArray:
        case Global::kEncode: {
            std::string own;
            const auto bytes = bytes_of(pickle_, id, own);
            if (!bytes) fail("bytes that are none");
            charge(static_cast<double>(bytes->size()));
            return Value(std::string(*bytes));
        }
        default:
            fail(fmt::format("an object of class {}, which is no data",
                             pickle_.node(class_of(pickle_, id)).text));
    }
}

/// dict(), dict([(key, value), …]), OrderedDict(…), defaultdict(factory), and entries set later.
Value PickleValues::mapping(NodeId id) {
    const bool counts = pickle_.is(class_of(pickle_, id), Global::kDefaultDict);
    const bool copied = pickle_.is(pickle_.parts_of(id)[kCalled], Global::kCopy);
    const auto first = copied ? argument(pickle_, id, 2) : argument(pickle_, id, counts ? 1 : 0);
    std::vector<NodeId> pairs, items;
    if (pickle_.is(first, Kind::kList) || pickle_.is(first, Kind::kTuple))
        pairs = pickle_.parts_of(first);
    else if (pickle_.is(first, Kind::kDict))
        items = pickle_.parts_of(first);
    else if (first != kNoNode && !pickle_.is(first, Kind::kNone))
        fail("a dictionary made of what is no dictionary");
    const auto& parts = pickle_.parts_of(id);
    items.insert(items.end(), parts.begin() + kFirstItem, parts.end());
    return dictionary(pairs, items, 0);
}

Value PickleValues::sequence(NodeId id) {
    const bool copied = pickle_.is(pickle_.parts_of(id)[kCalled], Global::kCopy);
    const auto items = argument(pickle_, id, copied ? 2 : 0);
    if (items == kNoNode) return Value(Value::List{});
    if (!pickle_.is(items, Kind::kList) && !pickle_.is(items, Kind::kTuple) &&
        !pickle_.is(items, Kind::kSet))
        fail("a set or list made of what is none");
    return value(items);
}

Value PickleValues::path(NodeId id) {
    std::string text;
    for (const auto part : pickle_.parts_of(pickle_.parts_of(id)[kArguments])) {
        const auto word = text_of(pickle_, part);
        if (!word) fail("a path whose parts are no text");
        charge(static_cast<double>(word->size()));
        if (!text.empty() && text.back() != '/') text += '/';
        text += *word;
    }
    return Value(std::move(text));
}

Value PickleValues::chumpy(NodeId id) {
    const auto name = pickle_.node(class_of(pickle_, id)).text;
    if (name.ends_with(".Select")) return select(id);
    if (const auto x = attribute(pickle_, id, "x"); x != kNoNode) return value(x);
    // Whoever does not ask for it need not care.
    auto message = fmt::format(
        "{}: {} is an expression of chumpy, whose value is not in the file; in Python with chumpy, "
        "replace each such entry by numpy.array(entry) and save again",
        pickle_.what, name);
    return Value::later([message = std::move(message)]() -> Value { throw Error(message); });
}

}  // namespace fmgs::detail
