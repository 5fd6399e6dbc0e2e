#pragma once
/// The frames of each split, for layouts whose files do not say: by a published list (data.splits),
/// or by camera.
#include <fmgs/data/capture_reader.h>

namespace fmgs {

/// A frame of a camera, both by their place in the layout's order.
struct FramePick {
    size_t camera = 0, frame = 0;
};
struct SplitPick {
    std::string name;
    std::vector<FramePick> frames;
};

/// The splits that are asked for, the train split first. `cameras`: their names; `numbers`: of the
/// frames, which all cameras have in common. With data.splits and lines for this subject (the
/// folder's name): as they say. Else as the capture's own files say, `listed`; else: train has all
/// frames of data.camera (the first where none is named), test_view every 30th of each other
/// camera. Error: a camera or a split that there is not, a list that leaves the train split empty.
std::vector<SplitPick> pick_splits(const CaptureRequest& request,
                                   const std::vector<std::string>& cameras,
                                   const std::vector<int64_t>& numbers,
                                   const std::map<std::string, std::vector<FramePick>>& listed,
                                   std::vector<std::string>& notes);

/// The rules of data.splits for this subject, none where nothing is set; a note where the list has
/// no line for it.
std::vector<struct SplitRule> subject_rules(const CaptureRequest& request,
                                            std::vector<std::string>& notes);
/// The splits of these rules, train first.
std::vector<std::string> split_names(const std::vector<struct SplitRule>& rules);

}  // namespace fmgs
