#include <fmgs/data/gltf/glb.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/version.h>
#include <fmt/format.h>

#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

namespace fmgs {

namespace {

using Json = nlohmann::json;

// glTF's numbers for types.
int component_of(const torch::Tensor& x) {
    switch (x.scalar_type()) {
        case torch::kUInt8:
            return 5121;
        case torch::kInt16:  // of numbers that are not negative
            return 5123;
        case torch::kInt32:  // likewise
            return 5125;
        case torch::kFloat:
            return 5126;
        default:
            throw Error(fmt::format("glTF has no numbers of type {}", toString(x.scalar_type())));
    }
}

const char* type_of(const torch::Tensor& x) {
    if (x.dim() == 1) return "SCALAR";
    if (x.dim() == 3 && x.size(1) == 4 && x.size(2) == 4) return "MAT4";
    if (x.dim() == 2 && x.size(1) >= 2 && x.size(1) <= 4)
        return std::array{"VEC2", "VEC3", "VEC4"}[static_cast<size_t>(x.size(1) - 2)];
    throw Error(fmt::format("glTF: expected [n], [n,2] to [n,4] or [n,4,4], got {}",
                            shape_text(x.sizes())));
}

// 0: none
int target_of(GlbUse use) {
    if (use == GlbUse::kIndices) return 34963;
    return use == GlbUse::kVertices || use == GlbUse::kPositions ? 34962 : 0;
}

std::vector<double> numbers(const torch::Tensor& x) {
    const auto y = x.to(torch::kDouble).flatten().contiguous();
    return {y.data_ptr<double>(), y.data_ptr<double>() + y.numel()};
}

// Chunks of a .glb begin at multiples of four bytes.
std::string padded(std::string bytes, char with) {
    while (bytes.size() % 4 != 0) bytes += with;
    return bytes;
}

std::string word(size_t value) {
    const auto number = static_cast<uint32_t>(value);
    std::string out(sizeof(number), '\0');
    std::memcpy(out.data(), &number, sizeof(number));
    return out;
}

}  // namespace

int64_t GlbBuffer::add_bytes(const std::string& bytes) {
    bytes_ = padded(std::move(bytes_), '\0');
    views_.push_back({bytes_.size(), bytes.size(), GlbUse::kData});
    bytes_ += bytes;
    return static_cast<int64_t>(views_.size()) - 1;
}

int64_t GlbBuffer::add(const torch::Tensor& values, GlbUse use) {
    auto x = values.to(torch::kCPU);
    if (x.dim() == 3) x = x.transpose(1, 2);  // by columns
    x = x.contiguous();
    Accessor accessor{0, x.size(0), component_of(x), type_of(x), {}, {}};
    if (use == GlbUse::kPositions || use == GlbUse::kTimes) {
        accessor.least = numbers(x.amin(0));
        accessor.largest = numbers(x.amax(0));
    }
    accessor.view = add_bytes({static_cast<const char*>(x.const_data_ptr()), x.nbytes()});
    views_.back().use = use;
    accessors_.push_back(std::move(accessor));
    return static_cast<int64_t>(accessors_.size()) - 1;
}

void GlbBuffer::write(const std::filesystem::path& file, const std::string& json) const {
    auto root = Json::parse(json);
    root["asset"]["version"] = "2.0";
    root["asset"]["generator"] = std::string("libfmgs ") + FMGS_VERSION;
    for (const auto& view : views_) {
        Json entry{{"buffer", 0}, {"byteOffset", view.offset}, {"byteLength", view.length}};
        if (const int target = target_of(view.use)) entry["target"] = target;
        root["bufferViews"].push_back(entry);
    }
    for (const auto& accessor : accessors_) {
        Json entry{{"bufferView", accessor.view},
                   {"componentType", accessor.component},
                   {"count", accessor.count},
                   {"type", accessor.type}};
        if (!accessor.least.empty()) {
            entry["min"] = accessor.least;
            entry["max"] = accessor.largest;
        }
        root["accessors"].push_back(entry);
    }
    const auto bytes = padded(bytes_, '\0');
    root["buffers"] = Json::array({Json{{"byteLength", bytes.size()}}});
    const auto text = padded(root.dump(), ' ');
    const size_t size = 12 + 8 + text.size() + 8 + bytes.size();
    if (size > UINT32_MAX)
        throw Error(fmt::format("{}: a .glb holds less than 4 GB, this one would have {:.1f} GB",
                                file.string(), static_cast<double>(size) * 1e-9));
    const auto head = "glTF" + word(2) + word(size) + word(text.size()) + "JSON";
    const auto between = word(bytes.size()) + std::string("BIN\0", 4);
    write_whole(file, {head, text, between, bytes});
}

}  // namespace fmgs
