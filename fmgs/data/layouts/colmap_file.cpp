#include <fmgs/data/layouts/colmap_file.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <set>
#include <sstream>

namespace fmgs {

namespace {

struct Model {
    const char* name;
    size_t params;
};
// In the order of COLMAP's ids.
constexpr Model kModels[] = {{"SIMPLE_PINHOLE", 3},
                             {"PINHOLE", 4},
                             {"SIMPLE_RADIAL", 4},
                             {"RADIAL", 5},
                             {"OPENCV", 8},
                             {"OPENCV_FISHEYE", 8},
                             {"FULL_OPENCV", 12},
                             {"FOV", 5},
                             {"SIMPLE_RADIAL_FISHEYE", 4},
                             {"RADIAL_FISHEYE", 5},
                             {"THIN_PRISM_FISHEYE", 12},
                             {"RAD_TAN_THIN_PRISM_FISHEYE", 16}};

class Bytes {
  public:
    Bytes(std::string_view bytes, const std::string& what) : bytes_(bytes), what_(what) {}

    template <class T>
    T next() {
        T value;
        std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
        return value;
    }
    /// How many items follow, each of which takes `least` bytes at least.
    uint64_t count(size_t least) {
        const auto n = next<uint64_t>();
        if (n > bytes_.size() / least)
            throw Error(
                fmt::format("{}: cut short or damaged: {} items are announced and {} bytes "
                            "left",
                            what_, n, bytes_.size()));
        return n;
    }
    std::string_view take(size_t size) {
        if (size > bytes_.size())
            throw Error(fmt::format("{}: cut short; expected {} bytes more, there are {}", what_,
                                    size, bytes_.size()));
        const auto out = bytes_.substr(0, size);
        bytes_.remove_prefix(size);
        return out;
    }
    std::string name() {
        const auto end = bytes_.find('\0');
        if (end == std::string_view::npos)
            throw Error(fmt::format("{}: cut short; a name has no end", what_));
        const std::string out(take(end));
        take(1);
        return out;
    }

  private:
    std::string_view bytes_;
    const std::string& what_;
};

/// The words of one line.
struct Words {
    std::istringstream stream;
    std::string where;

