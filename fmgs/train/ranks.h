#pragma once
/// Several processes that train one avatar together, on LibTorch's own c10d.
#include <fmgs/core/check.h>
#include <fmgs/train/rank_environment.h>

#include <functional>
#include <memory>
#include <vector>

namespace fmgs {

class Link;

/// What one rank threw, and all have thrown since: "rank 1: …".
class AgreedError : public Error {
    using Error::Error;
};
/// A rank died, hangs or cannot be reached; it is named. Nothing can be agreed any more.
class LostRankError : public Error {
    using Error::Error;
};

/// The ranks of a run, this one among them. All call the same in the same order; where there is one
/// alone, nothing is sent and nothing changes.
///
/// Each thing that is done together begins with a word on whether anything failed on the way there:
/// so a rank that throws inside guarded() takes all others with it, at the same place, with the
/// same message. Each rank gives a sign of life twice a second, on a thread of its own. One that
/// gave none for `timeout` seconds is lost, and so is one that lives but does not come for ten
/// times as long.
class Ranks {
  public:
    /// One alone.
    Ranks();
    ~Ranks();
    Ranks(const Ranks&) = delete;
    Ranks& operator=(const Ranks&) = delete;

    /// Meets the others. Error: they did not all come within `timeout` seconds, and which did not;
    /// two runs meet in the same place; this build cannot (no Gloo).
    static std::shared_ptr<Ranks> join(const RankEnvironment& environment, double timeout);

    int64_t rank() const { return rank_; }
    int64_t size() const { return size_; }
    bool alone() const { return size_ == 1; }
    /// Rank 0, which alone writes and prints.
    bool first() const { return rank_ == 0; }
    /// What the ranks talk through, for people: "2 ranks, Gloo". Empty for one alone.
    std::string text() const;

    /// Does this rank's part of the work. What it throws, all throw: this rank now, as AgreedError,
    /// the others in what they do together next. Nothing is done together inside the work but in
    /// the order in which all ranks do it.
    template <class Work>
    auto guarded(Work work) {
        try {
            return work();
        } catch (const AgreedError&) {
            throw;
        } catch (const LostRankError&) {
            throw;
        } catch (...) {
            (void)agree(std::current_exception(), false);
            throw;
        }
    }

    /// Whether any rank says so.
    bool any(bool mine) { return agree(nullptr, mine); }
    /// Each tensor becomes its sum over the ranks, in place. The same bits on all.
    void sum(const std::vector<torch::Tensor>& tensors);
    /// The tensor becomes that of rank 0, in place.
    void take_from_first(const std::vector<torch::Tensor>& tensors);
    /// The texts of all ranks, by rank.
    std::vector<std::string> texts(const std::string& mine);

    /// The step that messages name when this rank is lost.
    void at_step(int64_t step);

  private:
    /// Whether any rank has the flag. Throws what is wrong on any.
    bool agree(const std::exception_ptr& error, bool flag);
    std::vector<std::string> gathered(const std::string& mine);

    int64_t rank_ = 0, size_ = 1;
    std::unique_ptr<Link> link_;
};

}  // namespace fmgs
