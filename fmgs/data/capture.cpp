#include <fmgs/data/capture.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/data/people_snapshot.h>
#include <fmt/format.h>

namespace fmgs {
namespace {

void check_root(const std::filesystem::path& root) {
    if (root.empty()) throw Error("data.root: expected the folder of a capture, got nothing");
    if (!is_there(root) || !std::filesystem::is_directory(root))
        throw Error(fmt::format("data.root: {}: expected the folder of a capture, there is {}",
                                root.string(), is_there(root) ? "a file" : "none"));
    if (!is_there(root / "cameras.npz")) {
        throw Error(fmt::format(
            "{}: not a layout that is known; expected cameras.npz, images/, masks/ and poses "
            "(InstantAvatar's form of "
            "PeopleSnapshot)",
            root.string()));
    }
}

}  // namespace

CaptureParts training_parts() { return {{"train"}, /*priors=*/true, /*truth=*/false}; }

std::vector<std::string> split_names(const CaptureOptions& options) {
    check_root(options.root);
    return people_snapshot_splits(options.root);
}

Capture read_capture(const CaptureOptions& options,
                     const std::map<std::string, std::string>& modalities,
                     const CaptureParts& parts) {
    check_root(options.root);
    return read_people_snapshot(options, modalities, parts);
}

}  // namespace fmgs
