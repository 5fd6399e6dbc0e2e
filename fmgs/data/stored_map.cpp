#include <fmgs/data/stored_map.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/npz_reader.h>
#include <fmgs/data/image_io.h>
#include <fmgs/data/picture_header.h>
#include <fmt/format.h>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

using Shape = std::vector<int64_t>;

// Which axis of an array of this shape has the channels; -1: none.
int64_t channel_axis(const Shape& shape, const fs::path& file) {
    if (shape.size() == 2) return -1;
    for (const int64_t channels : {3, 1}) {
        for (const int64_t axis : {0, 2})
            if (shape.size() == 3 && shape[static_cast<size_t>(axis)] == channels) return axis;
    }
    throw Error(
        fmt::format("{}: expected (H,W), or (H,W,3) or (3,H,W) for normals and points, got "
                    "{}",
                    file.string(), shape_text(shape)));
}

Shape without_batch(Shape shape) {
    if (shape.size() == 4 && shape[0] == 1) shape.erase(shape.begin());
    return shape;
}

std::string array_of(const NpzReader& npz, const std::string& wanted) {
    const auto names = npz.names();
    if (!wanted.empty()) return wanted;  // the reader says where there is none
    if (names.size() == 1) return names.front();
    throw Error(
        fmt::format("{}: expected one array, got {}; name one as \"array\" in priors.json, or save "
                    "it alone",
                    npz.name(), npz.keys()));
}

NpyArray read_array(const fs::path& file, const std::string& array) {
    if (file.extension() == ".npy") return read_npy(file);
    const NpzReader npz(file);
    return npz.array(array_of(npz, array));
}

NpyHeader read_header(const fs::path& file, const std::string& array) {
    if (file.extension() == ".npy") return read_npy_header(file);
    const NpzReader npz(file);
    return npz.header(array_of(npz, array));
}

bool is_array(const fs::path& file) {
    return file.extension() == ".npy" || file.extension() == ".npz";
}

torch::Tensor tensor_of(const NpyArray& stored, const fs::path& file) {
    try {
        const auto x = stored.tensor();
        return x.is_floating_point() ? x.to(torch::kFloat) : x;
    } catch (const Error& error) {
        throw Error(fmt::format("{}: {}", file.string(), error.what()));
    }
}

}  // namespace

StoredMap read_stored_map(const fs::path& file, const std::string& array) {
    if (!is_array(file)) {
        const auto values = read_channels(file);
        return {values, values.scalar_type() == torch::kByte ? 255 : 65535};
    }
    const auto stored = read_array(file, array);
    auto values = tensor_of(stored, file);
    values = values.reshape(without_batch(values.sizes().vec()));
    const int64_t axis = channel_axis(values.sizes().vec(), file);
    if (axis < 0) values = values.unsqueeze(0);
    if (axis == 2) values = values.permute({2, 0, 1});
    const auto& type = stored.dtype;
    return {values, type == "u1" ? 255 : type == "u2" ? 65535 : type == "b1" ? 1 : 0};
}

MapSize stored_size(const fs::path& file, const std::string& array) {
    if (!is_array(file)) {
        const auto header = read_picture_header(file);
        check_upright(header, file);
        return {header.height, header.width};
    }
    const auto shape = without_batch(read_header(file, array).shape);
    const int64_t axis = channel_axis(shape, file);
    return axis == 0 ? MapSize{shape[1], shape[2]} : MapSize{shape[0], shape[1]};
}

}  // namespace fmgs
