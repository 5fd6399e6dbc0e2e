#include <fmgs/data/picture_text.h>

#include <fmgs/core/check.h>

#ifdef FMGS_OPENCV
#include <opencv2/imgproc.hpp>
#endif

namespace fmgs {

#ifdef FMGS_OPENCV
torch::Tensor text_picture(const std::string& text) {
    constexpr int kHeight = 20, kLine = 14, kMargin = 4;  // pixels; the line on which letters stand
    constexpr double kScale = 0.45;
    const auto font = cv::FONT_HERSHEY_SIMPLEX;
    int below = 0;
    const auto size = cv::getTextSize(text, font, kScale, /*thickness=*/1, &below);
    auto out = torch::zeros({kHeight, size.width + 2 * kMargin}, torch::kUInt8);
    cv::Mat view(kHeight, size.width + 2 * kMargin, CV_8UC1, out.data_ptr());
    cv::putText(view, text, {kMargin, kLine}, font, kScale, 255, /*thickness=*/1, cv::LINE_AA);
    return out.to(torch::kFloat).div(255).expand({3, -1, -1});
}
#else
torch::Tensor text_picture(const std::string&) {
    throw Error("text in pictures needs OpenCV; configure with -DFMGS_OPENCV=ON");
}
#endif

}  // namespace fmgs
