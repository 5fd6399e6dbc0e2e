#include <fmgs/data/radiance_file.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/memory.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string_view>

namespace fmgs {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kShortestRun = 8, kLongestSide = 32767;  // of the newer runs

/// The bytes of a file, taken from the front.
class Reader {
  public:
    explicit Reader(const fs::path& file) : file_(file), bytes_(read_whole(file)) {}

    [[noreturn]] void refuse(const std::string& why) const {
        throw Error(fmt::format("{}: {}", file_.string(), why));
    }
    bool starts_with(std::string_view text) const { return bytes_.starts_with(text); }
    std::string line() {
        const auto end = bytes_.find('\n', at_);
        if (end == std::string::npos) refuse("is cut short in its header");
        const auto text = bytes_.substr(at_, end - at_);
        at_ = end + 1;
        return text;
    }
    size_t left() const { return bytes_.size() - at_; }
    const uint8_t* take(size_t count) {
        if (left() < count) refuse("is cut short: there are fewer pixels than its header says");
        const auto* out = reinterpret_cast<const uint8_t*>(bytes_.data()) + at_;
        at_ += count;
        return out;
    }
    /// The next bytes without taking them, or null.
    const uint8_t* peek(size_t count) const {
        return left() < count ? nullptr : reinterpret_cast<const uint8_t*>(bytes_.data()) + at_;
    }

  private:
    fs::path file_;
    std::string bytes_;
    size_t at_ = 0;
};

struct Header {
    int64_t width = 0, height = 0;
    double exposure = 1;
};

Header read_header(Reader& in) {
    constexpr const char* kCure =
        "expected a panorama as Radiance .hdr; convert it, e.g. `oiiotool FILE -o light.hdr`";
    if (in.starts_with("\x76\x2f\x31\x01")) in.refuse(fmt::format("is OpenEXR; {}", kCure));
    if (!in.starts_with("#?RADIANCE") && !in.starts_with("#?RGBE"))
        in.refuse(fmt::format("is another format; {}", kCure));
    Header out;
    for (auto line = in.line(); !line.empty() && line != "\r"; line = in.line()) {
        if (line.starts_with("FORMAT=") && !line.starts_with("FORMAT=32-bit_rle_rgbe"))
            in.refuse(fmt::format("expected FORMAT=32-bit_rle_rgbe, got {}", line));
        double exposure = 1;
        if (std::sscanf(line.c_str(), "EXPOSURE=%lf", &exposure) == 1) out.exposure *= exposure;
    }
    const auto size = in.line();
    long height = 0, width = 0;
    if (std::sscanf(size.c_str(), "-Y %6ld +X %6ld", &height, &width) != 2)
        in.refuse(fmt::format("expected an upright picture, '-Y HEIGHT +X WIDTH', got '{}'", size));
    if (height < 1 || width < 1 || height > kLongestSide || width > kLongestSide)
        in.refuse(fmt::format("expected sides of 1 to {} pixels, got {}x{}", kLongestSide, width,
                              height));
    if (!(out.exposure > 0) || !std::isfinite(out.exposure))
        in.refuse(fmt::format("expected an EXPOSURE above 0, got {}", out.exposure));
    out.width = width;
    out.height = height;
    return out;
}

/// One line in runs: the bytes of each of the four channels one after the other.
void read_runs(Reader& in, int64_t width, std::vector<uint8_t>& planes) {
    constexpr int kRun = 128;
    in.take(4);
    for (int64_t channel = 0; channel < 4; ++channel) {
        auto* out = planes.data() + channel * width;
        for (int64_t x = 0; x < width;) {
            const int code = *in.take(1);
            const int64_t count = code > kRun ? code - kRun : code;
            if (count == 0 || x + count > width) in.refuse("is damaged: a run leaves its line");
            const auto* from = in.take(code > kRun ? 1 : size_t(count));
            for (int64_t k = 0; k < count; ++k) out[x + k] = from[code > kRun ? 0 : k];
            x += count;
        }
    }
}

void read_line(Reader& in, int64_t width, std::vector<uint8_t>& planes) {
    const auto* head = in.peek(4);
    const bool in_runs = head && width >= kShortestRun && head[0] == 2 && head[1] == 2 &&
                         (int64_t{head[2]} << 8 | head[3]) == width;
    if (in_runs) return read_runs(in, width, planes);
    const auto* pixels = in.take(4 * size_t(width));
    for (int64_t x = 0; x < width; ++x) {
        const auto* p = pixels + 4 * x;
        if (p[0] == 1 && p[1] == 1 && p[2] == 1)
            in.refuse("has runs of the older kind; save it again, e.g. `oiiotool FILE -o FILE`");
        for (int64_t k = 0; k < 4; ++k) planes[size_t(k * width + x)] = p[k];
    }
}

}  // namespace

