#include <fmgs/core/io/safetensors.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>

namespace fmgs {

static_assert(std::endian::native == std::endian::little, "safetensors holds little-endian bytes");

namespace {

using nlohmann::json;
using nlohmann::ordered_json;
// Some ten thousand tensors. The format allows 100 MB, in which looking up names would take hours.
constexpr uint64_t kLargestHeader = 1 << 20;
constexpr const char* kMetadata = "__metadata__";

struct DtypeName {
    const char* name;
    torch::ScalarType type;
};
constexpr DtypeName kDtypes[] = {{"F32", torch::kFloat32}, {"F64", torch::kFloat64},
                                 {"F16", torch::kFloat16}, {"BF16", torch::kBFloat16},
                                 {"I64", torch::kInt64},   {"I32", torch::kInt32},
                                 {"I16", torch::kInt16},   {"I8", torch::kInt8},
                                 {"U8", torch::kUInt8},    {"BOOL", torch::kBool}};

const char* dtype_name(const std::string& tensor, torch::ScalarType type) {
    for (const auto& dtype : kDtypes) {
        if (dtype.type == type) return dtype.name;
    }
    throw Error(
        fmt::format("tensor {}: safetensors has no type for {}", tensor, c10::toString(type)));
}

struct Entry {
    std::string name;
    torch::ScalarType type;
    std::vector<int64_t> shape;
    uint64_t begin, end;
};

uint64_t count_of(const json& value, const std::string& where) {
    if (!value.is_number_unsigned())  // lists may be nested too deep for dump()
        throw Error(fmt::format("{}: expected a count, got {}", where,
                                value.is_structured() ? value.type_name() : value.dump()));
    return value.get<uint64_t>();
}

/// One entry of the header; the shape must fill the bytes exactly, so nothing overflows.
Entry parse_entry(const std::string& name, const json& value, uint64_t data_size,
                  const std::string& what) {
    const std::string where = fmt::format("{}: tensor '{}'", what, name);
    if (!value.is_object() || !value.contains("dtype") || !value.contains("shape") ||
        !value.contains("data_offsets")) {
        throw Error(fmt::format("{}: expected dtype, shape and data_offsets", where));
    }
    const auto& offsets = value["data_offsets"];
    if (!value["dtype"].is_string() || !value["shape"].is_array() || !offsets.is_array() ||
        offsets.size() != 2) {
        throw Error(fmt::format("{}: dtype, shape or data_offsets has the wrong form", where));
    }
    const auto dtype = value["dtype"].get<std::string>();
    const auto* known = std::find_if(std::begin(kDtypes), std::end(kDtypes),
                                     [&](const DtypeName& d) { return dtype == d.name; });
    if (known == std::end(kDtypes))
        throw Error(fmt::format("{}: unknown dtype '{}'", where, dtype));
    Entry entry{name, known->type, {}, count_of(offsets[0], where), count_of(offsets[1], where)};
    if (entry.begin > entry.end || entry.end > data_size) {
        throw Error(fmt::format("{}: bytes {} to {} do not lie in the {} bytes of the file", where,
                                entry.begin, entry.end, data_size));
    }
    const uint64_t bytes = entry.end - entry.begin;
    uint64_t product = c10::elementSize(known->type);
    bool empty = false, fits = true;
    for (const auto& item : value["shape"]) {
        const uint64_t size = count_of(item, where);
        fits = fits && size <= static_cast<uint64_t>(INT64_MAX) &&
               (size == 0 || product <= UINT64_MAX / size);
        if (!fits) break;
        empty = empty || size == 0;
        if (size != 0) product *= size;
        entry.shape.push_back(static_cast<int64_t>(size));
    }
    if (!fits || entry.shape.size() > 64 || (empty ? 0 : product) != bytes ||
        (empty && product > static_cast<uint64_t>(INT64_MAX))) {
        throw Error(fmt::format("{}: the shape does not fill its {} bytes", where, bytes));
    }
    return entry;
}

Metadata parse_metadata(const json& value, const std::string& what) {
    Metadata out;
    if (!value.is_object())
        throw Error(fmt::format("{}: {} is not an object of strings", what, kMetadata));
    for (const auto& item : value.items()) {
        if (!item.value().is_string())
            throw Error(fmt::format("{}: {}: expected strings, got {} for '{}'", what, kMetadata,
                                    item.value().type_name(), item.key()));
        out[item.key()] = item.value().get<std::string>();
    }
    return out;
}

std::vector<Entry> parse_header(const char* text, uint64_t length, uint64_t data_size,
                                const std::string& what, Metadata& metadata) {
    const auto header = json::parse(text, text + length, nullptr, /*allow_exceptions=*/false);
    if (!header.is_object())
        throw Error(fmt::format(
            "{}: the header is not a JSON object; the file is damaged or not safetensors", what));
    std::vector<Entry> entries;
    for (const auto& item : header.items()) {
        if (item.key() == kMetadata)
            metadata = parse_metadata(item.value(), what);
        else
            entries.push_back(parse_entry(item.key(), item.value(), data_size, what));
    }
    std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
        return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
    });
    uint64_t at = 0;
    for (const auto& entry : entries) {
        if (entry.begin != at)
            throw Error(
                fmt::format("{}: tensor '{}' overlaps another or leaves a hole", what, entry.name));
        at = entry.end;
    }
    if (at != data_size)
        throw Error(fmt::format("{}: {} bytes belong to no tensor", what, data_size - at));
    return entries;
}

