/// Which reader a data file is for.
#include <fmgs/core/check.h>
#include <fmgs/core/io/file_kind.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/io/inflate.h>
#include <fmgs/core/io/npy_layout.h>
#include <fmgs/core/io/npz_reader.h>
#include <fmgs/core/io/pickle_values.h>
#include <fmgs/core/io/value_parts.h>
#include <fmt/format.h>

#include <algorithm>

namespace fmgs {

using detail::FileKind;

namespace {

const uint8_t* data_of(std::string_view bytes) {
    return reinterpret_cast<const uint8_t*>(bytes.data());
}

bool holds_objects(const NpyHeader& header) { return header.dtype.starts_with('O'); }

/// The pickle behind the header of an .npy.
Value objects_of(std::string_view npy, const std::string& what) {
    const auto header = parse_npy_header(data_of(npy), npy.size(), what);
    return detail::pickle_value(npy.substr(header.start), what);
}

Value npy_value(std::string_view bytes, const std::string& what) {
    if (holds_objects(parse_npy_header(data_of(bytes), bytes.size(), what)))
        return objects_of(bytes, what);
    auto array = parse_npy(data_of(bytes), bytes.size(), what);
    if (!detail::item_size(array.dtype))
        throw Error(fmt::format(
            "{}: an array of dtype '{}' is not read; numbers, booleans, text and objects are", what,
            array.dtype));
    return detail::array_or_text(std::move(array));
}

/// An entry of an .npz, of which nothing is unpacked before it is looked into.
Value npz_entry(const std::shared_ptr<NpzReader>& file, const std::string& key) {
    const auto unpacked = [file, key] {
        const auto bytes = file->bytes(key);
        return npy_value({reinterpret_cast<const char*>(bytes.data()), bytes.size()},
                         fmt::format("{}: '{}'", file->name(), key));
    };
    return Value::later([file, key, unpacked] {
        const auto header = file->header(key);
        auto dtype = header.dtype;
        if (dtype.starts_with('>')) dtype.erase(0, 1);
        const bool is_text =
            header.shape.empty() && (dtype.starts_with('U') || dtype.starts_with('S'));
        if (holds_objects(header) || is_text) return unpacked();
        return Value(Value::Lazy{dtype, header.shape, [unpacked] { return unpacked().array(); }});
    });
}

Value zip_value(std::string bytes, const std::string& what) {
    const detail::Zip zip(data_of(bytes), bytes.size(), what);
    const auto& members = zip.members();
    const bool has_arrays = std::any_of(members.begin(), members.end(), [](const auto& member) {
        return member.name.ends_with(".npy");
    });
    if (has_arrays || members.empty()) {
        const auto file = std::make_shared<NpzReader>(std::move(bytes), what);
        Value::Dict entries;
        for (const auto& key : file->names())
            entries.emplace_back(Value(key), npz_entry(file, key));
        return Value(std::move(entries));
    }
    if (detail::is_torch_archive(zip)) return detail::torch_value(zip);
    throw Error(fmt::format(
        "{}: expected data, got a zip archive of other files ('{}', {} in all); unpack it", what,
        members.front().name.substr(0, 80), members.size()));
}

Value unpacked_value(std::string_view bytes, FileKind kind, const std::string& what) {
    if (detail::is_old_torch(bytes)) return detail::old_torch_value(bytes, what);
    if (kind == FileKind::kPickle) return detail::pickle_value(bytes, what);
    if (kind == FileKind::kNpy) return npy_value(bytes, what);
    if (kind == FileKind::kJson) return detail::json_value(bytes, what);
    std::string begin(bytes.substr(0, 16));
    std::replace_if(
        begin.begin(), begin.end(), [](unsigned char c) { return c < 32 || c > 126; }, '?');
    throw Error(fmt::format(
        "{}: expected data (.npz, .npy, a pickle, joblib, a torch file, JSON), got {}{}", what,
        detail::words_of(kind),
        kind == FileKind::kUnknown ? fmt::format(", which begins with '{}'", begin) : ""));
}

}  // namespace

Value parse_value(std::string bytes, const std::string& what) {
    auto kind = detail::kind_of(bytes);
    if (kind == FileKind::kZip) return zip_value(std::move(bytes), what);
    if (kind == FileKind::kZlib || kind == FileKind::kGzip) {
        bytes = detail::inflated(bytes, what);
        kind = detail::kind_of(bytes);
    }
    return unpacked_value(bytes, kind, what);
}

Value read_value(const std::filesystem::path& file) {
    return parse_value(read_whole(file), file.string());
}

}  // namespace fmgs
