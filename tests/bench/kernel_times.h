#pragma once
/// Where a GPU spends its time, from torch's own profiler (Kineto).
#include <torch/csrc/autograd/profiler_kineto.h>
#include <torch/cuda.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace fmgs {

struct KernelTime {
    std::string name;
    int64_t launches;
    double ms;
};

/// What ran on the GPU during `work`, copies included, the longest first. Empty without a GPU.
inline std::vector<KernelTime> kernel_times(const std::function<void()>& work) {
    namespace profiler = torch::autograd::profiler;
    using Activity = torch::profiler::impl::ActivityType;
    if (torch::cuda::device_count() == 0) return {};
    const torch::profiler::impl::ProfilerConfig config(
        torch::profiler::impl::ProfilerState::KINETO);
    const std::set<Activity> activities = {Activity::CPU, Activity::CUDA};
    profiler::prepareProfiler(config, activities);
    profiler::enableProfiler(config, activities);
    work();
    torch::cuda::synchronize();
    std::map<std::string, KernelTime> by_name;
    for (const auto& event : profiler::disableProfiler()->events()) {
        if (event.deviceType() != c10::DeviceType::CUDA) continue;
        auto& row = by_name.try_emplace(event.name(), KernelTime{event.name(), 0, 0}).first->second;
        ++row.launches;
        row.ms += 1e-6 * static_cast<double>(event.durationNs());
    }
    std::vector<KernelTime> rows;
    for (auto& [name, row] : by_name) rows.push_back(std::move(row));
    std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.ms > b.ms; });
    return rows;
}

}  // namespace fmgs
