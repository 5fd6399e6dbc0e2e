#include <fmgs/data/frame_list.h>

#include <fmgs/core/check.h>
#include <fmgs/data/cache/frame_store.h>
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace fmgs {

FrameList::FrameList(std::vector<Frame> frames) {
    for (auto& frame : frames) push_back(std::move(frame));
}

FrameList::FrameList(std::shared_ptr<FrameStore> store) : store_(std::move(store)) {}

void FrameList::push_back(Frame frame) {
    contents_.push_back({std::exchange(frame.maps, {}), std::exchange(frame.truth, {})});
    heads_.push_back(std::move(frame));
}

void FrameList::push_back(Frame head, size_t number) {
    contents_.push_back({{}, {}, static_cast<int64_t>(number)});
    heads_.push_back(std::move(head));
}

Frame FrameList::operator[](size_t i) const {
    if (i >= size()) throw Error(fmt::format("frame {}: there are {}", i, size()));
    Frame frame = heads_[i];
    const auto& content = contents_[i];
    if (content.number >= 0) {
        expand(*compact(i), truth_, frame);
    } else {
        frame.maps = content.maps;
        if (truth_) frame.truth = content.truth;
    }
    return frame;
}

void FrameList::expect(const std::vector<size_t>& next) const {
    if (!store_) return;
    std::vector<size_t> numbers;
    for (const size_t i : next) {
        if (numbers.size() == ahead()) break;
        const auto number = contents_.at(i).number;
        if (number >= 0) numbers.push_back(static_cast<size_t>(number));
    }
    store_->expect(numbers);
}

size_t FrameList::ahead() const { return store_ ? store_->ahead() : 0; }

Frame FrameList::Iterator::operator*() const {
    std::vector<size_t> next(std::min(list_->ahead(), list_->size() - i_));
    std::iota(next.begin(), next.end(), i_);
    list_->expect(next);
    return (*list_)[i_];
}

FrameList FrameList::without_truth() const {
    auto out = *this;
    out.truth_ = false;
    return out;
}

FrameList FrameList::on(torch::Device device, double budget) const {
    auto store = std::make_shared<FrameStore>(budget);
    FrameList out(store);
    out.truth_ = truth_;
    const double bytes = empty() ? 0 : static_cast<double>(kept_bytes(0));
    const auto here = std::make_shared<const FrameList>(*this);
    for (size_t i = 0; i < size(); ++i) {
        const auto bring = [here, i, device] { return here->compact(i)->to(device); };
        const auto number = contents_[i].number;
        const auto sequence =
            number < 0 ? std::string() : store_->sequence(static_cast<size_t>(number));
        out.push_back(heads_[i].to(device), store->add(bring, bytes, sequence));
    }
    return out;
}

size_t FrameList::kept_bytes(size_t i) const { return compact(i)->bytes(); }

std::shared_ptr<const CompactFrame> FrameList::compact(size_t i) const {
    const auto& content = contents_.at(i);
    if (content.number >= 0) return store_->get(static_cast<size_t>(content.number));
    Frame frame;
    frame.maps = content.maps;
    if (truth_) frame.truth = content.truth;
    return std::make_shared<const CompactFrame>(fmgs::compact(frame));
}

}  // namespace fmgs
