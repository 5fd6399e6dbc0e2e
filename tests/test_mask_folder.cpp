// Where masks are found, of which kind they may be, and pictures that EXIF data turn.
#include <fmgs/core/io/files.h>
#include <fmgs/data/check/capture_check.h>
#include <fmgs/data/convert.h>
#include <fmgs/data/picture_header.h>
#include <fmgs/data/synthetic/procedural_body.h>
#include <fmgs/data/synthetic/synthetic.h>

#include "support/captures.h"
#include "support/picture_bytes.h"

using namespace fmgs;
using namespace fmgs::test;

namespace {

const fs::path kCaptures = fs::path(FMGS_SOURCE_DIR) / "tests/data/captures";

torch::Tensor first_mask(const fs::path& root) {
    return read_capture(options(root)).splits.at("train")[0].maps.at("mask");
}

/// A picture with the mask as its alpha channel.
std::string cut_out(const torch::Tensor& color, const torch::Tensor& mask, bool inverted = false) {
    const auto levels = torch::cat({color, inverted ? 1 - mask : mask}).mul(255).round();
    std::vector<uint16_t> values;
    const auto flat = levels.permute({1, 2, 0}).contiguous().flatten();
    for (int64_t i = 0; i < flat.numel(); ++i)
        values.push_back(static_cast<uint16_t>(flat[i].item<float>()));
    return png(static_cast<uint64_t>(color.size(2)), 4, 8, values);
}

}  // namespace

TEST_CASE("masks are found in every folder that people call so, under every name", "[masks]") {
    Written written;
    const auto wanted = first_mask(written.root);
    auto folder = written.root / "masks";
    for (const char* name : {"mask", "mask_cihp", "mask-schp", "segmentations", "alpha", "pha"}) {
        fs::rename(folder, written.root / name);
        folder = written.root / name;
        REQUIRE_CLOSE(first_mask(written.root), wanted, 0);
    }
    const auto rename_all = [&](const std::function<std::string(std::string)>& to) {
        std::vector<fs::path> files;
        for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
        for (const auto& file : files) {
            const auto name = file.filename().string();
            const auto number = name.substr(name.find("00"), 4);
            fs::rename(file, folder / to(number));
        }
    };
    for (const char* form : {"image_{}.png.png", "image_{}.mask.png", "image_{}_mask.png",
                             "mask_{}.png", "mask_image_{}.png", "image_{}.jpg.png"}) {
        rename_all(
            [&](const std::string& number) { return fmt::format(fmt::runtime(form), number); });
        INFO(form);
        REQUIRE_CLOSE(first_mask(written.root), wanted, 0);
    }
}

TEST_CASE("of two folders of masks one is read, and a note says which", "[masks]") {
    Written written;
    fs::copy(written.root / "masks", written.root / "mask_cihp");
    write_gray(written.root / "mask_cihp/image_0000.png", torch::zeros({kHeight, kWidth}));
    const auto back = read_capture(options(written.root));
    REQUIRE(back.notes.size() == 1);
    REQUIRE(back.notes[0].find("the masks are taken from masks, and 'mask_cihp' is not read") !=
            std::string::npos);
    REQUIRE(back.splits.at("train")[0].maps.at("mask").max().item<float>() == 1);
}

TEST_CASE("without a folder of masks an alpha channel is one, and else the message says what is",
          "[masks]") {
    Written written;
    fs::rename(written.root / "masks", written.root / "old");
    REQUIRE(throws_error([&] { read_capture(options(written.root)); },
                         "masks/image_0000.png: there is no such mask; expected one of each "
                         "picture's name in one of the folders masks, mask, mask_cihp"));
    for (const auto& [split, frames] : written.capture.splits) {
        const auto own = split == "train" || split == "test" ? written.root : written.root / split;
        fs::remove_all(own / "masks");
        for (const auto& frame : frames)
            write_whole(own / "images" / (frame.name + ".png"),
                        cut_out(frame.maps.at("color"), frame.maps.at("mask")));
    }
    const auto back = read_capture(options(written.root));
    REQUIRE_CLOSE(back.splits.at("train")[0].maps.at("mask"),
                  written.capture.splits.at("train")[0].maps.at("mask"), 0);
    require_same_color(back.splits.at("test_view")[1], written.capture.splits.at("test_view")[1]);
}

