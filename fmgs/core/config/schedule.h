#pragma once
/// A number that may change over a run.
#include <utility>
#include <vector>

namespace fmgs {

/// Piecewise constant over the run: [[at, value], …], `at` a fraction of the steps in [0,1],
/// rising, the first at 0. A plain number is a schedule with one piece.
class Schedule {
  public:
    using Pieces = std::vector<std::pair<double, double>>;

    Schedule() = default;
    // NOLINTBEGIN(google-explicit-constructor): a number is a schedule
    /// Error: a number that is not finite.
    Schedule(double value) : Schedule(Pieces{{0.0, value}}) {}
    /// Error: no piece, a first one that is not at 0, pieces that do not rise or lie beyond 1, a
    /// number that is not finite.
    Schedule(Pieces pieces);
    // NOLINTEND

    const Pieces& pieces() const { return pieces_; }
    /// The value at `progress` = step / steps.
    double at(double progress) const;
    /// Is it zero throughout?
    bool zero() const;
    bool operator==(const Schedule&) const = default;

  private:
    Pieces pieces_ = {{0.0, 0.0}};
};

}  // namespace fmgs