torch::Tensor read_radiance(const fs::path& file) {
    Reader in(file);
    const auto [width, height, exposure] = read_header(in);
    const double least = width < kShortestRun ? 4.0 * double(width) : 4 + 8.0 * double(width) / 127;
    if (double(in.left()) < least * double(height) - 1)
        in.refuse("is cut short: there are fewer pixels than its header says");
    check_memory(12.0 * double(width) * double(height), file.string(), "take a smaller one");
    auto out = torch::empty({height, width, 3}, torch::kFloat);
    auto* pixel = out.data_ptr<float>();
    std::vector<uint8_t> planes(4 * size_t(width));
    for (int64_t y = 0; y < height; ++y) {
        read_line(in, width, planes);
        for (int64_t x = 0; x < width; ++x, pixel += 3) {
            const int exponent = planes[size_t(3 * width + x)];
            const double scale = exponent == 0 ? 0 : std::ldexp(1 / exposure, exponent - 136);
            for (int64_t k = 0; k < 3; ++k)
                pixel[k] = static_cast<float>(planes[size_t(k * width + x)] * scale);
        }
    }
    return out;
}

void write_radiance(const fs::path& file, const torch::Tensor& picture) {
    check_shape(picture, {-1, -1, 3}, "picture of radiance");
    const auto values = picture.to(torch::kCPU, torch::kDouble).contiguous();
    if (!((values >= 0) & (values < 1e38)).all().item<bool>())  // NaN, too
        throw Error("picture of radiance: expected numbers from 0 to 1e38");
    const int64_t height = values.size(0), width = values.size(1);
    const auto* pixel = values.const_data_ptr<double>();
    std::string bytes =
        fmt::format("#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y {} +X {}\n", height, width);
    std::vector<char> planes(4 * size_t(width));
    const bool in_runs = width >= kShortestRun && width <= kLongestSide;
    for (int64_t y = 0; y < height; ++y) {
        for (int64_t x = 0; x < width; ++x, pixel += 3) {
            int exponent = 0;
            const double most = std::max({pixel[0], pixel[1], pixel[2]});
            std::frexp(most * (1 + 1.0 / 511), &exponent);  // the largest byte is 255 at most
            const bool is_dark = most < 1e-32;
            for (int64_t k = 0; k < 3; ++k)
                planes[size_t(k * width + x)] = static_cast<char>(
                    is_dark ? 0 : std::lround(std::ldexp(pixel[k], 8 - exponent)));
            planes[size_t(3 * width + x)] = static_cast<char>(is_dark ? 0 : exponent + 128);
        }
        if (!in_runs) {
            for (int64_t x = 0; x < 4 * width; ++x) bytes += planes[size_t(x % 4 * width + x / 4)];
            continue;
        }
        bytes += {2, 2, static_cast<char>(width >> 8), static_cast<char>(width & 255)};
        for (int64_t channel = 0; channel < 4; ++channel) {
            for (int64_t x = 0; x < width; x += 128) {
                const auto count = std::min<int64_t>(128, width - x);
                bytes += static_cast<char>(count);
                bytes.append(planes.data() + channel * width + x, size_t(count));
            }
        }
    }
    write_whole(file, bytes);
}

}  // namespace fmgs
