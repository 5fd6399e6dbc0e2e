#include <fmgs/data/jpeg.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>

#ifdef FMGS_OPENCV
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#endif

namespace fmgs {

#ifdef FMGS_OPENCV

std::string jpeg_bytes(const torch::Tensor& image, int64_t longest, int quality) {
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
    const auto height = static_cast<int>(bgr.size(0)), width = static_cast<int>(bgr.size(1));
    cv::Mat picture(height, width, CV_8UC3, bgr.data_ptr());
    const double factor = static_cast<double>(longest) / std::max(height, width);
    if (factor < 1) {
        cv::Mat smaller;
        const cv::Size size(std::max(1, static_cast<int>(width * factor)),
                            std::max(1, static_cast<int>(height * factor)));
        cv::resize(picture, smaller, size, 0, 0, cv::INTER_AREA);
        picture = smaller;
    }
    std::vector<uint8_t> bytes;
    if (!cv::imencode(".jpg", picture, bytes, {cv::IMWRITE_JPEG_QUALITY, quality}))
        throw Error(fmt::format("a picture of {}x{} cannot be written as JPEG", width, height));
    return {bytes.begin(), bytes.end()};
}

#else

std::string jpeg_bytes(const torch::Tensor&, int64_t, int) {
    throw Error(
        "this build has no OpenCV: it cannot write pictures; configure with "
        "-DFMGS_OPENCV=ON");
}

#endif

}  // namespace fmgs
