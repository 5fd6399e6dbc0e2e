// Priors made by stand-ins for networks, from the pictures to what training reads.
#include <fmgs/data/extract_priors.h>

#include <fmgs/core/io/files.h>
#include <fmgs/core/io/npz_reader.h>
#include <fmgs/data/image_io.h>
#include <fmgs/data/picture_header.h>
#include <fmgs/data/priors.h>
#include <unistd.h>

#include "support/picture_bytes.h"
#include "support/programs.h"
#include "support/stand_in_network.h"

using namespace fmgs;
using namespace fmgs::test;
namespace fs = std::filesystem;

namespace {

/// Levels of 0 to 255 as they are.
void unscale(PriorNetworkOptions& options, int64_t size) {
    options.height = options.width = size;
    options.mean = {0, 0, 0};
    options.deviation = {1, 1, 1};
}

/// Five pictures of 4x6 pixels, two of them of a camera each, and the three networks.
struct Pictures {
    TemporaryFolder folder;
    ExtractOptions options;

    Pictures() {
        for (int i = 0; i < 5; ++i) {
            auto levels = torch::full({3, 6, 4}, 10.0 * i);
            levels[0] = torch::arange(24).reshape({6, 4}) + i;
            write_color(file(i), levels / 255);
        }
        options.input = folder.path / "pictures";
        options.output = folder.path / "priors";
        options.files = {{PriorTask::seg, save_network(folder.path / "seg.pt2", kLabels28)},
                         {PriorTask::normal, save_network(folder.path / "n.pt2", kColorAsNormal)},
                         {PriorTask::depth, save_network(folder.path / "d.pt2", kRed)}};
        for (auto* network :
             {&options.networks.seg, &options.networks.normal, &options.networks.depth})
            unscale(*network, 6);
    }
    fs::path file(int i) const {
        return folder.path / "pictures" / (i < 3 ? "camera_a" : "camera_b") /
               (std::to_string(i) + ".png");
    }
    fs::path map(const std::string& name) const { return options.output / name; }
};

/// Bytes of all that a folder holds, by name.
std::map<std::string, std::string> contents(const fs::path& folder) {
    std::map<std::string, std::string> out;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        if (entry.is_regular_file())
            out[entry.path().lexically_relative(folder).string()] = bytes(entry.path());
    }
    return out;
}

std::string joined(const std::vector<std::string>& notes) {
    std::string out;
    for (const auto& note : notes) out += note + "\n";
    return out;
}

std::string turned(char orientation, bool little) {
    return with_segment(jpeg(), "Exif" + std::string(2, '\0') + exif(orientation, little));
}

}  // namespace

TEST_CASE("files have the names, types and shapes of Sapiens' scripts, and read back",
          "[extract_priors]") {
    Pictures p;
    p.options.batch = 2;
    std::vector<int64_t> heard;
    const auto report = extract_priors(p.options, [&](int64_t done, int64_t all) {
        REQUIRE(all == 15);
        heard.push_back(done);
    });
    REQUIRE((report.pictures == 5 && report.made == 15 && report.kept == 0));
    REQUIRE(heard == std::vector<int64_t>{2, 4, 5, 7, 9, 10, 12, 14, 15});
    REQUIRE(contents(p.options.output).size() == 1 + 4 * 5);
    const auto header = [&](const std::string& name) { return read_npy_header(p.map(name)); };
    using Shape = std::vector<int64_t>;
    REQUIRE((header("seg/camera_a/1.npy").dtype == "b1" &&
             header("seg/camera_a/1.npy").shape == Shape{6, 4}));
    REQUIRE((header("seg/camera_a/1_seg.npy").dtype == "i8" &&
             header("seg/camera_a/1_seg.npy").shape == Shape{6, 4}));
    REQUIRE((header("normal/camera_b/3.npy").dtype == "f4" &&
             header("normal/camera_b/3.npy").shape == Shape{6, 4, 3}));
    REQUIRE((header("depth/camera_b/4.npy").dtype == "f4" &&
             header("depth/camera_b/4.npy").shape == Shape{6, 4}));
    REQUIRE(read_prior_format(p.map("priors.json")).normal_axes == "RUB");
    const auto labels = read_labels(p.map("seg/camera_a/1_seg.npy"));
    REQUIRE(torch::equal(read_mask(p.map("seg/camera_a/1.npy"))[0] > 0, labels > 0));
    // Every picture got its own.
    REQUIRE(labels[0][0].item<int64_t>() == 1);
    REQUIRE(read_labels(p.map("seg/camera_b/4_seg.npy"))[0][0].item<int64_t>() == 4);
}

