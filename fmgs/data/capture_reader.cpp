#include <fmgs/data/capture_reader.h>

#include <fmgs/core/check.h>
#include <fmgs/core/names.h>
#include <fmgs/data/layouts/layouts.h>

#include <algorithm>

namespace fmgs {

bool CaptureRequest::is_wanted(const std::string& split) const {
    return split == "train" || parts.splits.empty() ||
           std::find(parts.splits.begin(), parts.splits.end(), split) != parts.splits.end();
}

void CaptureRequest::check_splits(const std::vector<std::string>& existing) const {
    for (const auto& name : parts.splits) check_known(options.root, "split", name, existing);
}

const std::vector<Layout>& layouts() {
    static const std::vector<Layout> kLayouts = {
        neutral_layout(),         zju_mocap_layout(),      arah_layout(),
        arah_snapshot_layout(),   humannerf_wild_layout(), humannerf_layout(),
        neuman_layout(),          nerfstudio_layout(),     colmap_layout(),
        people_snapshot_layout(), anim_nerf_layout(),      easymocap_layout(),
        x_humans_layout(),        dress4d_layout(),
    };
    return kLayouts;
}

const Layout* find_layout(const std::filesystem::path& root) {
    for (const auto& layout : layouts()) {
        if (layout.recognise(root)) return &layout;
    }
    return nullptr;
}

}  // namespace fmgs
