#pragma once
/// The frames of a split, whose pictures are decoded when they are asked for.
#include <fmgs/core/types.h>

#include <iterator>
#include <memory>
#include <span>

namespace fmgs {

class FrameStore;
struct CompactFrame;

/// Of each frame, name, index, camera and pose are known at once: `heads`. Its maps are decoded
/// when the frame is asked for, and ahead of that on other threads when it is expected; what was
/// decoded stays in memory in few bytes as far as data.memory reaches (docs/using_the_library.md).
/// Frames that were given with their maps are returned as they are. Copies share what stays. The
/// maps are not to be written to. May be read by several threads.
class FrameList {
  public:
    FrameList() = default;
    /// Frames with their maps.
    FrameList(std::vector<Frame> frames);
    /// None yet; those that are added are the store's.
    explicit FrameList(std::shared_ptr<FrameStore> store);

    /// A frame with its maps.
    void push_back(Frame frame);
    /// A frame without maps, which the store has under this number.
    void push_back(Frame head, size_t number);

    size_t size() const { return heads_.size(); }
    bool empty() const { return heads_.empty(); }
    /// The frames without maps.
    std::span<Frame> heads() { return heads_; }
    std::span<const Frame> heads() const { return heads_; }

    /// The head with its maps. Error, naming the file, when it is damaged; when there is no such
    /// frame.
    Frame operator[](size_t i) const;
    Frame front() const { return (*this)[0]; }
    Frame back() const { return (*this)[size() - 1]; }

    /// The frames that are asked for next, in this order. Those after the first few (`ahead`) make
    /// no difference.
    void expect(const std::vector<size_t>& next) const;
    size_t ahead() const;

    /// From the first to the last, each while the next few are decoded.
    class Iterator {
      public:
        using iterator_category = std::input_iterator_tag;
        using value_type = Frame;
        using difference_type = std::ptrdiff_t;
        using pointer = const Frame*;
        using reference = Frame;

        Iterator(const FrameList& list, size_t i) : list_(&list), i_(i) {}
        Frame operator*() const;
        Iterator& operator++() {
            ++i_;
            return *this;
        }
        Iterator operator++(int) {
            const auto before = *this;
            ++i_;
            return before;
        }
        bool operator==(const Iterator& other) const = default;

      private:
        const FrameList* list_;
        size_t i_;
    };
    Iterator begin() const { return {*this, 0}; }
    Iterator end() const { return {*this, size()}; }

    /// The same frames without their exact maps: what losses may see.
    FrameList without_truth() const;
    /// The same frames with their maps on the device, where `budget` bytes of them stay.
    FrameList on(torch::Device device, double budget) const;
    /// Bytes that the maps of a frame take where they stay; decodes it.
    size_t kept_bytes(size_t i) const;
    /// What decodes and keeps them; null: they came with their maps.
    const FrameStore* store() const { return store_.get(); }

  private:
    struct Content {
        Maps maps, truth;
        int64_t number = -1;  // of the store; -1: these maps
    };
    std::shared_ptr<const CompactFrame> compact(size_t i) const;

    std::vector<Frame> heads_;
    std::vector<Content> contents_;
    std::shared_ptr<FrameStore> store_;
    bool truth_ = true;
};

}  // namespace fmgs