TEST_CASE("a second call makes what is missing or not whole, and nothing else",
          "[extract_priors]") {
    Pictures p;
    extract_priors(p.options);
    const auto whole = contents(p.options.output);
    // As a kill may leave it: gone, cut short, of another size, half of it aside.
    fs::remove(p.map("seg/camera_a/0_seg.npy"));
    fs::resize_file(p.map("normal/camera_a/1.npy"), 200);
    fs::copy_file(p.map("normal/camera_a/1.npy"), p.map("normal/camera_a/.2.npy.77.tmp"));
    write_npy(p.map("depth/camera_b/3.npy"), npy_array(torch::zeros({4, 6})));
    auto report = extract_priors(p.options);
    INFO(joined(report.notes));
    REQUIRE((report.made == 3 && report.kept == 12));
    CHECK(joined(report.notes).find("normal: 4 of 5 are there and kept") != std::string::npos);
    CHECK(joined(report.notes).find("normal: 1 are not whole") != std::string::npos);
    fs::remove(p.map("normal/camera_a/.2.npy.77.tmp"));
    REQUIRE(contents(p.options.output) == whole);
    // Nothing to do: not even the networks are opened.
    for (auto& [task, file] : p.options.files) file = "none.pt2";
    report = extract_priors(p.options);
    REQUIRE((report.made == 0 && report.kept == 15));
}

TEST_CASE("a call that is stopped leaves whole maps, and the next goes on", "[extract_priors]") {
    Pictures p, all;
    const auto stop = [](int64_t done, int64_t) {
        if (done == 7) throw Error("interrupted");
    };
    REQUIRE(throws_error([&] { extract_priors(p.options, stop); }, "interrupted"));
    const auto report = extract_priors(p.options);
    REQUIRE((report.made == 8 && report.kept == 7));
    extract_priors(all.options);
    REQUIRE(contents(p.options.output) == contents(all.options.output));
}

TEST_CASE("pictures that cannot be meant are refused before any network runs", "[extract_priors]") {
    Pictures p;
    for (auto& [task, file] : p.options.files) file = "none.pt2";
    const auto refused = [&](const std::string& words) {
        return throws_error([&] { extract_priors(p.options); }, words);
    };
    const auto jpeg_file = p.folder.path / "pictures/camera_a/turned.jpg";
    for (const bool little : {false, true}) {
        write_whole(jpeg_file, turned(6, little));
        REQUIRE(read_picture_header(jpeg_file).orientation == 6);
        REQUIRE(refused("turned.jpg: its EXIF data say that it is to be turned (orientation 6)"));
        write_whole(jpeg_file, turned(1, little));
        REQUIRE(read_picture_header(jpeg_file).orientation == 1);
    }
    fs::rename(jpeg_file, p.folder.path / "pictures/camera_a/2.jpg");
    REQUIRE(refused("two pictures are called camera_a/2"));
    p.options.input = p.folder.path / "none";
    REQUIRE(refused("none: expected a folder of pictures"));
    fs::create_directories(p.options.input);
    REQUIRE(refused("none: expected a folder of pictures (.png or .jpg), got none"));
    p.options.output.clear();
    REQUIRE(refused("say where the priors go with --out"));
}

TEST_CASE("an alpha channel is left out, and the user told", "[extract_priors]") {
    Pictures p;
    fs::remove_all(p.folder.path / "pictures/camera_b");
    write_whole(p.folder.path / "pictures/camera_a/3.png", png(1, 4, 8, {7, 7, 7, 128}));
    const auto report = extract_priors(p.options);
    REQUIRE(joined(report.notes).find("the alpha channel of 1 pictures") != std::string::npos);
    REQUIRE(read_npy_tensor(p.map("depth/camera_a/3.npy")).item<float>() == 7);
}

TEST_CASE("priors of another maker are neither read in our place nor contradicted",
          "[extract_priors]") {
    Pictures p;
    write_whole(p.map("priors.json"),
                R"({"normal": {"folder": "n", "axes": "LUB"}, "author": "me"})");
    write_whole(p.map("n/camera_c/1.npy"), "of another maker");
    const auto refused = [&](const std::string& words) {
        return throws_error([&] { extract_priors(p.options); }, words);
    };
    REQUIRE(refused("priors.json: normal.axes is LUB, and what this network makes is RUB"));
    p.options.networks.normal.axes = "LUB";
    p.options.networks.depth.kind = "inverse";  // there are no files yet
    extract_priors(p.options);
    REQUIRE(is_there(p.map("n/camera_a/1.npy")));
    const auto format = read_prior_format(p.map("priors.json"));
    REQUIRE((format.depth_kind == "inverse" && format.normal_axes == "LUB"));
    REQUIRE(format.unread == std::vector<std::string>{"author"});
    p.options.networks.depth.kind = "depth";
    REQUIRE(refused("priors.json: depth.kind is inverse"));
    p.options.networks.depth.kind = "inverse";
    write_color(p.map("depth/camera_a/1.png"), torch::ones({1, 6, 4}));
    REQUIRE(refused("depth/camera_a/1.png: there is a prior already"));
    p.options.networks.normal.axes = "RRR";
    REQUIRE(refused("RRR"));
}