    template <class T>
    T next() {
        T value{};
        if (!(stream >> value))
            throw Error(fmt::format("{}: expected another number in this line", where));
        return value;
    }
};

// Lines that are neither empty nor comments.
template <class Each>
void for_lines(std::string_view bytes, const std::string& what, Each&& each) {
    std::istringstream lines{std::string(bytes)};
    int64_t number = 0;
    for (std::string line; std::getline(lines, line);) {
        ++number;
        const auto first = line.find_first_not_of(" \t\r");
        if (first == std::string::npos || line[first] == '#') continue;
        Words words{std::istringstream(line), fmt::format("{}:{}", what, number)};
        each(words, lines, number);
    }
}

void check_camera(const ColmapCamera& camera, const std::string& what) {
    constexpr int64_t kMost = 1 << 20;
    if (camera.width < 1 || camera.height < 1 || camera.width > kMost || camera.height > kMost)
        throw Error(fmt::format("{}: camera {}: expected sizes from 1 to {}, got {}x{}", what,
                                camera.id, kMost, camera.width, camera.height));
    for (const double x : camera.params) {
        if (!std::isfinite(x))
            throw Error(fmt::format("{}: camera {}: holds NaN or infinity", what, camera.id));
    }
}

const Model& model_of(const std::string& name, const std::string& where) {
    for (const auto& model : kModels) {
        if (name == model.name) return model;
    }
    throw Error(fmt::format("{}: there is no camera model '{}'", where, name));
}

ColmapCamera binary_camera(Bytes& in, const std::string& what) {
    ColmapCamera camera;
    camera.id = in.next<uint32_t>();
    const auto model = in.next<int32_t>();
    if (model < 0 || static_cast<size_t>(model) >= std::size(kModels))
        throw Error(fmt::format("{}: there is no camera model {}", what, model));
    camera.model = kModels[model].name;
    const auto width = in.next<uint64_t>(), height = in.next<uint64_t>();
    constexpr uint64_t kMost = uint64_t{1} << 40;
    camera.width = width > kMost ? 0 : static_cast<int64_t>(width);
    camera.height = height > kMost ? 0 : static_cast<int64_t>(height);
    for (size_t i = 0; i < kModels[model].params; ++i) camera.params.push_back(in.next<double>());
    return camera;
}

void check_image(ColmapImage& image, const std::string& what) {
    double norm = 0;
    for (const double x : image.quaternion) norm += x * x;
    norm = std::sqrt(norm);
    bool finite = std::isfinite(norm);
    for (const double x : image.translation) finite = finite && std::isfinite(x);
    if (!finite || std::abs(norm - 1) > 1e-2)
        throw Error(fmt::format("{}: '{}': expected a unit quaternion and a finite translation",
                                what, image.name));
    for (double& x : image.quaternion) x /= norm;
    if (image.name.empty()) throw Error(fmt::format("{}: an image without a name", what));
}

}  // namespace

std::vector<ColmapCamera> parse_colmap_cameras(std::string_view bytes, bool binary,
                                               const std::string& what) {
    std::vector<ColmapCamera> cameras;
    if (binary) {
        Bytes in(bytes, what);
        constexpr size_t kLeast = 4 + 4 + 8 + 8 + 3 * 8;
        for (uint64_t n = in.count(kLeast); n > 0; --n) cameras.push_back(binary_camera(in, what));
    } else {
        for_lines(bytes, what, [&](Words& words, std::istream&, int64_t&) {
            ColmapCamera camera;
            camera.id = words.next<int64_t>();
            camera.model = words.next<std::string>();
            camera.width = words.next<int64_t>();
            camera.height = words.next<int64_t>();
            for (size_t i = model_of(camera.model, words.where).params; i > 0; --i)
                camera.params.push_back(words.next<double>());
            cameras.push_back(camera);
        });
    }
    std::set<int64_t> ids;
    for (const auto& camera : cameras) {
        check_camera(camera, what);
        if (!ids.insert(camera.id).second)
            throw Error(fmt::format("{}: camera {} is there twice", what, camera.id));
    }
    return cameras;
}

std::vector<ColmapImage> parse_colmap_images(std::string_view bytes, bool binary,
                                             const std::string& what) {
    std::vector<ColmapImage> images;
    if (binary) {
        Bytes in(bytes, what);
        constexpr size_t kLeast = 4 + 7 * 8 + 4 + 1 + 8, kPoint = 24;
        for (uint64_t n = in.count(kLeast); n > 0; --n) {
            ColmapImage image;
            in.next<uint32_t>();  // its own id
            for (double& x : image.quaternion) x = in.next<double>();
            for (double& x : image.translation) x = in.next<double>();
            image.camera = in.next<uint32_t>();
            image.name = in.name();
            in.take(kPoint * in.count(kPoint));
            images.push_back(image);
        }
    } else {
        for_lines(bytes, what, [&](Words& words, std::istream& lines, int64_t& number) {
            ColmapImage image;
            words.next<int64_t>();
            for (double& x : image.quaternion) x = words.next<double>();
            for (double& x : image.translation) x = words.next<double>();
            image.camera = words.next<int64_t>();
            std::getline(words.stream >> std::ws, image.name);
            while (!image.name.empty() &&
                   std::isspace(static_cast<unsigned char>(image.name.back())))
                image.name.pop_back();
            images.push_back(image);
            std::string points;  // the next line, which may be empty
            std::getline(lines, points);
            ++number;
        });
    }
    std::set<std::string> names;
    for (auto& image : images) {
        check_image(image, what);
        if (!names.insert(image.name).second)
            throw Error(fmt::format("{}: '{}' is there twice", what, image.name));
    }
    return images;
}

}  // namespace fmgs
