#pragma once
/// The numbers that an option may have.
#include <limits>
#include <string>

namespace fmgs {

/// An interval; schedules have all their values in it.
struct Range {
    double low = -std::numeric_limits<double>::infinity();
    double high = std::numeric_limits<double>::infinity();
    bool low_is_in = true, high_is_in = true;

    static constexpr Range at_least(double low) { return {.low = low}; }
    static constexpr Range more_than(double low) { return {.low = low, .low_is_in = false}; }
    /// Both ends are in.
    static constexpr Range of(double low, double high) { return {.low = low, .high = high}; }
    /// Neither end is in.
    static constexpr Range inside(double low, double high) {
        return {.low = low, .high = high, .low_is_in = false, .high_is_in = false};
    }

    /// False for NaN.
    constexpr bool holds(double value) const {
        return (low_is_in ? value >= low : value > low) &&
               (high_is_in ? value <= high : value < high);
    }
    /// "at least 1", "more than 0", "from 0 to 1", "between 0 and 1"; empty when all numbers are
    /// in.
    std::string text() const;
};

}  // namespace fmgs
