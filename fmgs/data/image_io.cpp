#include <fmgs/data/image_io.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/memory.h>
#include <fmgs/data/picture_header.h>
#include <fmt/format.h>

#ifdef FMGS_OPENCV
#include <unistd.h>

#include <opencv2/imgcodecs.hpp>
#include <opencv2/videoio.hpp>
#endif

namespace fmgs {

namespace fs = std::filesystem;

#ifdef FMGS_OPENCV
namespace {

cv::Mat decode(const fs::path& file, int flags) {
    const auto whole = read_whole(file);
    const auto header = parse_picture_header(whole, file.string());
    check_upright(header, file);
    // What OpenCV decodes and the tensors made of it.
    constexpr double kBytesPerPixel = 40;
    check_memory(
        kBytesPerPixel * static_cast<double>(header.width) * static_cast<double>(header.height),
        fmt::format("{}: a picture of {}x{}", file.string(), header.width, header.height),
        "give a smaller one");
    const std::vector<uint8_t> bytes(whole.begin(), whole.end());
    cv::Mat image;
    try {
        if (header.whole) image = cv::imdecode(bytes, flags);
    } catch (const cv::Exception&) {
        // OpenCV throws for absurd sizes and returns nothing for other damage: one message serves
        // both.
    }
    if (image.empty()) {
        throw Error(fmt::format(
            "{}: not a readable picture ({} bytes; cut short or damaged?); write this file again",
            file.string(), bytes.size()));
    }
    return image;
}

bool has_16_bits(const cv::Mat& image, const fs::path& file) {
    if (image.depth() != CV_16U && image.depth() != CV_8U)
        throw Error(fmt::format("{}: expected 8 or 16 bits per channel", file.string()));
    return image.depth() == CV_16U;
}

void write_png(const fs::path& file, const cv::Mat& image) {
    std::vector<uint8_t> bytes;
    cv::imencode(".png", image, bytes);
    write_whole(file, {{reinterpret_cast<const char*>(bytes.data()), bytes.size()}});
}

// [1,H,W], [3,H,W] or [4,H,W] in [0,1] → BGR or BGRA of 8 or 16 bits.
cv::Mat to_bgr(const torch::Tensor& image, bool bits16 = false) {
    const int64_t channels = image.defined() && image.dim() == 3 ? image.size(0) : 0;
    if (channels != 1 && channels != 3 && channels != 4) {
        throw Error(fmt::format("picture: expected [1,H,W], [3,H,W] or [4,H,W], got {}",
                                image.defined() ? shape_text(image.sizes()) : "nothing"));
    }
    const auto levels = image.detach()
                            .cpu()
                            .to(torch::kFloat)
                            .nan_to_num(0.0, 1.0, 0.0)
                            .clamp(0, 1)
                            .mul(bits16 ? 65535 : 255)
                            .round();
    const auto bgr =
        torch::cat({levels.slice(0, 0, 3).expand({3, -1, -1}).flip(0), levels.slice(0, 3)})
            .permute({1, 2, 0})
            .contiguous()
            .to(bits16 ? torch::kUInt16 : torch::kUInt8);
    cv::Mat view(static_cast<int>(bgr.size(0)), static_cast<int>(bgr.size(1)),
                 CV_MAKETYPE(bits16 ? CV_16U : CV_8U, static_cast<int>(bgr.size(2))),
                 bgr.data_ptr());
    return view.clone();
}

}  // namespace

torch::Tensor read_color(const fs::path& file) {
    cv::Mat image = decode(file, cv::IMREAD_COLOR | cv::IMREAD_ANYDEPTH);
    const bool wide = has_16_bits(image, file);
    const auto bgr = torch::from_blob(image.data, {image.rows, image.cols, 3},
                                      wide ? torch::kUInt16 : torch::kUInt8);
    const auto levels = bgr.to(torch::kFloat).permute({2, 0, 1}).flip(0).contiguous();
    return levels.div(wide ? 65535 : 255);
}

torch::Tensor read_channels(const fs::path& file) {
    cv::Mat image = decode(file, cv::IMREAD_UNCHANGED);
    const bool wide = has_16_bits(image, file);
    auto values = torch::from_blob(image.data, {image.rows, image.cols, image.channels()},
                                   wide ? torch::kInt16 : torch::kUInt8)
                      .permute({2, 0, 1});
    values = values.size(0) >= 3  // OpenCV has blue first
                 ? torch::cat({values.slice(0, 0, 3).flip(0), values.slice(0, 3)})
                 : values.clone(at::MemoryFormat::Contiguous);
    // Read as signed: torch has little arithmetic for unsigned 16 bit.
    return wide ? values.to(torch::kInt).bitwise_and(0xFFFF) : values;
}

torch::Tensor read_gray(const fs::path& file) {
    const auto values = read_channels(file);
    const auto first = values[0];
    if (values.size(0) != 1 &&
        !(values.size(0) == 3 && (values == first.unsqueeze(0)).all().item<bool>())) {
        throw Error(
            fmt::format("{}: expected one channel, got a picture of {}; save it as grey levels",
                        file.string(), values.size(0)));
    }
    return first.to(torch::kLong).contiguous();
}

void write_color(const fs::path& file, const torch::Tensor& image, bool bits16) {
    write_png(file, to_bgr(image, bits16));
}

void write_gray(const fs::path& file, const torch::Tensor& values, bool bits16) {
    check_shape(values, {-1, -1}, "values");
    const auto numbers = values.cpu().to(torch::kLong).contiguous();
    const int64_t top = bits16 ? 65535 : 255;
    if (numbers.numel() == 0 || numbers.min().item<int64_t>() < 0 ||
        numbers.max().item<int64_t>() > top) {
        throw Error(fmt::format("{}: expected values in [0,{}] and at least one pixel",
                                file.string(), top));
    }
    cv::Mat image(static_cast<int>(numbers.size(0)), static_cast<int>(numbers.size(1)),
                  bits16 ? CV_16UC1 : CV_8UC1);
    const int64_t* from = numbers.const_data_ptr<int64_t>();
    for (int64_t i = 0; i < numbers.numel(); ++i) {
        if (bits16) {
            reinterpret_cast<uint16_t*>(image.data)[i] = static_cast<uint16_t>(from[i]);
        } else {
            image.data[i] = static_cast<uint8_t>(from[i]);
        }
    }
    write_png(file, image);
}

struct VideoWriter::State {
    cv::VideoWriter writer;
    fs::path file, aside;
    int64_t width, height;
    int64_t added = 0;

