#include <fmgs/eval/protocols.h>

#include <fmgs/core/names.h>

#include <algorithm>
#include <array>

namespace fmgs {
namespace {

const std::vector<Column> kPictures = {
    {"psnr", "PSNR ↑", 1, 2}, {"ssim", "SSIM ↑", 1, 4}, {"lpips", "LPIPS × 1000 ↓", 1000, 2}};

const std::vector<Protocol> kProtocols = {
    {"zju-mocap",
     "ZJU-MoCap (Table 1)",
     {"test_view"},
     {"3dgs-avatar-zju", "gauhuman", "clean"},
     kPictures,
     false},
    {"people-snapshot",
     "PeopleSnapshot (Table 2)",
     {"test"},
     {"instantavatar-ps", "clean"},
     kPictures,
     false},
    {"synthetic",
     "Synthetic capture",
     {"test", "test_view", "novel_motion"},
     {"clean"},
     {{"psnr", "PSNR ↑", 1, 2},
      {"ssim", "SSIM ↑", 1, 4},
      {"lpips", "LPIPS × 1000 ↓", 1000, 2},
      {"mask_iou", "mask IoU ↑", 1, 4},
      {"mask_boundary_f", "outline F ↑", 1, 4},
      {"depth_mae", "depth, mm ↓", 1000, 2},
      {"normal_deg", "normals, ° ↓", 1, 2},
      {"depth_normal_deg", "normals of depth, ° ↓", 1, 2},
      {"miou", "mIoU ↑", 1, 4},
      {"chamfer", "Chamfer, mm ↓", 1000, 2},
      {"f_1cm", "F at 1 cm ↑", 1, 4}},
     true},
};

}  // namespace

const Protocol& protocol(const std::string& name) {
    std::vector<std::string> known;
    for (const auto& each : kProtocols) known.push_back(each.name);
    check_known("eval.protocol", "protocol", name, known);
    return *std::find_if(kProtocols.begin(), kProtocols.end(),
                         [&](const Protocol& each) { return name == each.name; });
}

TableRows protocol_rows(const Protocol& protocol, const TableRows& rows, const TableRows& bare) {
    TableRows out;
    const bool several = protocol.presets.size() > 1;
    for (size_t k = 0; k < rows.size(); ++k) {
        const auto& [title, values] = rows[k];
        for (const auto& preset : protocol.presets) {
            auto& [row, metrics] =
                out.emplace_back(several ? title + ", " + preset : title, MetricValues{});
            for (const auto& column : protocol.columns) {
                const auto of_preset = preset == "clean" ? "" : "@" + preset;
                metrics.emplace_back(column.metric, value_of(values, column.metric + of_preset));
            }
        }
        if (protocol.bare_template) out.push_back(bare.at(k));
    }
    return out;
}

}  // namespace fmgs
