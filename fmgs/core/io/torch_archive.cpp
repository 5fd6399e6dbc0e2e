/// What torch.save writes: a zip of a pickle and the values of each storage, and before torch 1.6
/// pickles and values one after the other.
#include <fmgs/core/check.h>
#include <fmgs/core/io/pickle_numpy.h>
#include <fmgs/core/io/torch_tensor.h>
#include <fmgs/core/io/value_parts.h>
#include <fmgs/core/memory.h>
#include <fmt/format.h>

#include <map>

namespace fmgs::detail {

using Kind = PickleNode::Kind;

namespace {

constexpr std::string_view kPickle = "data.pkl";
/// The pickle of the number 0x1950a86a20f9469cfc6c.
constexpr std::string_view kOldMagic("\x80\x02\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19.", 15);
constexpr PickleOptions kTorch{.torch = true, .joblib = false};
constexpr PickleOptions kPlain{.torch = false, .joblib = false};

/// "NAME/data.pkl"
const ZipMember* find_pickle(const Zip& zip) {
    for (const auto& member : zip.members()) {
        const std::string_view name = member.name;
        if (name == kPickle ||
            (name.ends_with("/data.pkl") && name.find('/') == name.size() - kPickle.size() - 1))
            return &member;
    }
    return nullptr;
}

std::string unpack(const Zip& zip, const ZipMember& member) {
    zip.check_claim(member);
    check_memory(2 * static_cast<double>(member.size), zip.what(), "is it what it claims to be?");
    const auto bytes = zip.unpack(member);
    return {bytes.begin(), bytes.end()};
}

/// Numbers of elements and values of the storages, in the order of `keys`.
std::map<std::string, std::string_view> old_storages(std::string_view bytes, const Pickle& pickle,
                                                     const std::vector<std::string>& keys) {
    std::map<std::string, int64_t> item_sizes;
    for (NodeId id = 0; id < pickle.nodes.size(); ++id) {
        if (!pickle.is(id, Kind::kPersistent)) continue;
        const auto storage = storage_of(pickle, id);
        item_sizes[storage.key] = torch_item_size(storage.type, pickle.what);
    }
    std::map<std::string, std::string_view> out;
    for (const auto& key : keys) {
        uint64_t count = 0;
        for (size_t i = 0; i < 8 && i < bytes.size(); ++i)
            count |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
        const auto item = static_cast<uint64_t>(item_sizes.contains(key) ? item_sizes[key] : 0);
        if (bytes.size() < 8 || item == 0 || count > (bytes.size() - 8) / item)
            throw Error(fmt::format("{}: cut off: the values of storage '{}' are missing",
                                    pickle.what, key));
        out[key] = bytes.substr(8, count * item);
        bytes.remove_prefix(8 + count * item);
    }
    return out;
}

}  // namespace

bool is_torch_archive(const Zip& zip) { return find_pickle(zip) != nullptr; }

Value torch_value(const Zip& zip) {
    const auto& member = *find_pickle(zip);
    const auto folder = member.name.substr(0, member.name.size() - kPickle.size());
    std::map<std::string, const ZipMember*> members;
    for (const auto& each : zip.members()) members.emplace(each.name, &each);
    const auto find = [&](const std::string& name) {
        const auto found = members.find(folder + name);
        return found == members.end() ? nullptr : found->second;
    };
    if (find("constants.pkl"))
        throw Error(fmt::format(
            "{}: a TorchScript program; save its tensors with torch.save instead", zip.what()));
    const auto text = unpack(zip, member);
    const auto pickle = parse_pickle(text, zip.what(), kTorch);
    uint64_t input = 0;
    for (const auto& each : zip.members()) input += each.packed;
    std::map<std::string, std::string> storages;
    TorchStorages kept;
    kept.bytes = [&](const std::string& key) -> std::string_view {
        const auto found = storages.find(key);
        if (found != storages.end()) return found->second;
        const auto* values = find("data/" + key);
        if (!values)
            throw Error(fmt::format("{}: the values of storage '{}' are missing", zip.what(),
                                    key.substr(0, 40)));
        return storages.emplace(key, unpack(zip, *values)).first->second;
    };
    if (const auto* order = find("byteorder")) kept.big_endian = unpack(zip, *order) == "big";
    return torch_tensors(pickle, input, kept);
}

bool is_old_torch(std::string_view bytes) { return bytes.starts_with(kOldMagic); }

Value old_torch_value(std::string_view bytes, const std::string& what) {
    const auto input = bytes.size();
    bytes.remove_prefix(kOldMagic.size());
    const auto next = [&](const PickleOptions& options) {
        auto pickle = parse_pickle(bytes, what, options);
        bytes.remove_prefix(pickle.size);
        return pickle;
    };
    const auto protocol = next(kPlain);
    if (!protocol.is(protocol.root, Kind::kInteger) || protocol.node(protocol.root).integer != 1001)
        throw Error(fmt::format("{}: a torch file of an unknown protocol", what));
    const auto system = next(kPlain);
    const auto order = PickleValues(system, input).root();
    const auto pickle = next(kTorch);
    const auto key_pickle = next(kPlain);
    const auto keys = PickleValues(key_pickle, input).root().strings();
    const auto storages = old_storages(bytes, pickle, keys);
    TorchStorages kept;
    kept.bytes = [&](const std::string& key) {
        const auto found = storages.find(key);
        if (found == storages.end())
            throw Error(
                fmt::format("{}: the values of storage '{}' are missing", what, key.substr(0, 40)));
        return found->second;
    };
    const auto* little = order.find("little_endian");
    kept.big_endian = little && little->is_number() && little->number() == 0;
    return torch_tensors(pickle, input, kept);
}

}  // namespace fmgs::detail
