#include <fmgs/data/split_plan.h>

#include <fmgs/core/check.h>
#include <fmgs/core/names.h>
#include <fmgs/data/split_list.h>
#include <fmt/format.h>

#include <algorithm>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

constexpr const char* kSplits[] = {"train", "test", "test_view", "novel_motion"};
constexpr size_t kViewStep = 30;  // 3DGS-Avatar, HumanNeRF on ZJU-MoCap

std::string subject_of(const fs::path& root) {
    const auto whole = fs::weakly_canonical(root);
    return whole.has_filename() ? whole.filename() : whole.parent_path().filename();
}

size_t train_camera(const CaptureRequest& request, const std::vector<std::string>& cameras) {
    const auto& name = request.options.camera;
    if (name.empty()) return 0;
    check_known("data.camera", "camera", name, cameras);
    return static_cast<size_t>(std::find(cameras.begin(), cameras.end(), name) - cameras.begin());
}

std::vector<SplitPick> by_camera(const CaptureRequest& request,
                                 const std::vector<std::string>& cameras, size_t frames) {
    const size_t mine = train_camera(request, cameras);
    std::vector<SplitPick> picks = {{"train", {}}};
    for (size_t k = 0; k < frames; ++k) picks[0].frames.push_back({mine, k});
    if (cameras.size() < 2) return picks;
    auto& views = picks.emplace_back(SplitPick{"test_view", {}});
    for (size_t c = 0; c < cameras.size(); ++c) {
        for (size_t k = 0; c != mine && k < frames; k += kViewStep) views.frames.push_back({c, k});
    }
    return picks;
}

std::vector<SplitPick> by_rules(const std::vector<SplitRule>& rules, size_t cameras,
                                const std::vector<int64_t>& numbers) {
    std::vector<SplitPick> picks;
    for (const auto& name : split_names(rules)) {
        auto& pick = picks.emplace_back(SplitPick{name, {}});
        for (size_t c = 0; c < cameras; ++c) {
            for (size_t k = 0; k < numbers.size(); ++k) {
                const bool in = std::any_of(rules.begin(), rules.end(), [&](const auto& rule) {
                    return rule.split == name && rule.holds(static_cast<int64_t>(c), numbers[k]);
                });
                if (in) pick.frames.push_back({c, k});
            }
        }
    }
    return picks;
}

}  // namespace

std::vector<std::string> split_names(const std::vector<SplitRule>& rules) {
    std::vector<std::string> names;
    for (const char* name : kSplits) {
        const auto is_it = [&](const SplitRule& rule) { return rule.split == name; };
        if (std::any_of(rules.begin(), rules.end(), is_it)) names.emplace_back(name);
    }
    return names;
}

std::vector<SplitRule> subject_rules(const CaptureRequest& request,
                                     std::vector<std::string>& notes) {
    const auto& list = request.options.splits;
    if (list.empty()) return {};
    const auto subject = subject_of(request.root());
    auto rules = read_split_list(list, subject);
    if (rules.empty()) {
        notes.push_back(
            fmt::format("{}: no line for '{}'; the capture's own splits are taken", list, subject));
    } else if (split_names(rules).front() != "train") {
        throw Error(fmt::format("{}: no train split for '{}'", list, subject));
    }
    return rules;
}

std::vector<SplitPick> pick_splits(const CaptureRequest& request,
                                   const std::vector<std::string>& cameras,
                                   const std::vector<int64_t>& numbers,
                                   const std::map<std::string, std::vector<FramePick>>& listed,
                                   std::vector<std::string>& notes) {
    const auto rules = subject_rules(request, notes);
    std::vector<SplitPick> picks;
    if (!rules.empty()) {
        picks = by_rules(rules, cameras.size(), numbers);
    } else if (listed.contains("train")) {
        for (const char* name : kSplits)
            if (listed.contains(name)) picks.push_back({name, listed.at(name)});
    } else {
        picks = by_camera(request, cameras, numbers.size());
    }
    std::vector<std::string> names;
    for (const auto& pick : picks) names.push_back(pick.name);
    request.check_splits(names);
    std::erase_if(picks, [&](const auto& pick) { return !request.is_wanted(pick.name); });
    for (const auto& pick : picks) {
        if (pick.frames.empty())
            throw Error(fmt::format(
                "{}: split '{}' has no frame ({} frames of {} cameras are there)",
                request.options.splits.empty() ? request.options.root : request.options.splits,
                pick.name, numbers.size(), cameras.size()));
    }
    return picks;
}

}  // namespace fmgs
