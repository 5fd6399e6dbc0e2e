#include <fmgs/data/cache/frame_store.h>

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <fmgs/core/check.h>
#include <fmt/format.h>
#include <omp.h>
#include <torch/utils.h>

#include <algorithm>

namespace fmgs {

namespace {

/// The operators of this thread run on it alone: at::set_num_threads would tell all threads.
void stay_on_one_thread() {
    at::internal::lazy_init_num_threads();  // else the first operator would set the number again
    (void)at::get_num_threads();            // the same in LibTorch's own copy of it
    omp_set_num_threads(1);
}

/// Half of the processors: the other half is the step's.
size_t worker_count() { return static_cast<size_t>(std::clamp(at::get_num_threads() / 2, 1, 8)); }

}  // namespace

FrameStore::FrameStore(double budget) : budget_(budget), threads_(worker_count()) {}

FrameStore::~FrameStore() {
    {
        const std::lock_guard lock(mutex_);
        stop_ = true;
    }
    changed_.notify_all();
    for (auto& worker : workers_) worker.join();
}

size_t FrameStore::add(Decode decode, double bytes, const std::string& sequence) {
    const std::lock_guard lock(mutex_);
    total_ += bytes;
    slots_.push_back({.decode = std::move(decode), .bytes = bytes, .sequence = sequence});
    return slots_.size() - 1;
}

std::shared_ptr<const CompactFrame> FrameStore::get(size_t number) {
    std::unique_lock lock(mutex_);
    auto& slot = slots_.at(number);
    ++slot.waiting;
    while (!slot.content && !slot.error) {
        if (is_free(slot))
            decode(slot, lock, /*reserved=*/0);
        else
            changed_.wait(lock);
    }
    --slot.waiting;
    const auto content = slot.content;
    const auto error = slot.error;
    if (slot.waiting == 0) drop(slot);
    std::erase(queue_, number);
    changed_.notify_all();  // there is room again
    if (error) std::rethrow_exception(error);
    return content;
}

void FrameStore::expect(const std::vector<size_t>& numbers) {
    const std::lock_guard lock(mutex_);
    const auto before = std::move(queue_);
    queue_.assign(numbers.begin(), numbers.end());
    for (const size_t number : before) {
        auto& slot = slots_[number];
        if (slot.waiting == 0 && !is_expected(slot)) drop(slot);
    }
    const bool idle = std::all_of(queue_.begin(), queue_.end(), [&](size_t number) {
        return slots_.at(number).content != nullptr;
    });
    while (!idle && workers_.size() < threads_) workers_.emplace_back([this] { work(); });
    changed_.notify_all();
}

size_t FrameStore::planned() const {
    const std::lock_guard lock(mutex_);
    size_t count = 0;
    double sum = 0;
    for (const auto& slot : slots_) {
        sum += slot.bytes;
        if (sum + reserve(slot.bytes) > budget_) break;
        ++count;
    }
    return count;
}

FrameStore::Use FrameStore::use() const {
    const std::lock_guard lock(mutex_);
    const auto kept =
        std::count_if(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.kept; });
    return {slots_.size(), static_cast<size_t>(kept), held_, most_};
}

bool FrameStore::is_expected(const Slot& slot) const {
    return std::any_of(queue_.begin(), queue_.end(),
                       [&](size_t number) { return &slots_[number] == &slot; });
}

bool FrameStore::is_free(const Slot& slot) const {
    return !slot.busy && (slot.sequence.empty() || !busy_sequences_.contains(slot.sequence));
}

FrameStore::Slot* FrameStore::next() {
    for (const size_t number : queue_) {
        auto& slot = slots_[number];
        if (slot.content || slot.error || !is_free(slot)) continue;
        return held_ + slot.bytes <= budget_ ? &slot : nullptr;
    }
    return nullptr;
}

void FrameStore::decode(Slot& slot, std::unique_lock<std::mutex>& lock, double reserved) {
    slot.busy = true;
    if (!slot.sequence.empty()) busy_sequences_.insert(slot.sequence);
    hold(reserved);
    lock.unlock();
    std::shared_ptr<const CompactFrame> content;
    std::exception_ptr error;
    try {
        const c10::InferenceMode off(false);  // what stays serves training, too
        const torch::NoGradGuard guard;
        content = std::make_shared<const CompactFrame>(slot.decode());
    } catch (...) {
        error = std::current_exception();
    }
    lock.lock();
    slot.busy = false;
    busy_sequences_.erase(slot.sequence);
    hold(-reserved);
    if (content)
        settle(slot, std::move(content));
    else if (slot.waiting > 0 || is_expected(slot))
        slot.error = error;
    changed_.notify_all();
}

void FrameStore::settle(Slot& slot, std::shared_ptr<const CompactFrame> content) {
    const auto bytes = static_cast<double>(content->bytes());
    total_ += bytes - slot.bytes;
    slot.bytes = bytes;
    const bool fits = held_ + bytes <= budget_;
    slot.kept = fits && kept_ + bytes + reserve(bytes) <= budget_;
    // What somebody waits for and does not stay is his.
    slot.counted = slot.kept || (fits && slot.waiting == 0 && is_expected(slot));
    if (!slot.counted && slot.waiting == 0) return;
    if (slot.kept) kept_ += bytes;
    if (slot.counted) hold(bytes);
    slot.content = std::move(content);
}

void FrameStore::drop(Slot& slot) {
    slot.error = nullptr;
    if (slot.kept || !slot.content) return;
    if (slot.counted) hold(-slot.bytes);
    slot.counted = false;
    slot.content.reset();
}

double FrameStore::reserve(double bytes) const {
    return total_ <= budget_ ? 0 : static_cast<double>(ahead()) * bytes;
}

void FrameStore::hold(double bytes) {
    held_ += bytes;
    most_ = std::max(most_, held_);
}

void FrameStore::work() {
    stay_on_one_thread();
    std::unique_lock lock(mutex_);
    while (!stop_) {
        if (auto* slot = next())
            decode(*slot, lock, slot->bytes);
        else
            changed_.wait(lock);
    }
}

}  // namespace fmgs
