#include <fmgs/data/prior_format.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/names.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

using Names = std::vector<std::string>;
using Json = nlohmann::json;

/// A key of priors.json whose value is a word.
struct WordKey {
    const char *group, *key;
    std::string PriorFormat::*value;
    Names words;  // that there are; empty: any
};

const std::vector<WordKey> kWordKeys = {
    {"normal", "folder", &PriorFormat::normal_folder, {}},
    {"normal", "array", &PriorFormat::normal_array, {}},
    {"normal", "axes", &PriorFormat::normal_axes, {}},
    {"normal", "channel_order", &PriorFormat::normal_order, {"xyz", "bgr"}},
    {"normal", "encoding", &PriorFormat::normal_encoding, {"float", "unorm"}},
    {"depth", "folder", &PriorFormat::depth_folder, {}},
    {"depth", "array", &PriorFormat::depth_array, {}},
    {"depth", "kind", &PriorFormat::depth_kind, {"depth", "inverse"}},
    {"depth", "scale", &PriorFormat::depth_scale, {"relative", "metric"}},
    {"seg", "folder", &PriorFormat::seg_folder, {}},
    {"seg", "array", &PriorFormat::seg_array, {}},
    {"seg", "label_set", &PriorFormat::label_set, {}},
};
const Names kListKeys = {"map", "classes", "ignore"};  // of seg

/// What people write beside them to remember.
const Names kRemarks = {"author", "axes_meaning", "background", "comment",    "content",
                        "date",   "description",  "file",       "left_right", "license",
                        "model",  "note",         "npy",        "polarity",   "range",
                        "source", "unit",         "url",        "version"};

bool has(const Names& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

/// The keys of a group; the groups themselves for an empty one.
Names known_keys(const std::string& group) {
    if (group.empty()) return {"normal", "depth", "seg"};
    Names keys;
    for (const auto& entry : kWordKeys)
        if (entry.group == group) keys.emplace_back(entry.key);
    if (group == "seg") keys.insert(keys.end(), kListKeys.begin(), kListKeys.end());
    return keys;
}

/// Whether it is one of the keys, and no remark. Error for what is neither.
bool is_key(const std::string& name, const Names& keys, const std::string& where) {
    if (has(keys, name)) return true;
    if (!name.starts_with("_") && !has(kRemarks, name)) check_known(where, "key", name, keys);
    return false;
}

std::string word_of(const Json& value, const std::string& where) {
    if (!value.is_string())
        throw Error(fmt::format("{}: expected a word, got {}", where, value.type_name()));
    return value.get<std::string>();
}

void take_word(const WordKey& entry, const Json& value, const std::string& where,
               PriorFormat& out) {
    const auto word = word_of(value, where);
    if (!entry.words.empty() && !has(entry.words, word))
        throw Error(fmt::format("{}: expected one of {}, got '{}'", where,
                                fmt::join(entry.words, ", "), word));
    out.*entry.value = word;
}

int64_t label_number(const std::string& text, const std::string& where) {
    const bool digits = !text.empty() && text.size() <= 3 &&
                        text.find_first_not_of("0123456789") == std::string::npos;
    const int64_t number = digits ? std::stoll(text) : -1;
    if (number < 0 || number > kIgnoredLabel)
        throw Error(fmt::format("{}: expected the number of a label, 0 to {}, got '{}'", where,
                                kIgnoredLabel, text));
    return number;
}

void take_list(const std::string& key, const Json& value, const std::string& where,
               PriorFormat& out) {
    if (key == "map") {
        if (!value.is_object() || value.empty())
            throw Error(fmt::format(
                R"({}: expected labels and their classes, {{"0": "Background", …}}, got {})", where,
                value.empty() ? "none" : value.type_name()));
        for (const auto& item : value.items())
            out.label_map[label_number(item.key(), where)] =
                word_of(item.value(), where + "." + item.key());
        return;
    }
    const auto list = value.is_array() ? value : Json::array({value});
    if (list.empty() || (key == "classes" && !value.is_array()))
        throw Error(fmt::format("{}: expected a list, got {}", where,
                                list.empty() ? "none" : value.type_name()));
    for (const auto& item : list) {
        if (key == "ignore" && item.is_number_unsigned())
            out.ignored.push_back(item.dump());
        else
            (key == "ignore" ? out.ignored : out.classes).push_back(word_of(item, where));
    }
}

void take_group(const std::string& group, const Json& values, const std::string& where,
                PriorFormat& out) {
    const auto keys = known_keys(group);
    if (!values.is_object())
        throw Error(fmt::format("{}: expected an object with {}, got {}", where,
                                fmt::join(keys, ", "), values.type_name()));
    for (const auto& item : values.items()) {
        const auto& key = item.key();
        const auto place = where + "." + key;
        if (!is_key(key, keys, where)) out.unread.push_back(group + "." + key);
        if (group == "seg" && has(kListKeys, key)) take_list(key, item.value(), place, out);
        for (const auto& entry : kWordKeys)
            if (entry.group == group && entry.key == key)
                take_word(entry, item.value(), place, out);
    }
}

LabelSet mapped_set(const PriorFormat& format) {
    LabelSet set;
    const auto count = static_cast<size_t>(format.label_map.rbegin()->first) + 1;
    set.labels.resize(count);
    set.classes.resize(count, -1);
    const auto& names = library_classes();
    for (const auto& [number, name] : format.label_map) {
        check_known("seg.map", "class", name, names);
        const auto at = static_cast<size_t>(number);
        set.labels[at] = name;
        set.classes[at] = std::find(names.begin(), names.end(), name) - names.begin();
    }
    return set;
}

LabelSet own_set(const PriorFormat& format) {
    constexpr size_t kFewest = 2;
    const auto& names = format.classes;
    if (names.size() < kFewest || names.size() > kIgnoredLabel)
        throw Error(fmt::format("seg.classes: expected {} to {} names, background first, got {}",
                                kFewest, kIgnoredLabel, names.size()));
    LabelSet set;
    set.labels = names;
    for (size_t i = 0; i < names.size(); ++i) set.classes.push_back(static_cast<int64_t>(i));
    return set;
}

}  // namespace

