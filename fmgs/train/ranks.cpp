#include <fmgs/train/ranks.h>

#include <fmgs/train/link.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>

#include <cstring>

namespace fmgs {

Ranks::Ranks() = default;
Ranks::~Ranks() = default;

std::shared_ptr<Ranks> Ranks::join(const RankEnvironment& environment, double timeout) {
    auto ranks = std::make_shared<Ranks>();
    if (environment.size == 1) return ranks;
    ranks->link_ = open_link(environment, timeout);
    ranks->rank_ = environment.rank;
    ranks->size_ = environment.size;
    return ranks;
}

std::string Ranks::text() const {
    return alone() ? std::string() : fmt::format("{} ranks, {}", size_, link_->name());
}

void Ranks::sum(const std::vector<torch::Tensor>& tensors) {
    if (alone()) return;
    (void)agree(nullptr, false);
    const torch::NoGradGuard guard;  // sums of gradients and figures: not part of any graph
    link_->sum(tensors);
}

void Ranks::take_from_first(const std::vector<torch::Tensor>& tensors) {
    if (alone()) return;
    (void)agree(nullptr, false);
    const torch::NoGradGuard guard;  // what is copied are values
    for (const auto& tensor : tensors) {
        if (tensor.numel() == 0) continue;
        const auto values = tensor.cpu().contiguous();
        link_->take_from_first(values.flatten().view(torch::kUInt8));
        tensor.copy_(values);
    }
}

std::vector<std::string> Ranks::texts(const std::string& mine) {
    if (alone()) return {mine};
    (void)agree(nullptr, false);
    return gathered(mine);
}

std::vector<std::string> Ranks::gathered(const std::string& mine) {
    std::vector<int64_t> lengths;
    for (const auto& length : link_->gather(torch::tensor({static_cast<int64_t>(mine.size())})))
        lengths.push_back(length.item<int64_t>());
    const auto longest = std::max<int64_t>(1, *std::max_element(lengths.begin(), lengths.end()));
    auto bytes = torch::zeros({longest}, torch::kUInt8);
    std::memcpy(bytes.data_ptr(), mine.data(), mine.size());
    std::vector<std::string> out;
    for (const auto& text : link_->gather(bytes))
        out.emplace_back(static_cast<const char*>(text.const_data_ptr()),
                         static_cast<size_t>(lengths[out.size()]));
    return out;
}

bool Ranks::agree(const std::exception_ptr& error, bool flag) {
    if (alone()) {
        if (error) std::rethrow_exception(error);
        return flag;
    }
    const auto state = torch::tensor({error ? int64_t{1} : 0, flag ? int64_t{1} : 0});
    link_->sum({state});
    if (state[0].item<int64_t>() == 0) return state[1].item<int64_t>() > 0;
    const auto reasons = gathered(error ? message_of(error) + "\n" : "");
    for (size_t rank = 0; rank < reasons.size(); ++rank) {
        if (reasons[rank].empty()) continue;
        const auto& reason = reasons[rank];
        throw AgreedError(fmt::format("rank {}: {}", rank, reason.substr(0, reason.size() - 1)));
    }
    throw AgreedError("a rank failed without a reason");
}

void Ranks::at_step(int64_t step) {
    if (link_) link_->at_step(step);
}

}  // namespace fmgs
