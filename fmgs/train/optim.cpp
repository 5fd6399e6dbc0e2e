#include <fmgs/train/optim.h>

#include <ATen/Parallel.h>
#include <fmgs/core/check.h>
#include <fmgs/core/config/config.h>
#include <fmt/format.h>

#include <cmath>
#include <map>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace fmgs {

namespace {

constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-15;
// elements; fixed, so that sums do not depend on the number of threads
constexpr int64_t kChunk = 1 << 15;

/// The surfels' own attributes: their gradient is never clipped.
bool is_surfel(const std::string& group) {
    return group == "scale" || group == "opacity" || group == "offset" || group == "turn";
}

/// Rows belong to frames, of which a step draws one.
bool is_by_row(const std::string& group) { return group.starts_with("pose_"); }

/// Treats denormals as zero in this scope on this thread: the first moment of an untouched table
/// row decays into them and stays there, at a hundred times the cost of a normal number. ε hides
/// the difference.
struct NoDenormals {
#if defined(__SSE2__)
    unsigned int saved = _mm_getcsr();
    NoDenormals() { _mm_setcsr(saved | 0x8040u); }
    ~NoDenormals() { _mm_setcsr(saved); }
    NoDenormals(const NoDenormals&) = delete;
    NoDenormals& operator=(const NoDenormals&) = delete;
#endif
};

/// Σ g² in double; not finite exactly when an element is not.
double square_sum(const torch::Tensor& gradient) {
    if (gradient.device().is_cpu() && gradient.scalar_type() == torch::kFloat32 &&
        gradient.is_contiguous()) {
        const float* g = gradient.const_data_ptr<float>();
        const int64_t count = gradient.numel(), chunks = (count + kChunk - 1) / kChunk;
        std::vector<double> sums(static_cast<size_t>(chunks));
        at::parallel_for(0, chunks, 1, [&](int64_t begin, int64_t end) {
            for (int64_t c = begin; c < end; ++c) {
                double lanes[4] = {0, 0, 0, 0};
                const int64_t last = std::min(count, (c + 1) * kChunk);
                int64_t i = c * kChunk;
                for (; i + 4 <= last; i += 4) {
                    for (int64_t k = 0; k < 4; ++k)
                        lanes[k] += static_cast<double>(g[i + k]) * g[i + k];
                }
                for (; i < last; ++i) lanes[i & 3] += static_cast<double>(g[i]) * g[i];
                sums[static_cast<size_t>(c)] = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
            }
        });
        double total = 0;
        for (const double s : sums) total += s;
        return total;
    }
    const auto g = gradient.to(torch::kFloat64);
    return (g * g).sum().item<double>();
}

struct AdamPass {
    float* p;
    const float* g;
    float* m;
    float* v;
    float factor;  ///< of the gradient (clipping)
    float rate;    ///< lr / (1 - β₁ᵗ)
    float root;    ///< 1 / √(1 - β₂ᵗ)

    void operator()(int64_t begin, int64_t end) const {
        const NoDenormals scope;
        constexpr auto b1 = static_cast<float>(kBeta1), b2 = static_cast<float>(kBeta2);
        constexpr auto c1 = static_cast<float>(1 - kBeta1), c2 = static_cast<float>(1 - kBeta2);
        constexpr auto epsilon = static_cast<float>(kEpsilon);
        int64_t i = begin;
#if defined(__SSE2__)
        const auto all = [](float x) { return _mm_set1_ps(x); };
        for (; i + 4 <= end; i += 4) {
            const __m128 x = _mm_mul_ps(_mm_loadu_ps(g + i), all(factor));
            const __m128 mm =
                _mm_add_ps(_mm_mul_ps(all(b1), _mm_loadu_ps(m + i)), _mm_mul_ps(all(c1), x));
            const __m128 vv = _mm_add_ps(_mm_mul_ps(all(b2), _mm_loadu_ps(v + i)),
                                         _mm_mul_ps(all(c2), _mm_mul_ps(x, x)));
            _mm_storeu_ps(m + i, mm);
            _mm_storeu_ps(v + i, vv);
            const __m128 below = _mm_add_ps(_mm_mul_ps(_mm_sqrt_ps(vv), all(root)), all(epsilon));
            _mm_storeu_ps(p + i, _mm_sub_ps(_mm_loadu_ps(p + i),
                                            _mm_mul_ps(all(rate), _mm_div_ps(mm, below))));
        }
#endif
        for (; i < end; ++i) {
            const float x = g[i] * factor;
            m[i] = b1 * m[i] + c1 * x;
            v[i] = b2 * v[i] + c2 * (x * x);
            p[i] -= rate * (m[i] / (std::sqrt(v[i]) * root + epsilon));
        }
    }
};

/// x [F,…] with a row for each frame: a view.
torch::Tensor in_rows(const torch::Tensor& x) {
    return x.dim() == 1 ? x.unsqueeze(1) : x.flatten(1);
}

/// Adam of those rows of x [F,…] that have a gradient and that `live` [] bool lets move; `steps`
/// [F] int64 counts each. The others keep their bits. Nothing is read back.
void update_rows(const torch::Tensor& x, const torch::Tensor& gradient, const torch::Tensor& first,
                 const torch::Tensor& second, const torch::Tensor& steps, double rate,
                 const torch::Tensor& live) {
    const auto g = in_rows(gradient);
    auto p = in_rows(x), m = in_rows(first), v = in_rows(second);
    const auto rows = g.ne(0).any(1).logical_and(live);
    steps.add_(rows);
    const auto set = [where = rows.unsqueeze(1)](torch::Tensor& to, const torch::Tensor& value) {
        to.copy_(torch::where(where, value.to(to.scalar_type()), to));
    };
    set(m, kBeta1 * m + (1 - kBeta1) * g);
    set(v, kBeta2 * v + (1 - kBeta2) * g * g);
    const auto t = steps.to(torch::kDouble).unsqueeze(1);
    const auto mean = m / (1 - torch::pow(kBeta1, t));
    const auto size = (v / (1 - torch::pow(kBeta2, t))).sqrt();
    set(p, p - rate * (mean / (size + kEpsilon)));
}

}  // namespace

