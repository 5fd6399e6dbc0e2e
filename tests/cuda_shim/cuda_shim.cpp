/// The scheduler of the fibers: see cuda_runtime.h.
#include "cuda_runtime.h"

#include <ucontext.h>

#include <exception>
#include <memory>
#include <random>
#include <unordered_map>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define FMGS_FIBER_ASAN 1
#else
#define FMGS_FIBER_ASAN 0
#endif
#if FMGS_FIBER_TSAN
#include <sanitizer/tsan_interface.h>
extern "C" void AnnotateIgnoreWritesBegin(const char* file, int line);
extern "C" void AnnotateIgnoreWritesEnd(const char* file, int line);
#endif

namespace fmgs::cuda_shim {
namespace {

// bytes; instrumented code needs more than optimised code
constexpr size_t kStack = size_t{256} * 1024;

/// What the threads of a group have brought to an operation that waits for all of them.
struct Meeting {
    std::vector<uint64_t> values, result;
    unsigned size = 0, arrived = 0;
    uint64_t generation = 0;
    char order[2] = {};  ///< ThreadSanitizer's marks of what happened before, in turns

    explicit Meeting(unsigned count)
        : values(count), result(count < 32 ? 32 : count), size(count) {}
    /// True when the caller completed it.
    bool arrive(unsigned index, uint64_t value) {
        values[index] = value;
        if (++arrived < size) return false;
#if FMGS_FIBER_TSAN
        AnnotateIgnoreWritesBegin(__FILE__, __LINE__);  // read in the kernels' code
#endif
        std::copy(values.begin(), values.end(), result.begin());
#if FMGS_FIBER_TSAN
        AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
#endif
        arrived = 0;
        ++generation;
        return true;
    }
};

struct Fiber {
    ucontext_t context{};
    std::unique_ptr<char[]> stack{new char[kStack]};
    Place where;
    const Meeting* waits_for = nullptr;
    uint64_t generation = 0;  ///< of the meeting, when it arrived
    bool done = false;
    void* sanitizer_stack = nullptr;

    bool can_run() const { return !done && (!waits_for || waits_for->generation != generation); }
};

struct Block {
    std::vector<Fiber>& fibers;
    std::vector<Meeting> warps;
    Meeting everyone;
    const std::function<void()>& body;
    ucontext_t scheduler{};
    Fiber* running = nullptr;
    std::exception_ptr error;
    const void* scheduler_stack = nullptr;
    size_t scheduler_stack_size = 0;
    void* scheduler_sanitizer = nullptr;

    Block(std::vector<Fiber>& all, unsigned threads, const std::function<void()>& f)
        : fibers(all), everyone(threads), body(f) {
        for (unsigned first = 0; first < threads; first += 32)
            warps.emplace_back(std::min(32u, threads - first));
    }
};

Block* current = nullptr;
uint64_t schedule_seed = 0;
int64_t launch_count = 0;
Place outside;
std::vector<double> shared_memory;  // doubles for their alignment

#if FMGS_FIBER_TSAN
/// For ThreadSanitizer every fiber is a thread of its own, and being switched orders nothing: only
/// barriers do, and the start and the end of a block. So it finds the races of the threads of a
/// block. Shuffles and votes order no memory either, as CUDA has it.
void* scheduler_thread = nullptr;
std::vector<void*> thread_of_fiber;

void use_thread(void* thread) { __tsan_switch_to_fiber(thread, __tsan_switch_to_fiber_no_sync); }
/// Orders every thread after the scheduler and the scheduler after every thread.
void meet_scheduler(size_t count) {
    for (size_t t = 0; t < count; ++t) {
        __tsan_switch_to_fiber(thread_of_fiber[t], 0);
        __tsan_switch_to_fiber(scheduler_thread, 0);
    }
}
void make_threads(size_t count) {
    scheduler_thread = __tsan_get_current_fiber();
    while (thread_of_fiber.size() < count) thread_of_fiber.push_back(__tsan_create_fiber(0));
}
/// After a kernel that stopped half way.
void drop_threads() {
    for (void* thread : thread_of_fiber) __tsan_destroy_fiber(thread);
    thread_of_fiber.clear();
}
#endif

/// From the running fiber back to the scheduler.
void leave() {
    Fiber* self = current->running;
#if FMGS_FIBER_TSAN
    use_thread(scheduler_thread);
#endif
#if FMGS_FIBER_ASAN
    __sanitizer_start_switch_fiber(self->done ? nullptr : &self->sanitizer_stack,
                                   current->scheduler_stack, current->scheduler_stack_size);
#endif
    swapcontext(&self->context, &current->scheduler);
#if FMGS_FIBER_ASAN
    __sanitizer_finish_switch_fiber(self->sanitizer_stack, nullptr, nullptr);
#endif
}

void enter(Fiber& fiber) {
    current->running = &fiber;
#if FMGS_FIBER_TSAN
    use_thread(thread_of_fiber[static_cast<size_t>(&fiber - current->fibers.data())]);
#endif
#if FMGS_FIBER_ASAN
    __sanitizer_start_switch_fiber(&current->scheduler_sanitizer, fiber.stack.get(), kStack);
#endif
    swapcontext(&current->scheduler, &fiber.context);
#if FMGS_FIBER_ASAN
    __sanitizer_finish_switch_fiber(current->scheduler_sanitizer, nullptr, nullptr);
#endif
    current->running = nullptr;
}

void fiber_main() {
#if FMGS_FIBER_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &current->scheduler_stack,
                                    &current->scheduler_stack_size);
#endif
    try {
        current->body();
    } catch (...) {
        if (!current->error) current->error = std::current_exception();
    }
    current->running->done = true;
    leave();
}

void restart(Fiber& fiber) {
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStack;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, fiber_main, 0);
}

