#include <fmgs/data/image_io.h>

#include <fmgs/core/io/files.h>
#include <fmgs/data/picture_header.h>
#include <unistd.h>

#include <fstream>

#include "support/limits.h"
#include "support/picture_bytes.h"
#include "support/test.h"

using namespace fmgs;
using fmgs::test::TemporaryFolder;
using fmgs::test::throws_error;

static torch::Tensor color_ramp() {
    return torch::arange(3 * 5 * 7, torch::kFloat).reshape({3, 5, 7}) / 104;
}

TEST_CASE("a colour picture comes back within half a step of its bits, channels and axes in place",
          "[image_io]") {
    TemporaryFolder folder;
    const auto image = color_ramp();
    write_color(folder.path / "a.png", image);
    const auto back = read_color(folder.path / "a.png");
    REQUIRE(back.sizes() == image.sizes());
    REQUIRE((back - image).abs().max().item<double>() <= 0.5 / 255 + 1e-6);
    REQUIRE_FALSE(std::filesystem::exists(folder.path / "a.png.part"));
    write_color(folder.path / "b.png", image, /*bits16=*/true);
    REQUIRE_CLOSE(read_color(folder.path / "b.png"), image, 0.5 / 65535 + 1e-7);
}

TEST_CASE("values outside [0,1] are clamped, NaN is black, one channel becomes grey",
          "[image_io]") {
    TemporaryFolder folder;
    auto image = torch::tensor({-1.f, 2.f, NAN, 0.2f}).reshape({1, 2, 2});
    write_color(folder.path / "a.png", image);
    const auto expected = torch::tensor({0.f, 1.f, 0.f, 0.2f}).reshape({1, 2, 2}).expand({3, 2, 2});
    REQUIRE_CLOSE(read_color(folder.path / "a.png"), expected, 1e-6);  // 0.2 = 51/255
}

TEST_CASE("labels and millimetres come back exactly", "[image_io]") {
    TemporaryFolder folder;
    const auto labels = torch::tensor({0, 27, 128, 255}, torch::kLong).reshape({2, 2});
    write_gray(folder.path / "l.png", labels);
    REQUIRE(torch::equal(read_gray(folder.path / "l.png"), labels));
    const auto depth = torch::tensor({0, 40000, 65535, 5301}, torch::kLong).reshape({2, 2});
    write_gray(folder.path / "d.png", depth, true);
    REQUIRE(torch::equal(read_gray(folder.path / "d.png"), depth));
}

TEST_CASE("a picture that is missing, cut short or not a picture is an Error naming the file",
          "[image_io]") {
    TemporaryFolder folder;
    const auto file = folder.path / "a.png";
    REQUIRE(throws_error([&] { read_color(file); }, "a.png: cannot be read: No such file"));
    write_color(file, torch::rand({3, 64, 64}, at::make_generator<at::CPUGeneratorImpl>(1)));
    std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
    REQUIRE(throws_error([&] { read_color(file); }, "a.png: not a readable picture"));
    std::ofstream(folder.path / "b.png") << "no picture";
    REQUIRE(
        throws_error([&] { read_gray(folder.path / "b.png"); }, "b.png: not a readable picture"));
    std::ofstream{folder.path / "c.png"}.flush();
    REQUIRE(throws_error([&] { read_gray(folder.path / "c.png"); }, "c.png"));
}

TEST_CASE("the header of a PNG or JPEG tells its size, and a picture beyond all memory is refused",
          "[image_io]") {
    TemporaryFolder folder;
    const auto png = folder.path / "a.png", jpeg = folder.path / "a.jpg";
    write_whole(png, test::png_header(1000000, 900000));
    REQUIRE(read_picture_header(png).width == 1000000);
    REQUIRE(read_picture_header(png).height == 900000);
    for (const auto& read : {read_color, read_gray})
        REQUIRE(throws_error([&] { read(png); },
                             "a.png: a picture of 1000000x900000: takes about 36000.0 GB"));
    write_whole(jpeg, test::jpeg());
    REQUIRE(read_picture_header(jpeg).width == 12);
    REQUIRE(read_picture_header(jpeg).height == 10);
    REQUIRE(read_color(jpeg).sizes() == torch::IntArrayRef({3, 10, 12}));
    // What stands before the size may be longer than what is read at first.
    const auto padded = test::with_segment(test::jpeg(), std::string(60000, 'x'));
    write_whole(jpeg, test::with_segment(padded, std::string(60000, 'y')));
    REQUIRE(read_picture_header(jpeg).width == 12);
    REQUIRE(read_color(jpeg).sizes() == torch::IntArrayRef({3, 10, 12}));
    write_whole(png, std::string_view(test::png_header(3, 3)).substr(0, 20));
    REQUIRE(throws_error([&] { read_picture_header(png); }, "it does not say its size"));
    write_whole(png, "GIF89a");
    REQUIRE(throws_error([&] { read_picture_header(png); }, "expected a PNG or JPEG"));
}