double OptimOptions::rate(const std::string& group, double progress) const {
    const std::pair<const char*, const Schedule*> rates[] = {
        {"volume", &volume},
        {"feature_volume", &feature_volume},
        {"network", &network},
        {"skinning", &skinning},
        {"skinning_table", &skinning_table},
        {"blendshapes", &blendshapes},
        {"betas", &betas},
        {"light", &light},
        {"pose_root", &pose_root},
        {"pose_joints", &pose_joints},
        {"pose_translation", &pose_translation},
        {"picture_encoder", &picture_encoder},
        {"scale", &scale},
        {"opacity", &opacity},
        {"offset", &offset},
        {"turn", &turn},
        {"loss", &loss}};
    std::string known;
    for (const auto& [name, schedule] : rates) {
        if (group == name) {
            const bool decays = group != "scale" && group != "opacity";
            return (decays ? std::pow(decay, progress) : 1.0) * schedule->at(progress);
        }
        known += (known.empty() ? "" : ", ") + std::string(name);
    }
    throw Error(fmt::format("there is no parameter group '{}'; there are: {}", group, known));
}

Optimizer::Optimizer(const std::vector<Parameter>& parameters, const OptimOptions& options,
                     int64_t batch)
    : options_(options),
      batch_factor_(options.follow_batch ? std::sqrt(static_cast<double>(batch)) : 1) {
    check_ranges(options, "optim");
    for (const auto& [name, group, parameter] : parameters) {
        if (!parameter.requires_grad()) continue;
        if (!parameter.is_contiguous())
            throw Error(fmt::format("parameter {}: expected a contiguous tensor", name));
        options.rate(group, 0);  // an unknown group shows now
        const auto plain = parameter.options().requires_grad(false);
        const bool by_row = is_by_row(group);
        const auto steps = by_row ? torch::zeros({parameter.size(0)}, plain.dtype(torch::kInt64))
                                  : torch::zeros({1}, torch::kInt64);
        slots_.push_back({name, group, parameter, torch::zeros(parameter.sizes(), plain),
                          torch::zeros(parameter.sizes(), plain), steps, is_surfel(group), by_row});
    }
}

std::optional<std::string> Optimizer::step(double progress) {
    const torch::NoGradGuard guard;  // an update is not part of any graph
    read_steps();
    std::vector<torch::Tensor> gradients(slots_.size());
    double norm = 0;
    for (size_t k = 0; k < slots_.size(); ++k) {
        const auto& gradient = slots_[k].parameter.grad();
        if (!gradient.defined()) continue;
        gradients[k] = gradient.contiguous();
        const double sum = square_sum(gradients[k]);
        if (!std::isfinite(sum)) return slots_[k].name;
        if (!slots_[k].surfel) norm += sum;
    }
    norm = std::sqrt(norm);
    const double factor = options_.clip > 0 && norm > options_.clip ? options_.clip / norm : 1;
    for (size_t k = 0; k < slots_.size(); ++k) {
        if (!gradients[k].defined()) continue;
        update(slots_[k], gradients[k], rate_of(slots_[k], progress),
               slots_[k].surfel ? 1 : factor);
    }
    return std::nullopt;
}

double Optimizer::rate_of(const Slot& slot, double progress) const {
    return options_.rate(slot.group, progress) * (slot.by_row ? 1 : batch_factor_);
}

