#include <fmgs/core/io/npz.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/file_kind.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/npz_reader.h>
#include <fmgs/core/io/zip.h>
#include <fmgs/core/memory.h>
#include <fmt/format.h>

namespace fmgs {

using detail::Zip;
using detail::ZipMember;

namespace {

Zip open_zip(const uint8_t* data, size_t size, const std::string& what) {
    const auto kind = detail::kind_of({reinterpret_cast<const char*>(data), size});
    if (kind != detail::FileKind::kZip && kind != detail::FileKind::kUnknown)
        throw Error(fmt::format(
            "{}: expected an .npz file (a zip of NumPy arrays), got {}; write its arrays with "
            "NumPy's savez",
            what, detail::words_of(kind)));
    return {data, size, what};
}

std::string array_name(const std::string& what, const std::string& key) {
    return what + ": '" + key + "'";
}

/// The arrays of a file by key.
std::map<std::string, ZipMember> arrays_of(const Zip& file) {
    std::map<std::string, ZipMember> out;
    for (const auto& member : file.members()) {
        constexpr std::string_view kSuffix = ".npy";
        if (!member.name.ends_with(kSuffix)) continue;
        const auto key = member.name.substr(0, member.name.size() - kSuffix.size());
        if (!out.emplace(key, member).second)
            throw Error(fmt::format("{}: '{}' is there twice", file.what(), key));
    }
    return out;
}

std::vector<uint8_t> unpack_member(const Zip& file, const std::string& key,
                                   const ZipMember& member) {
    file.check_claim(member);
    // The member and the array made of it are there at once.
    check_memory(2 * static_cast<double>(member.size), array_name(file.what(), key),
                 "is it what this file is meant to hold?");
    return file.unpack(member);
}

NpyArray unpack_array(const Zip& file, const std::string& key, const ZipMember& member) {
    const auto bytes = unpack_member(file, key, member);
    return parse_npy(bytes.data(), bytes.size(), array_name(file.what(), key));
}

}  // namespace

NpzFile parse_npz(const uint8_t* data, size_t size, const std::string& what) {
    const auto file = open_zip(data, size, what);
    NpzFile out;
    for (const auto& [key, member] : arrays_of(file))
        out.emplace(key, unpack_array(file, key, member));
    return out;
}

NpzFile read_npz(const std::filesystem::path& file) {
    const auto bytes = read_whole(file);
    return parse_npz(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), file.string());
}

struct NpzReader::State {
    State(std::string content, const std::string& what)
        : bytes(std::move(content)),
          file(open_zip(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), what)),
          members(arrays_of(file)) {}

    std::string bytes;
    Zip file;
    std::map<std::string, ZipMember> members;

    std::string keys() const {
        std::string names;
        for (const auto& [key, member] : members) names += (names.empty() ? "" : ", ") + key;
        return names.empty() ? "none" : names;
    }
    const ZipMember& member(const std::string& key) const {
        const auto found = members.find(key);
        if (found == members.end())
            throw Error(
                fmt::format("{}: there is no array '{}'; there are: {}", file.what(), key, keys()));
        return found->second;
    }
    /// f of the array; its Error gets the file and the key in front.
    template <class F>
    auto named(const std::string& key, F&& f) const {
        const auto array = unpack_array(file, key, member(key));
        try {
            return f(array);
        } catch (const Error& error) {
            throw Error(fmt::format("{}: '{}': {}", file.what(), key, error.what()));
        }
    }
};

NpzReader::NpzReader(const std::filesystem::path& file)
    : NpzReader(read_whole(file), file.string()) {}
NpzReader::NpzReader(std::string bytes, const std::string& what)
    : state_(new State{std::move(bytes), what}) {}
NpzReader::~NpzReader() = default;
NpzReader::NpzReader(NpzReader&&) noexcept = default;
NpzReader& NpzReader::operator=(NpzReader&&) noexcept = default;

const std::string& NpzReader::name() const { return state_->file.what(); }
std::vector<std::string> NpzReader::names() const {
    std::vector<std::string> names;
    for (const auto& [key, member] : state_->members) names.push_back(key);
    return names;
}
std::string NpzReader::keys() const { return state_->keys(); }
bool NpzReader::contains(const std::string& key) const { return state_->members.contains(key); }

NpyHeader NpzReader::header(const std::string& key) const {
    const auto bytes = state_->file.unpack(state_->member(key), kLongestNpyHeader);
    return parse_npy_header(bytes.data(), bytes.size(), array_name(name(), key));
}
std::vector<uint8_t> NpzReader::bytes(const std::string& key) const {
    return unpack_member(state_->file, key, state_->member(key));
}
NpyArray NpzReader::array(const std::string& key) const {
    return unpack_array(state_->file, key, state_->member(key));
}
torch::Tensor NpzReader::tensor(const std::string& key) const {
    return state_->named(key, [](const NpyArray& x) { return x.tensor(); });
}
std::vector<std::string> NpzReader::strings(const std::string& key) const {
    return state_->named(key, [](const NpyArray& x) { return x.strings(); });
}

}  // namespace fmgs
