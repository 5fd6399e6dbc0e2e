#include <fmgs/core/config/schedule.h>

#include <fmgs/core/check.h>

#include <algorithm>
#include <cmath>

namespace fmgs {

Schedule::Schedule(Pieces pieces) : pieces_(std::move(pieces)) {
    bool good = !pieces_.empty() && pieces_.front().first == 0;
    for (size_t k = 0; k < pieces_.size(); ++k) {
        const auto& [at, value] = pieces_[k];
        good = good && std::isfinite(value) && at >= 0 && at <= 1 &&
               (k == 0 || at > pieces_[k - 1].first);
    }
    if (!good)
        throw Error(
            "schedule: expected pieces [[at, value], …], `at` in [0,1], rising, the first 0, all "
            "finite");
}

double Schedule::at(double progress) const {
    double value = pieces_.front().second;
    for (const auto& [start, v] : pieces_) {
        if (progress >= start) value = v;
    }
    return value;
}

bool Schedule::zero() const {
    return std::all_of(pieces_.begin(), pieces_.end(), [](const auto& p) { return p.second == 0; });
}

}  // namespace fmgs
