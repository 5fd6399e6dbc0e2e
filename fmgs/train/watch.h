#pragma once
/// Signs of life of the ranks, on a thread of its own.
#include <fmgs/train/rank_environment.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace fmgs {

/// Tells the others twice a second, through the store at which they met, that this process lives
/// and which step it is at, and listens to them. Only this thread talks to the store: where that is
/// gone, it may stay in a call for ever, and nobody waits for it.
class Watch {
  public:
    /// Error: the store cannot be reached.
    Watch(const RankEnvironment& environment, double timeout);
    ~Watch();
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;

    void at_step(int64_t step);
    /// Who gave no sign for `seconds` of this process's own time, in words; nothing while all do.
    std::optional<std::string> silent(double seconds) const;
    /// Who is behind the others, in words: those of the lowest step.
    std::string behind() const;
    /// Why another rank has given up.
    std::optional<std::string> verdict() const;
    /// Tells the others why this rank gives up.
    void give_up(const std::string& why);

    struct State;

  private:
    std::shared_ptr<State> state_;  // also the thread's
};

/// What keys of the store begin with: a launcher that restarts its ranks keeps the store.
std::string store_prefix(const RankEnvironment& environment);

}  // namespace fmgs