void wait_for(Meeting& meeting, unsigned index, uint64_t value, bool orders_memory) {
    Fiber* self = current->running;
#if FMGS_FIBER_TSAN
    char* const order = &meeting.order[meeting.generation % 2];
    if (orders_memory) __tsan_release(order);
#else
    static_cast<void>(orders_memory);
#endif
    self->waits_for = &meeting;
    self->generation = meeting.generation;
    meeting.arrive(index, value);
    leave();  // also the last to come: who goes on first is the schedule's choice
    self->waits_for = nullptr;
#if FMGS_FIBER_TSAN
    if (orders_memory) __tsan_acquire(order);
#endif
}

void run_block(Block& block, std::mt19937_64& random) {
    std::vector<Fiber*> order;
    for (auto& fiber : block.fibers) order.push_back(&fiber);
    bool progress = true;
    while (progress) {
        progress = false;
        if (schedule_seed != 0) std::shuffle(order.begin(), order.end(), random);
        for (Fiber* fiber : order) {
            if (!fiber->can_run()) continue;
            enter(*fiber);
            progress = true;
            if (block.error) return;
        }
    }
    for (const auto& fiber : block.fibers) {
        if (!fiber.done)
            throw std::runtime_error(
                "a thread waits at a barrier or warp operation that others never reach");
    }
}

}  // namespace

Place& place() { return current ? current->running->where : outside; }
void set_schedule(uint64_t seed) { schedule_seed = seed; }
int64_t launches() { return launch_count; }
unsigned char* dynamic_shared() { return reinterpret_cast<unsigned char*>(shared_memory.data()); }

size_t& allowed_dynamic_shared(const void* kernel) {
    static std::unordered_map<const void*, size_t> allowed;
    return allowed.try_emplace(kernel, kDefaultDynamicShared).first->second;
}

const uint64_t* block_gather(uint64_t value) {
    const auto& at = place();
    const unsigned index =
        (at.thread.z * at.block_size.y + at.thread.y) * at.block_size.x + at.thread.x;
    wait_for(current->everyone, index, value, true);
    return current->everyone.result.data();
}

const uint64_t* warp_gather(unsigned mask, uint64_t value, bool orders_memory) {
    if (mask != 0xffffffffu)
        throw std::runtime_error("a warp operation of a part of the warp: kernels use whole warps");
    const auto& at = place();
    const unsigned index =
        (at.thread.z * at.block_size.y + at.thread.y) * at.block_size.x + at.thread.x;
    Meeting& warp = current->warps[index / 32];
    if (warp.size != 32) throw std::runtime_error("a warp operation in a block of partial warps");
    wait_for(warp, at.lane, value, orders_memory);
    return warp.result.data();
}

uint64_t warp_exchange(unsigned mask, uint64_t value, unsigned from) {
    return warp_gather(mask, value)[from];
}

cudaError_t run(dim3 grid, dim3 size, size_t shared_bytes, const std::function<void()>& body) {
    const uint64_t count = uint64_t{size.x} * size.y * size.z;
    const uint64_t blocks = uint64_t{grid.x} * grid.y * grid.z;
    if (count == 0 || count > 1024 || blocks == 0 || grid.y > 65535 || grid.z > 65535 ||
        grid.x > 0x7fffffffu || current)
        return cudaErrorInvalidValue;
    ++launch_count;
    std::mt19937_64 random(schedule_seed);
    std::vector<Fiber> fibers(count);
#if FMGS_FIBER_TSAN
    make_threads(count);
#endif
    for (uint64_t b = 0; b < blocks; ++b) {
        shared_memory.assign(shared_bytes / sizeof(double) + 1, NAN);
        Block block(fibers, static_cast<unsigned>(count), body);
        for (uint64_t t = 0; t < count; ++t) {
            auto& fiber = fibers[t];
            fiber.done = false;
            fiber.waits_for = nullptr;
            const auto index = static_cast<unsigned>(t);
            fiber.where.thread = {index % size.x, index / size.x % size.y,
                                  index / (size.x * size.y)};
            const auto at = static_cast<unsigned>(b);
            fiber.where.block = {at % grid.x, at / grid.x % grid.y, at / (grid.x * grid.y)};
            fiber.where.block_size = size;
            fiber.where.grid_size = grid;
            fiber.where.lane = index % 32;
            restart(fiber);
        }
        current = &block;
#if FMGS_FIBER_TSAN
        meet_scheduler(count);
#endif
        try {
            run_block(block, random);
        } catch (...) {
            block.error = std::current_exception();
        }
#if FMGS_FIBER_TSAN
        meet_scheduler(count);
        if (block.error) drop_threads();
#endif
        current = nullptr;
        if (block.error) std::rethrow_exception(block.error);
    }
    return cudaSuccess;
}

}  // namespace fmgs::cuda_shim
