#include <fmgs/data/capture.h>

#include <fmgs/core/check.h>
#include <fmgs/data/people_snapshot.h>
#include <fmt/format.h>

namespace fmgs {

Capture read_capture(const CaptureOptions& options,
                     const std::map<std::string, std::string>& modalities) {
    const std::filesystem::path root = options.root;
    if (root.empty()) throw Error("data.root: expected the folder of a capture, got nothing");
    if (!std::filesystem::is_directory(root))
        throw Error(
            fmt::format("{}: expected the folder of a capture, there is none", root.string()));
    if (!std::filesystem::exists(root / "cameras.npz")) {
        throw Error(fmt::format(
            "{}: not a layout that is known; expected cameras.npz, images/, masks/ and poses "
            "(InstantAvatar's form of "
            "PeopleSnapshot)",
            root.string()));
    }
    return read_people_snapshot(options, modalities);
}

}  // namespace fmgs
