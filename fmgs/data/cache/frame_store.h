#pragma once
/// Decodes frames when they are asked for, ahead of that on threads of its own, and keeps what fits
/// into its budget.
#include <fmgs/data/cache/compact_frame.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

namespace fmgs {

/// All splits of a capture share one. May be used by several threads.
///
/// Frames stay from their first decoding on until the budget is full, and nothing that stays is
/// dropped for another frame: an epoch of training draws each frame once, in an order of its own,
/// so that all are worth the same and a cache that replaces its frames only decodes more. Where not
/// all fit, room for those that are decoded ahead is left.
class FrameStore {
  public:
    using Decode = std::function<CompactFrame()>;

    /// budget: bytes.
    explicit FrameStore(double budget);
    /// Waits for the frames that are being decoded.
    ~FrameStore();
    FrameStore(const FrameStore&) = delete;
    FrameStore& operator=(const FrameStore&) = delete;

    /// Adds a frame and returns its number. `bytes`: what it will take, as far as headers tell.
    /// Frames of one `sequence` (a video; empty: none) are decoded one at a time, in the order in
    /// which they are asked for.
    size_t add(Decode decode, double bytes, const std::string& sequence = {});

    /// The frame. Decodes it on this thread where nobody does so already. Rethrows what its
    /// decoding threw.
    std::shared_ptr<const CompactFrame> get(size_t number);

    /// The frames that are asked for next, in this order: the threads decode them as long as there
    /// is room. What was decoded ahead for an earlier call, is not among them and does not stay is
    /// dropped.
    void expect(const std::vector<size_t>& numbers);

    /// How many frames it is worth to expect: more than there are threads.
    size_t ahead() const { return threads_ + 2; }

    const std::string& sequence(size_t number) const { return slots_.at(number).sequence; }

    /// How many of the frames will stay, by the bytes given to add().
    size_t planned() const;

    struct Use {
        size_t frames = 0, kept = 0;
        double bytes = 0;  ///< of the frames that stay and of those decoded ahead
        double most = 0;   ///< that these ever were
    };
    Use use() const;

  private:
    struct Slot {
        Decode decode;
        double bytes = 0;
        std::string sequence;
        std::shared_ptr<const CompactFrame> content;
        std::exception_ptr error;
        int64_t waiting = 0;   // threads in get()
        bool busy = false;     // being decoded
        bool kept = false;     // stays
        bool counted = false;  // its content counts in held_
    };

    // All under the lock.
    bool is_expected(const Slot& slot) const;
    bool is_free(const Slot& slot) const;
    Slot* next();
    void decode(Slot& slot, std::unique_lock<std::mutex>& lock, double reserved);
    void settle(Slot& slot, std::shared_ptr<const CompactFrame> content);
    void drop(Slot& slot);
    double reserve(double bytes) const;
    void hold(double bytes);

    void work();

    const double budget_;
    const size_t threads_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Slot> slots_;  // never moved
    std::deque<size_t> queue_;
    std::set<std::string> busy_sequences_;
    double total_ = 0;  // bytes of all frames
    double held_ = 0;   // of what is here or is being decoded ahead
    double kept_ = 0;   // of what stays
    double most_ = 0;
    bool stop_ = false;
    std::vector<std::thread> workers_;
};

}  // namespace fmgs
