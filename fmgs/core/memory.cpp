#include <fmgs/core/memory.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string_view>
#include <tuple>

namespace fmgs {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::infinity();

/// The first number of a file of the kernel; nothing when it is not there or says "max".
std::optional<double> first_number(const std::string& file) {
    std::ifstream in(file);
    double value = 0;
    if (in >> value) return value;
    return {};
}

/// The kernel's own estimate, caches that it can drop included.
double available() {
    std::ifstream in("/proc/meminfo");
    for (std::string key, rest; in >> key; std::getline(in, rest)) {
        double kilobytes = 0;
        if (key == "MemAvailable:" && in >> kilobytes) return 1024 * kilobytes;
    }
    return kUnknown;
}

/// The sum of these lines of a file of "name number" lines.
double sum_of(const std::string& file, std::initializer_list<std::string_view> names) {
    std::ifstream in(file);
    double sum = 0, value = 0;
    for (std::string name; in >> name >> value;)
        sum += std::find(names.begin(), names.end(), name) != names.end() ? value : 0;
    return sum;
}

/// What the control group of a container leaves (version 2, then 1), as seen from inside of it.
/// What it counts as used holds files that the kernel keeps as long as there is room.
double left_in_group() {
    const std::string two = "/sys/fs/cgroup/memory.", one = "/sys/fs/cgroup/memory/memory.";
    for (const auto& [limit, used, files] :
         {std::tuple{two + "max", two + "current",
                     sum_of(two + "stat", {"inactive_file", "active_file"})},
          std::tuple{one + "limit_in_bytes", one + "usage_in_bytes",
                     sum_of(one + "stat", {"total_inactive_file", "total_active_file"})}}) {
        const auto most = first_number(limit), now = first_number(used);
        if (most && now) return std::max(0.0, *most - *now + files);
    }
    return kUnknown;
}

double left_of_address_space() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kUnknown;
    const auto pages = first_number("/proc/self/statm").value_or(0);
    const auto used = pages * static_cast<double>(::sysconf(_SC_PAGESIZE));
    return std::max(0.0, static_cast<double>(limit.rlim_cur) - used);
}

}  // namespace

double free_memory() { return std::min({available(), left_in_group(), left_of_address_space()}); }

std::string memory_text(double bytes) {
    return bytes < 1e9 ? fmt::format("{:.0f} MB", bytes / 1e6)
                       : fmt::format("{:.1f} GB", bytes / 1e9);
}

void check_memory(double bytes, const std::string& what, const std::string& cure) {
    // Asking costs some hundredths of a millisecond, and small things are many.
    if (bytes < 64e6) return;
    const double left = free_memory();
    if (bytes <= left) return;
    throw Error(fmt::format("{}: takes about {} of memory, {} are free; {}", what,
                            memory_text(bytes), memory_text(left), cure));
}

}  // namespace fmgs