    /// What was not finished leaves nothing.
    ~State() {
        writer.release();
        std::error_code ignored;
        fs::remove(aside, ignored);
    }
};

VideoWriter::VideoWriter(const fs::path& file, int64_t width, int64_t height, double fps)
    : state_(new State{{}, file, {}, width, height}) {
    const cv::Size size(static_cast<int>(width), static_cast<int>(height));
    const auto open = [&](const char* extension, int code) {
        state_->file = fs::path(file).replace_extension(extension);
        // The encoder looks at the extension.
        state_->aside =
            state_->file.parent_path() /
            fmt::format(".{}.{}.tmp{}", state_->file.stem().string(), ::getpid(), extension);
        std::error_code ignored;
        try {
            if (state_->writer.open(state_->aside.string(), code, fps, size)) return true;
        } catch (const cv::Exception&) {
            // the same as false: this build has no such encoder
        }
        fs::remove(state_->aside, ignored);
        return false;
    };
    if (!(fps >= kLeastRate)) return;
    if (!open(".mp4", cv::VideoWriter::fourcc('m', 'p', '4', 'v'))) {
        open(".avi", cv::VideoWriter::fourcc('M', 'J', 'P', 'G'));
    }
}

bool VideoWriter::good() const { return state_->writer.isOpened(); }

void VideoWriter::add(const torch::Tensor& image) {
    if (!good()) return;
    check_shape(image, {3, state_->height, state_->width}, "video frame");
    state_->writer.write(to_bgr(image));
    ++state_->added;
}

void VideoWriter::finish() {
    if (!good()) return;
    state_->writer.release();
    int64_t arrived = 0;
    for (cv::VideoCapture video(state_->aside.string()); video.grab();) ++arrived;
    if (arrived >= state_->added) {
        std::error_code error;
        fs::rename(state_->aside, state_->file, error);
        if (!error) return;
        throw Error(fmt::format("{}: cannot rename into place: {}", state_->file.string(),
                                error.message()));
    }
    std::error_code ignored;
    fs::remove(state_->aside, ignored);
    throw Error(fmt::format("{}: only {} of {} pictures were written; is the disk full?",
                            state_->file.string(), arrived, state_->added));
}

#else
namespace {

[[noreturn]] void refuse(const fs::path& file) {
    throw Error(
        fmt::format("{}: pictures need OpenCV; configure with -DFMGS_OPENCV=ON", file.string()));
}

}  // namespace

struct VideoWriter::State {
    fs::path file;
};

torch::Tensor read_color(const fs::path& file) { refuse(file); }
torch::Tensor read_channels(const fs::path& file) { refuse(file); }
torch::Tensor read_gray(const fs::path& file) { refuse(file); }
void write_color(const fs::path& file, const torch::Tensor&, bool) { refuse(file); }
void write_gray(const fs::path& file, const torch::Tensor&, bool) { refuse(file); }
VideoWriter::VideoWriter(const fs::path& file, int64_t, int64_t, double)
    : state_(new State{file}) {}
bool VideoWriter::good() const { return false; }
void VideoWriter::add(const torch::Tensor&) {}
void VideoWriter::finish() {}
#endif

VideoWriter::~VideoWriter() = default;
VideoWriter::VideoWriter(VideoWriter&&) noexcept = default;
VideoWriter& VideoWriter::operator=(VideoWriter&&) noexcept = default;
const fs::path& VideoWriter::file() const { return state_->file; }

}  // namespace fmgs