TEST_CASE("a JPEG cut short anywhere is an Error, whatever its thumbnail ends with", "[image_io]") {
    TemporaryFolder folder;
    const auto file = folder.path / "a.jpg";
    for (const bool progressive : {false, true}) {
        const auto thumbnail = "Exif" + std::string(2, '\0') + test::jpeg();
        const auto whole = test::with_segment(test::jpeg(progressive), thumbnail);
        write_whole(file, whole);
        REQUIRE(read_color(file).sizes() == torch::IntArrayRef({3, 10, 12}));
        write_whole(file, whole + "trailing bytes");
        REQUIRE(read_color(file).sizes() == torch::IntArrayRef({3, 10, 12}));
        for (size_t size = 0; size + 1 < whole.size(); size += 1 + whole.size() / 97) {
            INFO(size << " of " << whole.size());
            write_whole(file, std::string_view(whole).substr(0, size));
            REQUIRE(throws_error([&] { read_color(file); }, "a.jpg: not a readable picture"));
        }
        write_whole(file, std::string_view(whole).substr(0, whole.size() - 1));
        REQUIRE(throws_error([&] { read_color(file); }, "a.jpg: not a readable picture"));
    }
}

TEST_CASE("a label picture in colour, and values that do not fit, are Errors", "[image_io]") {
    TemporaryFolder folder;
    write_color(folder.path / "a.png", color_ramp());
    REQUIRE(throws_error([&] { read_gray(folder.path / "a.png"); }, "expected one channel"));
    REQUIRE(throws_error(
        [&] {
            write_gray(folder.path / "b.png", torch::full({2, 2}, 256));
        },
        "[0,255]"));
    REQUIRE(throws_error(
        [&] {
            write_color(folder.path / "b.png", torch::zeros({2, 4, 4}));
        },
        "got [2,4,4]"));
    std::ofstream(folder.path / "file") << "no folder";
    REQUIRE(throws_error([&] { write_color(folder.path / "file" / "b.png", color_ramp()); },
                         "file: cannot make the folder"));
}

TEST_CASE("a picture that finds the disk full is an Error with the reason and leaves nothing",
          "[image_io]") {
    TemporaryFolder folder;
    const auto aside = ".a.png." + std::to_string(::getpid()) + ".tmp";
    std::filesystem::create_symlink("/dev/full", folder.path / aside);
    REQUIRE(throws_error([&] { write_color(folder.path / "a.png", color_ramp()); },
                         "/a.png: cannot write: No space left on device"));
    REQUIRE(std::filesystem::is_empty(folder.path));
}

TEST_CASE("a video is a file, or says that it cannot be", "[image_io]") {
    TemporaryFolder folder;
    std::filesystem::path file;
    bool good = false;
    {
        VideoWriter video(folder.path / "turn.mp4", 64, 48, 10);
        good = video.good();
        file = video.file();
        for (int i = 0; i < 5; ++i) video.add(torch::full({3, 48, 64}, i / 5.0));
        if (good) REQUIRE(throws_error([&] { video.add(torch::zeros({3, 8, 8})); }, "video frame"));
        video.finish();
    }
    REQUIRE(good == std::filesystem::exists(file));
    if (good) REQUIRE(std::filesystem::file_size(file) > 100);
}

TEST_CASE("an earlier video stays until the new one is whole", "[image_io]") {
    TemporaryFolder folder;
    const auto write = [&](int64_t pictures, bool finish) {
        VideoWriter video(folder.path / "turn.mp4", 64, 48, 10);
        for (int64_t i = 0; i < pictures; ++i) video.add(torch::full({3, 48, 64}, 0.1 * i));
        const bool good = video.good();  // finish() closes it
        if (finish) video.finish();
        return good ? video.file() : std::filesystem::path();
    };
    const auto file = write(3, true);
    if (file.empty()) return;  // this OpenCV has no encoder
    const auto before = read_whole(file);
    write(9, false);
    REQUIRE(read_whole(file) == before);
    REQUIRE(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);
    write(9, true);
    REQUIRE(read_whole(file) != before);
    REQUIRE(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);
    REQUIRE_FALSE(VideoWriter(folder.path / "slow.mp4", 64, 48, 0.5).good());
    REQUIRE_FALSE(VideoWriter(folder.path / "slow.mp4", 64, 48, NAN).good());
}

TEST_CASE("a video that finds the disk full is an Error and leaves nothing", "[image_io]") {
    TemporaryFolder folder;
    VideoWriter video(folder.path / "turn.mp4", 64, 48, 10);
    if (!video.good()) return;
    const auto draw = at::make_generator<at::CPUGeneratorImpl>(1);
    REQUIRE(fmgs::test::on_small_disk(20000, [&] {
        for (int i = 0; i < 30; ++i) video.add(torch::rand({3, 48, 64}, draw));
        return throws_error([&] { video.finish(); }, "of 30 pictures were written");
    }));
    REQUIRE(std::filesystem::is_empty(folder.path));
}