TEST_CASE("layouts without masks of their own look in the same folders", "[masks]") {
    for (const char* layout : {"colmap_text", "nerfstudio", "humannerf"}) {
        INFO(layout);
        const TemporaryFolder folder;
        const auto root = folder.path / "capture";
        fs::copy(kCaptures / layout, root, fs::copy_options::recursive);
        auto wanted = options(root);
        wanted.body = (kCaptures / "body.npz").string();
        const auto before = read_capture(wanted).splits.at("train")[0].maps.at("mask");
        fs::rename(root / "masks", root / "mask");
        REQUIRE_CLOSE(read_capture(wanted).splits.at("train")[0].maps.at("mask"), before, 0);
    }
}

TEST_CASE("inverted masks are told of every kind of mask", "[masks]") {
    SyntheticOptions small;
    small.size = 64;
    small.train_frames = 4;
    small.test_frames = small.test_views = small.novel_frames = 0;
    small.subdivisions = 0;
    small.samples = 1;
    const auto data = procedural_body();
    const auto made = synthetic_capture(data, small);
    const BodyModel body(data, made.betas);
    const TemporaryFolder folder;
    for (const std::string kind : {"ones", "percent", "labels", "array", "colors", "alpha"}) {
        INFO(kind);
        const auto root = folder.path / kind;
        write_capture(root, made);
        if (kind == "alpha") fs::remove_all(root / "masks");
        for (const auto& frame : made.splits.at("train")) {
            const auto mask = frame.maps.at("mask");
            const auto outside = (mask[0] < 0.5).to(torch::kLong);
            const auto file = root / "masks" / (frame.name + ".png");
            fs::remove(file);
            if (kind == "ones") write_gray(file, outside);
            if (kind == "percent") write_gray(file, outside * 100);
            if (kind == "labels") write_gray(file, outside * 7);
            if (kind == "array")
                write_npy(fs::path(file).replace_extension(".npy"),
                          npy_array(outside.to(torch::kBool)));
            if (kind == "colors")
                write_color(file, torch::stack({outside * 85, outside * 0, outside * 0}) / 255.0);
            if (kind == "alpha")
                write_whole(root / "images" / (frame.name + ".png"),
                            cut_out(frame.maps.at("color"), mask.round(), /*inverted=*/true));
        }
        const auto found = check_capture(*body, read_capture(options(root), {}, training_parts()));
        REQUIRE(found.problems.size() == 1);
        CHECK(found.problems[0].find("the masks are inverted") != std::string::npos);
    }
}

TEST_CASE("a picture that EXIF data turn is refused by whoever reads it", "[masks]") {
    const auto cure = "(orientation 6), and masks, priors and cameras would not be";
    for (const char* kind : {"images", "masks", "priors/normal", "priors/seg", "gt/depth"}) {
        INFO(kind);
        Written written;
        const auto file = written.root / kind / "image_0001.png";
        auto bytes = read_whole(file);
        bytes.insert(33, png_chunk("eXIf", exif(6, true)));  // behind signature and IHDR
        write_whole(file, bytes);
        CHECK(throws_error([&] { read_capture(options(written.root)); }, cure));
        CHECK(throws_error([&] { read_channels(file); }, cure));
        bytes.replace(33, 12 + exif(6, true).size(), png_chunk("eXIf", exif(1, false)));
        write_whole(file, bytes);
        CHECK_NOTHROW(read_capture(options(written.root)));
    }
    // Behind the pixels, where only decoding comes by.
    Written written;
    const auto file = written.root / "images/image_0001.png";
    auto bytes = png(40, 3, 8, std::vector<uint16_t>(2400, 7));
    bytes.insert(bytes.size() - 12, png_chunk("eXIf", exif(6, false)));
    write_whole(file, bytes);
    CHECK(read_picture_header(file).orientation == 1);
    CHECK(throws_error([&] { read_color(file); }, cure));
    // A program that makes a capture of it, too.
    bytes = png(kWidth, 3, 8, std::vector<uint16_t>(3 * kWidth * kHeight, 7),
                png_chunk("eXIf", exif(6, false)));
    write_whole(file, bytes);
    ConvertOptions conversion;
    conversion.input = written.root;
    conversion.output = written.folder.path / "out";
    CHECK(throws_error([&] { convert(conversion); }, cure));
    CHECK_FALSE(fs::exists(conversion.output));
}