bool are_axes(const std::string& axes) {
    auto sorted = axes;
    for (auto& letter : sorted)
        letter = letter == 'L' ? 'R' : letter == 'U' ? 'D' : letter == 'B' ? 'F' : letter;
    std::sort(sorted.begin(), sorted.end());
    return sorted == "DFR";
}

LabelSet label_set_of(const PriorFormat& format) {
    if (!format.label_map.empty() && !format.classes.empty())
        throw Error("seg: expected \"map\" (to Sapiens' classes) or \"classes\", got both");
    auto set = !format.label_map.empty() ? mapped_set(format)
               : !format.classes.empty() ? own_set(format)
                                         : known_label_set(format.label_set);
    set.name = format.label_set;
    for (const auto& label : format.ignored) {
        const bool is_number = label.find_first_not_of("0123456789") == std::string::npos;
        if (!is_number) check_known("seg.ignore", "label", label, set.labels);
        const auto found = std::find(set.labels.begin(), set.labels.end(), label);
        const auto at = static_cast<size_t>(is_number ? label_number(label, "seg.ignore")
                                                      : found - set.labels.begin());
        if (at >= set.classes.size()) set.classes.resize(at + 1, -1);
        set.classes[at] = kIgnoredLabel;
    }
    return set;
}

const Names& class_names(const PriorFormat& format) {
    return format.classes.empty() ? library_classes() : format.classes;
}

PriorFormat read_prior_format(const fs::path& file) {
    PriorFormat out;
    const auto json = Json::parse(read_text(file), nullptr, /*allow_exceptions=*/false);
    if (!json.is_object())
        throw Error(
            fmt::format("{}: expected a JSON object with normal, depth and seg", file.string()));
    for (const auto& group : json.items()) {
        if (is_key(group.key(), known_keys(""), file.string()))
            take_group(group.key(), group.value(), file.string() + ": " + group.key(), out);
        else
            out.unread.push_back(group.key());
    }
    if (!are_axes(out.normal_axes)) {
        throw Error(fmt::format(
            "{}: normal.axes: expected three letters, one each of R/L, U/D, F/B (Sapiens: RUB, "
            "OpenCV: RDF), got '{}'",
            file.string(), out.normal_axes));
    }
    try {
        (void)label_set_of(out);
    } catch (const Error& error) {
        throw Error(fmt::format("{}: {}", file.string(), error.what()));
    }
    return out;
}

void write_prior_format(const fs::path& file, const PriorFormat& format) {
    Json out;
    for (const auto& entry : kWordKeys)
        if (const auto& word = format.*entry.value; !word.empty())
            out[entry.group][entry.key] = word;
    for (const auto& [number, name] : format.label_map)
        out["seg"]["map"][std::to_string(number)] = name;
    if (!format.classes.empty()) out["seg"]["classes"] = format.classes;
    for (const auto& label : format.ignored) {
        const bool is_number = label.find_first_not_of("0123456789") == std::string::npos;
        out["seg"]["ignore"].push_back(is_number ? Json(std::stoull(label)) : Json(label));
    }
    write_whole(file, out.dump(1) + "\n");
}

}  // namespace fmgs
