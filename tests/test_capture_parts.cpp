// Which files of a capture are opened, what is told before they are decoded, and what goes with
// what.
#include <fmgs/core/io/files.h>
#include <fmgs/data/cache/frame_store.h>
#include <fmgs/data/file_names.h>

#include <fstream>

#include "support/captures.h"
#include "support/picture_bytes.h"

using namespace fmgs;
using namespace fmgs::test;

TEST_CASE("poses without betas take the mean shape of the body that there is", "[capture]") {
    Written written;
    for (const char* file : {"poses/train.npz", "poses/test.npz"}) {
        auto poses = read_npz(written.root / file);
        poses.erase("betas");
        write_npz(written.root / file, poses);
    }
    const CaptureParts root_splits{{"train", "test"}};
    REQUIRE(read_capture(options(written.root), {}, root_splits).betas.numel() == 0);
    auto with_body = options(written.root);
    with_body.body = small_body(written, 24, 6);
    const auto back = read_capture(with_body, {}, root_splits);
    REQUIRE(torch::equal(back.betas, torch::zeros({6})));
    REQUIRE(back.notes.size() == 1);
    REQUIRE(back.notes[0].ends_with("train.npz: no betas; the mean shape is taken (6 zeros)"));
    BodyModel(read_body(with_body.body), back.betas);  // takes them
}

TEST_CASE("poses and betas that do not go with the body name their file", "[capture]") {
    Written written;
    auto with_body = options(written.root);
    with_body.body = small_body(written, 24, 1);
    REQUIRE(throws_error([&] { read_capture(with_body); },
                         "train.npz: betas: expected at most 1, the shape directions of "));
    with_body.body = small_body(written, 23, 2);
    REQUIRE(throws_error([&] { read_capture(with_body); },
                         "train.npz: expected poses of at most 23 joints, as "));
    with_body.body = small_body(written, 30, 2);
    const auto frame = read_capture(with_body).splits.at("train")[0];
    REQUIRE(frame.pose.rotations.size(0) == 30);
    REQUIRE_CLOSE(frame.pose.rotations[29], torch::eye(3), 0);
}

namespace {

// Writes bytes that no reader takes over every file below these folders.
void damage(const fs::path& root, std::initializer_list<const char*> folders) {
    for (const char* folder : folders) {
        for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
            if (entry.is_regular_file()) std::ofstream(entry.path()) << "damaged";
        }
    }
}

}  // namespace

TEST_CASE("training opens nothing that is held out, and no exact map", "[capture]") {
    Written written;
    damage(written.root, {"gt", "test_view", "novel_motion"});
    for (const char* file : {"images/image_0003.png", "masks/image_0004.png", "poses/test.npz"})
        std::ofstream(written.root / file) << "damaged";
    const auto back = read_capture(options(written.root), kDino, training_parts());
    REQUIRE(back.splits.size() == 1);
    for (size_t i = 0; i < 3; ++i) {
        auto expected = written.capture.splits["train"][i];
        expected.truth = {{"color", expected.maps.at("color")}, {"mask", expected.maps.at("mask")}};
        require_same(back.splits.at("train")[i], expected);
    }
    REQUIRE(back.label_set == "sapiens28");
    REQUIRE(throws_error([&] { read_capture(options(written.root), kDino); }, "npz"));
}

TEST_CASE("held-out frames are read without the priors and pictures of training", "[capture]") {
    Written written;
    damage(written.root, {"priors"});
    for (const char* file : {"images/image_0000.png", "masks/image_0001.png"})
        std::ofstream(written.root / file) << "damaged";
    const CaptureParts parts{{"test_view", "test"}, /*priors=*/false};
    const auto back = read_capture(options(written.root), kDino, parts);
    REQUIRE(back.splits.size() == 3);
    for (const char* split : {"test", "test_view"}) {
        for (size_t i = 0; i < 2; ++i)
            require_same(back.splits.at(split)[i], written.capture.splits[split][i]);
    }
    REQUIRE(back.splits.at("test_view")[0].index == 1);
    // The train frames have what a run needs of them: cameras, shrunk, and poses.
    const auto half = read_capture(options(written.root, 2), kDino, parts).splits.at("train");
    REQUIRE(half.size() == 3);
    REQUIRE(half[2].maps.size() == 0);
    REQUIRE(half[2].camera.width == kWidth / 2);
    REQUIRE_CLOSE(half[2].camera.intrinsics, torch::tensor({10.f, 10.5f, 4.f, 3.f}), 1e-6);
    REQUIRE_CLOSE(half[2].pose.rotations, written.capture.splits["train"][2].pose.rotations, 5e-6);

    // All that is held out: train has no maps then, and no picture of it is opened.
    const auto held_out = read_capture(options(written.root), kDino, held_out_parts());
    for (const char* split : {"train", "test", "test_view", "novel_motion"}) {
        INFO(split);
        REQUIRE(held_out.splits.at(split)[0].maps.empty() == (std::string(split) == "train"));
    }
    REQUIRE(held_out.splits.size() == 4);
    REQUIRE(throws_error([&] { read_capture(options(written.root), {}, {{"tset"}}); },
                         "there is no split 'tset'; the nearest is 'test'; there are train, test"));
}

