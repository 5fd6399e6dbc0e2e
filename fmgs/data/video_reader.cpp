#include <fmgs/data/video_reader.h>

#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/core/memory.h>
#include <fmt/format.h>

#include <mutex>

#ifdef FMGS_OPENCV
#include <opencv2/videoio.hpp>
#endif

namespace fmgs {

#ifdef FMGS_OPENCV
struct VideoReader::State {
    std::filesystem::path file;
    cv::VideoCapture video;
    int64_t next = 0;
    int64_t width = 0, height = 0;
    std::mutex mutex;

    void open() {
        next = 0;
        try {
            // OpenCV prints an error of its own for what is not there.
            if (is_there(file)) video.open(file.string());
        } catch (const cv::Exception&) {
            video.release();  // the same as a video that it cannot open
        }
        if (!video.isOpened())
            throw Error(fmt::format("{}: {}", file.string(),
                                    is_there(file) ? "not a video that OpenCV can read here"
                                                   : "there is no such video"));
    }
};

VideoReader::VideoReader(const std::filesystem::path& file) : state_(new State{file, {}}) {
    state_->open();
    state_->width = static_cast<int64_t>(state_->video.get(cv::CAP_PROP_FRAME_WIDTH));
    state_->height = static_cast<int64_t>(state_->video.get(cv::CAP_PROP_FRAME_HEIGHT));
    check_memory(40.0 * static_cast<double>(state_->width) * static_cast<double>(state_->height),
                 fmt::format("{}: a video of {}x{}", file.string(), width(), height()),
                 "give a smaller one");
}

int64_t VideoReader::width() const { return state_->width; }
int64_t VideoReader::height() const { return state_->height; }

int64_t VideoReader::count() {
    const std::lock_guard lock(state_->mutex);
    try {
        while (state_->video.grab()) ++state_->next;
    } catch (const cv::Exception&) {
        // damage: as a video that ends here
    }
    const int64_t frames = state_->next;
    state_->open();
    return frames;
}

torch::Tensor VideoReader::read(int64_t index) {
    const std::lock_guard lock(state_->mutex);
    if (index < state_->next) state_->open();
    cv::Mat image;
    try {
        while (state_->next < index && state_->video.grab()) ++state_->next;
        if (state_->next == index && state_->video.read(image)) ++state_->next;
    } catch (const cv::Exception&) {
        // damage: as a video that ends here
    }
    if (image.empty() || image.type() != CV_8UC3)
        throw Error(fmt::format("{}: expected a frame {}, the video ends after {}",
                                state_->file.string(), index, state_->next));
    const auto bgr = torch::from_blob(image.data, {image.rows, image.cols, 3},
                                      {static_cast<int64_t>(image.step[0]), 3, 1}, torch::kUInt8);
    return bgr.permute({2, 0, 1}).flip(0).to(torch::kFloat).contiguous().div_(255);
}
#else
struct VideoReader::State {};

VideoReader::VideoReader(const std::filesystem::path& file) {
    throw Error(
        fmt::format("{}: videos need OpenCV; configure with -DFMGS_OPENCV=ON", file.string()));
}
int64_t VideoReader::width() const { return 0; }
int64_t VideoReader::height() const { return 0; }
int64_t VideoReader::count() { return 0; }
torch::Tensor VideoReader::read(int64_t) { return {}; }
#endif

VideoReader::~VideoReader() = default;

}  // namespace fmgs
