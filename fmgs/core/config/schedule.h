#pragma once
/// A number that may change over a run.
#include <utility>
#include <vector>

namespace fmgs {

/// Piecewise constant over the run: [[at, value], …], `at` a fraction of the steps in [0,1],
/// rising, the first at 0. A plain number is a schedule with one piece.
struct Schedule {
    std::vector<std::pair<double, double>> pieces = {{0.0, 0.0}};

    Schedule() = default;
    // NOLINT(google-explicit-constructor): a number is a schedule
    Schedule(double value) : pieces{{0.0, value}} {}
    // NOLINT
    Schedule(std::vector<std::pair<double, double>> values) : pieces(std::move(values)) {}

    /// The value at `progress` = step / steps.
    double at(double progress) const {
        double value = pieces.front().second;
        for (const auto& [start, v] : pieces) {
            if (progress >= start) value = v;
        }
        return value;
    }
    /// Is it zero throughout?
    bool zero() const {
        for (const auto& piece : pieces) {
            if (piece.second != 0) return false;
        }
        return true;
    }
    bool operator==(const Schedule&) const = default;
};

}  // namespace fmgs
