#include <fmgs/data/convert/fit_links.h>

#include <fmgs/core/check.h>
#include <fmgs/data/file_names.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

namespace fmgs::detail {

namespace {

using Names = std::vector<std::string>;
using Rows = std::vector<int64_t>;

// "CAMERA/image_1" and "image_1.png" → "image_1".
std::string stem_of(const std::string& name) {
    const auto file = std::filesystem::path(name).filename();
    return (is_picture(file) ? file.stem() : file).string();
}

bool any(const Rows& rows) {
    return std::any_of(rows.begin(), rows.end(), [](int64_t row) { return row >= 0; });
}

Rows by_name(const PoseFile& fit, const Names& names) {
    std::map<std::string, int64_t> row_of;
    for (size_t k = 0; k < fit.names.size(); ++k)
        row_of.emplace(stem_of(fit.names[k]), static_cast<int64_t>(k));
    Rows rows;
    for (const auto& name : names) {
        const auto found = row_of.find(stem_of(name));
        rows.push_back(found == row_of.end() ? -1 : found->second);
    }
    return rows;
}

// The number of each row: as the fit has them, else in its order.
Rows numbers_of(const PoseFile& fit, const std::string& what, size_t frames) {
    if (!fit.frame_ids.empty()) return fit.frame_ids;
    if (fit.count() != static_cast<int64_t>(frames))
        throw Error(
            fmt::format("{}: {} poses for {} frames, and nothing says which belong together; "
                        "expected as many, or frame_names or frame_ids in it{}",
                        what, fit.count(), frames,
                        fit.has_fps ? fmt::format("; it has {:g} poses a second: give the video "
                                                  "at that rate, which the fitter made",
                                                  fit.fps)
                                    : ""));
    Rows out(frames);
    std::iota(out.begin(), out.end(), 0);
    return out;
}

Rows by_number(const Rows& numbers, const Names& names, const std::string& what) {
    std::map<int64_t, int64_t> row_of;
    for (size_t k = 0; k < numbers.size(); ++k) row_of[numbers[k]] = static_cast<int64_t>(k);
    std::map<int64_t, std::string> seen;
    Rows rows;
    for (const auto& name : names) {
        const int64_t number = frame_number(stem_of(name));
        const auto found = row_of.find(number);
        rows.push_back(number < 0 || found == row_of.end() ? -1 : found->second);
        const auto [before, is_new] = seen.emplace(number, name);
        if (rows.back() >= 0 && !is_new && stem_of(before->second) != stem_of(name))
            throw Error(
                fmt::format("{}: frame {} may be '{}' or '{}'; expected frame_names in the fit",
                            what, number, before->second, name));
    }
    return rows;
}

Rows by_place(const Rows& numbers, size_t frames) {
    Rows rows(frames, -1);
    for (size_t k = 0; k < numbers.size(); ++k) {
        if (numbers[k] >= 0 && numbers[k] < static_cast<int64_t>(frames))
            rows[static_cast<size_t>(numbers[k])] = static_cast<int64_t>(k);
    }
    return rows;
}

// The numbers of a video's frames from 0: in names, some programs count from 1.
Rows places_in_video(const PoseFile& fit, Rows numbers, int64_t frames) {
    const auto [least, most] = std::minmax_element(numbers.begin(), numbers.end());
    if (fit.names.empty() || *least == 0) return numbers;
    // PHALP extracts 000001.jpg first.
    const int64_t first = *most == frames || fit.layout.starts_with("PHALP") ? 1 : 0;
    for (auto& number : numbers) number -= first;
    return numbers;
}

std::string label(const PoseFile& fit, const Rows& numbers, int64_t row) {
    const auto k = static_cast<size_t>(row);
    return fit.names.empty() ? std::to_string(numbers[k]) : fit.names[k];
}

}  // namespace

Rows link_fit(const PoseFile& fit, const std::string& what, const Names& names, FramesOf kind,
              Names& notes) {
    Rows rows;
    const bool named = kind != FramesOf::video && !fit.names.empty();
    if (named) rows = by_name(fit, names);
    if (any(rows)) return rows;
    const auto numbers = numbers_of(fit, what, names.size());
    const char* how = "by the numbers in the names";
    if (kind == FramesOf::video) {
        rows = by_place(places_in_video(fit, numbers, static_cast<int64_t>(names.size())),
                        names.size());
        how = "by their places in the video";
    } else if (!fit.frame_ids.empty() && (kind == FramesOf::capture || named)) {
        rows = by_number(numbers, names, what);
    } else {
        rows = by_place(numbers, names.size());
        how = "by their places in the order of the names";
    }
    if (!any(rows))
        throw Error(
            fmt::format("{}: no frame has a pose in it: its first is '{}', the first frame '{}'",
                        what, label(fit, numbers, 0), names.front()));
    const auto first = std::find_if(rows.begin(), rows.end(), [](int64_t row) { return row >= 0; });
    std::set<int64_t> used(first, rows.end());
    used.erase(-1);
    if (const int64_t left = fit.count() - static_cast<int64_t>(used.size()); left > 0)
        notes.push_back(
            fmt::format("{}: {} of {} poses belong to no frame", what, left, fit.count()));
    notes.push_back(fmt::format("{}: poses and frames meet {}; '{}' is taken for '{}'", what, how,
                                label(fit, numbers, *first),
                                names[static_cast<size_t>(first - rows.begin())]));
    return rows;
}

}  // namespace fmgs::detail