/// The header is JSON, so UTF-8.
void check_text(const std::filesystem::path& file, const char* kind, const std::string& text) {
    try {
        static_cast<void>(json(text).dump());
    } catch (const json::type_error&) {
        throw Error(fmt::format("{}: the {} {} is not UTF-8", file.string(), kind,
                                json(text).dump(-1, ' ', true, json::error_handler_t::replace)));
    }
}

}  // namespace

void write_safetensors(const std::filesystem::path& file, const TensorDict& tensors,
                       const Metadata& metadata) {
    ordered_json header = ordered_json::object();
    for (const auto& [key, text] : metadata) {
        check_text(file, "metadata", key);
        check_text(file, "metadata", text);
        header[kMetadata][key] = text;
    }
    std::string data;
    size_t total = 0;
    for (const auto& [name, tensor] : tensors) total += tensor.defined() ? tensor.nbytes() : 0;
    data.reserve(total);
    for (const auto& [name, tensor] : tensors) {
        check_text(file, "name of tensor", name);
        if (name == kMetadata)
            throw Error(fmt::format("{}: no tensor can be called {}", file.string(), name));
        if (!tensor.defined())
            throw Error(fmt::format("{}: tensor {} is undefined", file.string(), name));
        // bytes for a file: no graph
        const auto plain = tensor.detach().to(torch::kCPU).contiguous();
        const size_t begin = data.size();
        if (plain.nbytes() > 0)
            data.append(static_cast<const char*>(plain.const_data_ptr()), plain.nbytes());
        header[name] = {{"dtype", dtype_name(name, plain.scalar_type())},
                        {"shape", plain.sizes().vec()},
                        {"data_offsets", {begin, data.size()}}};
    }
    std::string text = header.dump();
    text.append((8 - text.size() % 8) % 8, ' ');
    const uint64_t length = text.size();
    if (length > kLargestHeader)
        throw Error(
            fmt::format("{}: {} tensors and their metadata are too many for one file: a header of "
                        "{} bytes, at most {} are read",
                        file.string(), tensors.size(), length, kLargestHeader));
    char prefix[8];
    std::memcpy(prefix, &length, 8);
    write_whole(file, {std::string_view(prefix, 8), text, data});
}

TensorDict parse_safetensors(const char* data, size_t size, const std::string& what,
                             Metadata* metadata) {
    uint64_t length = 0;
    if (size < 8)
        throw Error(fmt::format("{}: expected a safetensors file, got {} bytes", what, size));
    std::memcpy(&length, data, 8);
    if (length > size - 8) {
        throw Error(fmt::format(
            "{}: a header of {} bytes does not fit into a file of {} bytes; it is cut off or not "
            "safetensors",
            what, length, size));
    }
    if (length > kLargestHeader)
        throw Error(fmt::format("{}: a header of {} bytes; at most {} are read", what, length,
                                kLargestHeader));
    const char* body = data + 8 + length;
    Metadata found;
    const auto entries = parse_header(data + 8, length, size - 8 - length, what, found);
    if (metadata) *metadata = std::move(found);
    TensorDict out;
    for (const auto& entry : entries) {
        const auto* bytes = body + entry.begin;
        const auto count = entry.end - entry.begin;
        if (entry.type == torch::kBool &&
            std::any_of(bytes, bytes + count, [](char c) { return c != 0 && c != 1; }))
            throw Error(
                fmt::format("{}: tensor '{}': a BOOL is neither 0 nor 1", what, entry.name));
        auto tensor = torch::empty(entry.shape, torch::TensorOptions(entry.type));
        if (count > 0) std::memcpy(tensor.mutable_data_ptr(), bytes, count);
        out.set(entry.name, tensor);
    }
    return out;
}

TensorDict read_safetensors(const std::filesystem::path& file, Metadata* metadata) {
    const auto bytes = read_whole(file);
    return parse_safetensors(bytes.data(), bytes.size(), file.string(), metadata);
}

Metadata read_metadata(const std::filesystem::path& file) {
    uint64_t length = 0;
    const auto prefix = read_first(file, 8);
    if (prefix.size() < 8) return {};
    std::memcpy(&length, prefix.data(), 8);
    if (length > kLargestHeader) return {};
    const auto bytes = read_first(file, 8 + length);
    const auto header = json::parse(bytes.begin() + 8, bytes.end(), nullptr,
                                    /*allow_exceptions=*/false);
    if (!header.is_object() || !header.contains(kMetadata)) return {};
    return parse_metadata(header[kMetadata], file.string());
}

void check_kind(const Metadata& metadata, const std::string& kind, int64_t newest,
                const std::string& what) {
    const auto found = metadata.find("format");
    const auto format = found == metadata.end() ? std::string() : found->second;
    int64_t number = 0;
    const auto* begin = format.data() + std::min(format.size(), kind.size() + 1);
    const auto* end = format.data() + format.size();
    const auto [stop, error] = std::from_chars(begin, end, number);
    if (!format.starts_with(kind + " ") || error != std::errc() || stop != end) {
        throw Error(fmt::format(
            "{}: expected a safetensors file of format '{} {}', got {}", what, kind, newest,
            format.empty() ? "one that names no format" : fmt::format("'{}'", format)));
    }
    check_format(what, number, newest);
}

}  // namespace fmgs