void Optimizer::update(Slot& slot, const torch::Tensor& gradient, double rate, double factor) {
    if (slot.by_row) {
        const auto always = torch::ones({}, gradient.options().dtype(torch::kBool));
        update_rows(slot.parameter, gradient * factor, slot.first, slot.second, slot.steps, rate,
                    always);
        return;
    }
    const int64_t t = ++slot.steps.data_ptr<int64_t>()[0];
    rate /= 1 - std::pow(kBeta1, static_cast<double>(t));
    const double root = 1 / std::sqrt(1 - std::pow(kBeta2, static_cast<double>(t)));
    if (slot.parameter.device().is_cpu() && slot.parameter.scalar_type() == torch::kFloat32) {
        const AdamPass pass{slot.parameter.data_ptr<float>(), gradient.const_data_ptr<float>(),
                            slot.first.data_ptr<float>(),     slot.second.data_ptr<float>(),
                            static_cast<float>(factor),       static_cast<float>(rate),
                            static_cast<float>(root)};
        at::parallel_for(0, slot.parameter.numel(), kChunk, pass);
        return;
    }
    const auto g = gradient * factor;
    slot.first.mul_(kBeta1).add_(g, 1 - kBeta1);
    slot.second.mul_(kBeta2).addcmul_(g, g, 1 - kBeta2);
    slot.parameter.addcdiv_(slot.first, slot.second.sqrt().mul_(root).add_(kEpsilon), -rate);
}

void Optimizer::zero_grad() {
    for (auto& slot : slots_) slot.parameter.mutable_grad().reset();
}

void Optimizer::step_unchecked(double progress, const torch::Tensor& loss, bool counts) {
    const torch::NoGradGuard guard;  // an update is not part of any graph
    if (!stopped_.defined()) {
        stopped_ = torch::zeros({}, loss.options().dtype(torch::kFloat).requires_grad(false));
        skipped_ = torch::zeros_like(stopped_);
    }
    std::vector<torch::Tensor> gradients, clipped;
    std::vector<Slot*> slots;
    for (auto& slot : slots_) {
        const auto& gradient = slot.parameter.grad();
        if (!gradient.defined()) continue;
        if (!slot.by_row && !slot.live_steps.defined())
            slot.live_steps = slot.steps[0].to(slot.parameter.device(), torch::kFloat);
        gradients.push_back(gradient.contiguous());
        slots.push_back(&slot);
        if (!slot.surfel) clipped.push_back(gradients.back());
    }
    if (slots.empty()) return;
    const auto norms = torch::stack(at::_foreach_norm(gradients, 2));
    const auto good = norms.isfinite().all().logical_and(loss.isfinite());
    stopped_.copy_(torch::max(stopped_, good.logical_not().to(torch::kFloat)));
    if (counts) skipped_.add_(stopped_);
    torch::Tensor divisor;  // of the gradients that are clipped
    if (options_.clip > 0 && !clipped.empty())
        divisor = (torch::stack(at::_foreach_norm(clipped, 2)).norm() / options_.clip)
                      .clamp_min(1)
                      .to(torch::kFloat);

    // One launch for all parameters of a learning rate.
    std::map<std::pair<double, bool>, std::vector<size_t>> groups;
    for (size_t k = 0; k < slots.size(); ++k) {
        auto& slot = *slots[k];
        const double rate = rate_of(slot, progress);
        if (!slot.by_row) {
            groups[{rate, slot.surfel}].push_back(k);
            continue;
        }
        const auto g = divisor.defined() ? gradients[k] / divisor : gradients[k];
        update_rows(slot.parameter, g, slot.first, slot.second, slot.steps, rate, stopped_ == 0);
    }
    for (const auto& [key, members] : groups) {
        std::vector<torch::Tensor> parameter, gradient, first, second, steps;
        for (const size_t k : members) {
            parameter.push_back(slots[k]->parameter);
            gradient.push_back(gradients[k]);
            first.push_back(slots[k]->first);
            second.push_back(slots[k]->second);
            steps.push_back(slots[k]->live_steps.add_(1 - stopped_));
        }
        at::_fused_adam_(parameter, gradient, first, second, {}, steps, key.first, kBeta1, kBeta2,
                         /*weight_decay=*/0, kEpsilon, /*amsgrad=*/false, /*maximize=*/false,
                         key.second || !divisor.defined() ? std::nullopt : std::optional(divisor),
                         stopped_);
    }
}

int64_t Optimizer::take_skipped() {
    if (!skipped_.defined()) return 0;
    const auto count = static_cast<int64_t>(skipped_.item<float>());
    skipped_.zero_();
    return count;
}

void Optimizer::read_steps() {
    for (auto& slot : slots_) {
        if (slot.live_steps.defined()) slot.steps.copy_(slot.live_steps.view({1}));
        slot.live_steps = torch::Tensor();
    }
}

TensorDict Optimizer::state() {
    read_steps();
    TensorDict out;
    for (const auto& slot : slots_) {
        out.set(slot.name + ".first", slot.first);
        out.set(slot.name + ".second", slot.second);
        out.set(slot.name + ".steps", slot.steps);
    }
    return out;
}

}  // namespace fmgs
