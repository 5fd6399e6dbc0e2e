#include <fmgs/train/batch.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>
#include <torch/types.h>
#include <torch/utils.h>

namespace fmgs {

namespace {

constexpr int64_t kBucket = int64_t{8} << 20;  // bytes

/// Parameters of one type and device whose gradients travel together.
struct Bucket {
    std::vector<torch::Tensor> parameters;
    int64_t elements = 0;

    bool takes(const torch::Tensor& parameter) const {
        return parameters.empty() ||
               (parameter.options().type_equal(parameters[0].options()) &&
                (elements + parameter.numel()) * parameter.element_size() <= kBucket);
    }
    /// Their gradients one after the other; zeros where there is none.
    torch::Tensor flat() const {
        std::vector<torch::Tensor> parts;
        for (const auto& parameter : parameters) {
            const auto& gradient = parameter.grad();
            parts.push_back(
                gradient.defined()
                    ? gradient.reshape({-1})
                    : torch::zeros({parameter.numel()}, parameter.options().requires_grad(false)));
        }
        return torch::cat(parts);
    }
    void give_back(const torch::Tensor& flat) const {
        int64_t at = 0;
        for (const auto& parameter : parameters) {
            parameter.mutable_grad() =
                flat.slice(0, at, at + parameter.numel()).view(parameter.sizes());
            at += parameter.numel();
        }
    }
};

/// The parameters that have a gradient on any rank.
std::vector<torch::Tensor> with_gradient(Ranks& ranks, const std::vector<Parameter>& parameters) {
    auto has = torch::zeros({static_cast<int64_t>(parameters.size())}, torch::kInt64);
    auto* flags = has.data_ptr<int64_t>();
    for (size_t k = 0; k < parameters.size(); ++k) flags[k] = parameters[k].tensor.grad().defined();
    ranks.sum({has});
    std::vector<torch::Tensor> out;
    for (size_t k = 0; k < parameters.size(); ++k)
        if (flags[k] > 0) out.push_back(parameters[k].tensor);
    return out;
}

}  // namespace

Share Share::of(int64_t batch, const Ranks& ranks) {
    if (batch < ranks.size())
        throw Error(
            fmt::format("train.batch: expected at least a frame for each of {} ranks, got {}; set "
                        "train.batch={}",
                        ranks.size(), batch, ranks.size()));
    const auto first = [&](int64_t rank) { return batch * rank / ranks.size(); };
    return {batch, first(ranks.rank()), first(ranks.rank() + 1)};
}

std::vector<int64_t> Share::draws(int64_t step) const {
    std::vector<int64_t> out;
    for (int64_t k = begin; k < end; ++k) out.push_back(step * batch + k);
    return out;
}

int64_t Share::next(int64_t draw) const {
    const int64_t step = draw / batch;
    return draw % batch + 1 < end ? draw + 1 : (step + 1) * batch + begin;
}

void MeanReport::add(LossReport report) {
    report.total = report.total.detach();
    if (!reports_.empty()) report.rendered = {};
    reports_.push_back(std::move(report));
}

LossReport MeanReport::over(Ranks& ranks, int64_t batch) const {
    if (batch == 1) return reports_.at(0);
    // Weights follow the step alone: a term is on for all frames or for none.
    auto mean = reports_.at(0);
    auto sums =
        torch::zeros({1 + std::ssize(mean.terms)}, mean.total.options().dtype(torch::kDouble));
    for (const auto& report : reports_) {
        std::vector<torch::Tensor> values = {report.total};
        for (const auto& term : report.terms) values.push_back(term.value);
        sums += torch::stack(values);
    }
    ranks.sum({sums});
    const auto means = (sums / batch).to(mean.total.scalar_type());
    mean.total = means[0];
    for (size_t k = 0; k < mean.terms.size(); ++k)
        mean.terms[k].value = means[static_cast<int64_t>(k) + 1];
    return mean;
}

std::vector<torch::Tensor> average_gradients(Ranks& ranks, const std::vector<Parameter>& parameters,
                                             int64_t batch) {
    std::vector<torch::Tensor> own;
    if (batch == 1) return own;
    const torch::NoGradGuard guard;
    for (const auto& parameter : parameters) own.push_back(parameter.tensor.grad());
    std::vector<Bucket> buckets;
    for (const auto& parameter : with_gradient(ranks, parameters)) {
        if (buckets.empty() || !buckets.back().takes(parameter)) buckets.emplace_back();
        buckets.back().parameters.push_back(parameter);
        buckets.back().elements += parameter.numel();
    }
    std::vector<torch::Tensor> flats;
    for (const auto& bucket : buckets) flats.push_back(bucket.flat());
    ranks.sum(flats);
    for (size_t k = 0; k < buckets.size(); ++k)
        buckets[k].give_back(flats[k].mul_(1.0 / static_cast<double>(batch)));
    return own;
}

}  // namespace fmgs
