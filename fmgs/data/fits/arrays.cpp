#include <fmgs/data/fits/arrays.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

namespace fmgs::detail {

const char* first_key(const Value& value, std::initializer_list<const char*> keys) {
    for (const char* key : keys) {
        if (value.contains(key)) return key;
    }
    return nullptr;
}

std::vector<int64_t> sizes_of(const Value& value) {
    if (!value.is_array() && !value.is_list()) return {};
    try {
        return value.shape();
    } catch (const Error&) {  // lists of several lengths, or of no numbers
        return {};
    }
}

namespace {

std::string wanted_text(std::initializer_list<int64_t> shape) {
    std::string text;
    for (const int64_t size : shape)
        text += (text.empty() ? "" : ",") + (size < 0 ? std::string("any") : std::to_string(size));
    return fmt::format("[{}]", text);
}

// The sizes without the ones in front that `dims` dimensions have no place for, or with one more.
std::vector<int64_t> with_dims(std::vector<int64_t> shape, size_t dims) {
    while (shape.size() > dims && shape.front() == 1) shape.erase(shape.begin());
    if (shape.size() + 1 == dims) shape.insert(shape.begin(), 1);
    return shape;
}

}  // namespace

torch::Tensor Arrays::real(const char* key) const {
    return finite_numbers(value_[key], fmt::format("{}: {}", what_, key));
}

std::vector<std::string> Arrays::texts(const char* key) const {
    try {
        return value_[key].strings();
    } catch (const Error& e) {
        throw Error(fmt::format("{}: {}: {}", what_, key, e.what()));
    }
}

torch::Tensor Arrays::numbers(const char* key, std::initializer_list<int64_t> wanted) const {
    if (!has(key))
        throw Error(fmt::format("{}: expected {} {}, there is none; keys: {}", what_, key,
                                wanted_text(wanted), value_.keys()));
    const Value& entry = value_[key];
    const auto given = sizes_of(entry);
    if (given.empty() && !entry.is_number())
        throw Error(fmt::format("{}: {}: expected numbers {}, got {}", what_, key,
                                wanted_text(wanted), entry.description()));
    const auto shape = with_dims(given, wanted.size());
    bool fits = shape.size() == wanted.size();
    for (size_t i = 0; fits && i < shape.size(); ++i)
        fits = wanted.begin()[i] < 0 || shape[i] == wanted.begin()[i];
    if (!fits)
        throw Error(fmt::format("{}: {}: expected {}, got {}", what_, key, wanted_text(wanted),
                                shape_text(given)));
    return real(key).reshape(shape);
}

torch::Tensor Arrays::numbers_or_none(const char* key,
                                      std::initializer_list<int64_t> wanted) const {
    return has(key) && !value_[key].is_none() ? numbers(key, wanted) : torch::Tensor();
}

torch::Tensor Arrays::rotations(const char* key, bool one) const {
    const Value* entry = value_.find(key);
    if (!entry) throw Error(fmt::format("{}: there is no {}; keys: {}", what_, key, value_.keys()));
    auto shape = sizes_of(*entry);
    if (shape.empty())
        throw Error(fmt::format("{}: {}: expected rotations of joints, got {}", what_, key,
                                entry->description()));
    const auto given = shape;
    const auto dims = [&] { return shape.size(); };
    // One frame: [1,…] or without it.
    if (one && dims() > 1 && shape[0] == 1) shape.erase(shape.begin());
    if (one || dims() == 1) shape.insert(shape.begin(), 1);
    const bool matrices = dims() == 4 && shape[2] == 3 && shape[3] == 3;
    const bool root_matrices = dims() == 3 && shape[1] == 3 && shape[2] == 3;
    const bool vectors = dims() == 3 && shape[2] == 3;
    if (!matrices && !vectors && !(dims() == 2 && shape[1] % 3 == 0 && shape[1] > 0))
        throw Error(
            fmt::format("{}: {}: expected [frames,3 per joint], [frames,joints,3] or rotation "
                        "matrices [frames,joints,3,3], got {}",
                        what_, key, shape_text(given)));
    auto x = real(key).reshape(shape);
    if (root_matrices) {
        // Three joints as vectors, or one matrix a frame: only the latter is a rotation.
        const auto unit = torch::matmul(x, x.transpose(1, 2)) - torch::eye(3, x.options());
        if (x.size(0) > 0 && unit.abs().max().item<double>() < 0.02) x = x.unsqueeze(1);
    }
    const auto label = fmt::format("{}: {}", what_, key);
    if (x.dim() == 4) x = axis_angle_of(x, label);
    return x.reshape({x.size(0), x.dim() == 3 ? 3 * x.size(1) : x.size(1)});
}

torch::Tensor Arrays::betas(const char* key) const {
    if (!has(key) || value_[key].is_none()) return {};
    const auto shape = sizes_of(value_[key]);
    if (shape.empty() || shape.size() > 2)
        throw Error(fmt::format("{}: {}: expected finite numbers [B], [1,B] or [frames,B], got {}",
                                what_, key, value_[key].description()));
    return real(key);
}

double Arrays::number(const char* key) const {
    const Value& entry = value_[key];
    if (!entry.is_number())
        throw Error(
            fmt::format("{}: {}: expected one number, got {}", what_, key, entry.description()));
    return entry.number();
}

std::vector<int64_t> Arrays::integers(const char* key) const {
    const auto x = numbers(key, {-1});
    if (x.numel() > 0 && (!torch::equal(x, x.round()) || x.abs().max().item<double>() > 1e15))
        throw Error(fmt::format("{}: {}: expected whole numbers", what_, key));
    const auto whole = x.to(torch::kLong).contiguous();
    return {whole.data_ptr<int64_t>(), whole.data_ptr<int64_t>() + whole.numel()};
}

torch::Tensor joined_rotations(const torch::Tensor& root, const torch::Tensor& body,
                               const std::string& what) {
    if (root.size(1) != 3)
        throw Error(fmt::format("{}: expected a root orientation of three numbers, got {}", what,
                                root.size(1)));
    if (root.size(0) != body.size(0))
        throw Error(
            fmt::format("{}: rows that do not match: {} root orientations, {} body poses, expected "
                        "as many",
                        what, root.size(0), body.size(0)));
    return torch::cat({root, body}, 1);
}

void check_smpl_columns(const torch::Tensor& rotations, const std::string& what) {
    const int64_t columns = rotations.size(1);
    if (columns != 72 && columns != kSharedColumns)
        throw Error(fmt::format(
            "{}: expected 72 numbers a row for SMPL's 24 joints, or 66 for the first 22, got {} "
            "for {:g} joints",
            what, columns, static_cast<double>(columns) / 3));
}

namespace {

void read_rate(const Arrays& in, Fit& fit) {
    const char* key =
        first_key(in.value(), {"fps", "mocap_framerate", "mocap_frame_rate", "framerate"});
    if (!key) return;
    fit.fps = in.number(key);
    if (!(fit.fps > 0) || !(fit.fps < 1e6))
        throw Error(
            fmt::format("{}: {}: expected a positive rate, got {}", in.what(), key, fit.fps));
}

void read_axis(const Arrays& in, Fit& fit) {
    if (!in.has("up_axis")) return;
    const auto words = in.texts("up_axis");
    fit.up_axis = words.empty() ? "" : words.front();
    if (fit.up_axis != "y" && fit.up_axis != "z" && fit.up_axis != "-y")
        throw Error(
            fmt::format("{}: up_axis: expected y, z or -y, got '{}'", in.what(), fit.up_axis));
}

}  // namespace

void read_extras(const Arrays& in, Track& track, Fit& fit) {
    read_rate(in, fit);
    read_axis(in, fit);
    if (in.has("frame_names")) track.names = in.texts("frame_names");
    if (in.has("frame_ids")) track.frames = in.integers("frame_ids");
}

torch::Tensor smplx_rest_root() {
    return torch::tensor({0.00312, -0.35141, 0.01204}, torch::kDouble);
}

}  // namespace fmgs::detail