TEST_CASE("a picture of another size is refused by its header", "[capture]") {
    // None of these files can be decoded: the size is told first.
    for (const char* file :
         {"images/image_0001.png", "masks/image_0001.png", "priors/normal/image_0001.png",
          "priors/depth/image_0001.png", "priors/seg/image_0001.png", "gt/depth/image_0003.png",
          "gt/normal/image_0003.png", "gt/label/image_0003.png"}) {
        INFO(file);
        Written written;
        write_whole(written.root / file, test::png_header(30000, 29000));
        REQUIRE(throws_error([&] { read_capture(options(written.root), kDino); },
                             std::string(file) +
                                 ": expected 16x12 pixels (width x height) like its picture and "
                                 "its camera, got 30000x29000"));
    }
    for (const auto& [file, shape] :
         {std::pair{"priors/normal/image_0001", std::vector<int64_t>{3, 13, 16}},
          std::pair{"priors/normal/image_0001", std::vector<int64_t>{13, 16, 3}},
          std::pair{"priors/depth/image_0001", std::vector<int64_t>{1, 13, 16}},
          std::pair{"priors/seg/image_0001", std::vector<int64_t>{13, 16}},
          std::pair{"masks/image_0001", std::vector<int64_t>{13, 16, 1}}}) {
        INFO(file);
        Written written;
        fs::remove(written.root / (std::string(file) + ".png"));
        const auto array = written.root / (std::string(file) + ".npy");
        write_npy(array, npy_array(torch::zeros(shape)));
        fs::resize_file(array, 128);
        REQUIRE(throws_error([&] { read_capture(options(written.root), kDino); }, "got 16x13"));
    }
}

TEST_CASE("a frame that is more than there is memory for is refused", "[capture]") {
    Written written;
    auto cameras = read_npz(written.root / "cameras.npz");
    cameras["width"] = npy_array(torch::tensor(int64_t{1000000}));
    cameras["height"] = npy_array(torch::tensor(int64_t{500000}));
    write_npz(written.root / "cameras.npz", cameras);
    REQUIRE(throws_error([&] { read_capture(options(written.root, 2), {}, training_parts()); },
                         "image_0000.png: a frame of 500000x250000: takes about 5000.0 GB of "));
    REQUIRE(throws_error([&] { read_capture(options(written.root), {}, training_parts()); },
                         "use a larger data.downscale"));
}

TEST_CASE("what does not fit into data.memory is decoded again, and a note says so", "[capture]") {
    Written written;
    auto small = options(written.root);
    small.memory = 1e-6;
    const auto back = read_capture(small, kDino);
    REQUIRE(back.notes.back().ends_with(
        "capture: 0 of 8 frames stay in memory (0 MB of it), the others are decoded again each "
        "time; raise data.memory, or use data.downscale or data.stride"));
    for (int round = 0; round < 2; ++round) {
        for (const auto& [name, frames] : written.capture.splits) {
            for (size_t i = 0; i < frames.size(); ++i)
                require_same(back.splits.at(name)[i], frames[i]);
        }
    }
    const auto* store = back.splits.at("train").store();
    REQUIRE((store->use().kept == 0 && store->use().frames == 8));
    REQUIRE(back.splits.at("test").store() == store);

    small.memory = 1e-3;
    const auto whole = read_capture(small, kDino);
    REQUIRE(whole.notes.empty());
    store = whole.splits.at("train").store();
    for (const auto& [name, frames] : whole.splits) {
        for (size_t i = 0; i < frames.size(); ++i) frames[i];
    }
    REQUIRE(store->use().kept == 8);
}

TEST_CASE("pictures and poses meet in the order of the numbers in their names", "[capture]") {
    REQUIRE(natural_less("2", "10"));
    REQUIRE(natural_less("a2b", "a10a"));
    REQUIRE(natural_less("a02", "a2"));
    REQUIRE_FALSE(natural_less("a2", "a02"));
    REQUIRE(natural_less("a", "a1"));
    REQUIRE(natural_less("a1b", "a1c"));
    REQUIRE_FALSE(natural_less("x7", "x7"));
    Written written;
    Capture numbered;
    numbered.betas = written.capture.betas;
    for (const int64_t i : {1, 2, 3, 9, 10, 11}) {
        auto frame = some_frame(std::to_string(i), i, false);
        frame.camera.translation = torch::full({3}, static_cast<double>(i), torch::kFloat);
        numbered.splits["train"].push_back(frame);
    }
    const auto root = written.folder.path / "numbered";
    write_capture(root, numbered);
    auto poses = read_npz(root / "poses/train.npz");
    poses.erase("frame_names");
    write_npz(root / "poses/train.npz", poses);
    fs::remove_all(root / "splits");
    const auto back = read_capture(options(root));
    for (size_t i = 0; i < 6; ++i)
        require_same(back.splits.at("train")[i], numbered.splits["train"][i]);
    REQUIRE(back.notes.size() == 4);  // and three for the priors that are not there
    REQUIRE(back.notes[0].ends_with(
        "train.npz: no frame_names in it; row 0 is taken for picture '1', and so on to row 5 for "
        "'11'"));
}
