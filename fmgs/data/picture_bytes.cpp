#include <fmgs/data/picture_bytes.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

#ifdef FMGS_OPENCV
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#endif

namespace fmgs {

#ifdef FMGS_OPENCV

namespace {

cv::Mat to_bgr(const torch::Tensor& image) {
    check_shape(image, {3, -1, -1}, "picture");
    auto bgr = image.cpu()
                   .to(torch::kFloat)
                   .nan_to_num(0.0, 1.0, 0.0)
                   .clamp(0, 1)
                   .mul(255)
                   .round()
                   .to(torch::kUInt8)
                   .flip(0)
                   .permute({1, 2, 0})
                   .contiguous();
    return cv::Mat(static_cast<int>(bgr.size(0)), static_cast<int>(bgr.size(1)), CV_8UC3,
                   bgr.data_ptr())
        .clone();
}

std::string encoded(const cv::Mat& picture, const char* extension,
                    const std::vector<int>& parameters) {
    std::vector<uint8_t> bytes;
    if (!cv::imencode(extension, picture, bytes, parameters))
        throw Error(fmt::format("a picture of {}x{} cannot be written as {}", picture.cols,
                                picture.rows, extension));
    return {bytes.begin(), bytes.end()};
}

}  // namespace

std::string jpeg_bytes(const torch::Tensor& image, int64_t longest, int quality) {
    auto picture = to_bgr(image);
    const double factor = static_cast<double>(longest) / std::max(picture.rows, picture.cols);
    if (factor < 1) {
        cv::Mat smaller;
        const cv::Size size(std::max(1, static_cast<int>(picture.cols * factor)),
                            std::max(1, static_cast<int>(picture.rows * factor)));
        cv::resize(picture, smaller, size, 0, 0, cv::INTER_AREA);
        picture = smaller;
    }
    return encoded(picture, ".jpg", {cv::IMWRITE_JPEG_QUALITY, quality});
}

std::string png_bytes(const torch::Tensor& image) { return encoded(to_bgr(image), ".png", {}); }

#else

namespace {

[[noreturn]] void refuse() {
    throw Error(
        "this build has no OpenCV: it cannot write pictures; configure with "
        "-DFMGS_OPENCV=ON");
}

}  // namespace

std::string jpeg_bytes(const torch::Tensor&, int64_t, int) { refuse(); }
std::string png_bytes(const torch::Tensor&) { refuse(); }

#endif

}  // namespace fmgs
