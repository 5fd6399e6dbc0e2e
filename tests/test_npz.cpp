#include <fmgs/core/io/files.h>
#include <fmgs/core/io/npz_reader.h>
#include <fmgs/core/random.h>
#include <fmt/format.h>

#include <cstring>
#include <fstream>

#include "support/limits.h"
#include "support/test.h"

using namespace fmgs;

namespace {

// Written by Python's zipfile as np.savez_compressed writes: deflated, zip64 local headers; members
// half (f2), fortran (f8, Fortran order), gender (U6 scalar, header version 2), object (a pickle),
// flag (b1), root (u4), and a text file.
constexpr const char* kCompressed =
    "504b03042d000000080000002100275dbc4dffffffffffffffff0800140068616c662e6e70790100100056000000"
    "000000004a000000000000009bec17ea1b10c9c8e0c650ad9e925a9c5ca46ea5a06e9366a4aea3a09e965f545294"
    "98179f5f94920a12774bcc294e058a17672416a402f91ac63a9a3a0ab50a48808bc18ee100830900504b03042d00"
    "0000080000002100ec8b069bffffffffffffffff0b001400666f727472616e2e6e70790100100080000000000000"
    "0059000000000000009bec17ea1b10c9c8e0c650ad9e925a9c5ca46ea5a06e9366a1aea3a09e965f54529498179f"
    "5f94920a120f292a4d050a17672416a402b91a463a0ac69a3a0ab50a08c0c500061fec21b48003846680d222509a"
    "034a4b380000504b03042d000000080000002100d8502528ffffffffffffffff0a00140067656e6465722e6e7079"
    "01001000680000000000000051000000000000009bec17ea1b10c9c4e0c2c0c050ad9e925a9c5ca46ea5a06e136a"
    "a6aea3a09e965f54529498179f5f94920a12774bcc294e058a17672416a402f91a9a3a0ab50a48802b0d684e2a10"
    "e702712210e740f900504b03042d0000000800000021004001a78affffffffffffffff0a0014006f626a6563742e"
    "6e707901001000540000000000000045000000000000009bec17ea1b10c9c8e0c650ad9e925a9c5ca46ea5a05ee3"
    "afaea3a09e965f54529498179f5f94920a12764bcc294e058a17672416a402f91a9a3a0ab50aa880ab81c54f0f00"
    "504b03042d0000000800000021002321305fffffffffffffffff08001400666c61672e6e70790100100052000000"
    "0000000046000000000000009bec17ea1b10c9c8e0c650ad9e925a9c5ca46ea5a05e9364a8aea3a09e965f545294"
    "98179f5f94920a12774bcc294e058a17672416a402f91a463a9a3a0ab50a48808b811100504b03042d0000000800"
    "000021009a554a68ffffffffffffffff08001400726f6f742e6e7079010010005400000000000000470000000000"
    "00009bec17ea1b10c9c8e0c650ad9e925a9c5ca46ea5a06e536aa2aea3a09e965f54529498179f5f94920a12774b"
    "cc294e058a17672416a402f91a863a9a3a0ab50a4880eb3f100000504b0304140000000800a87a755dc73783a30e"
    "0000000c0000000a000000726561646d652e747874cbcb2f5148cc53482c2a4aac0400504b01022d032d00000008"
    "0000002100275dbc4d4a0000005600000008000000000000000000000080010000000068616c662e6e7079504b01"
    "022d032d000000080000002100ec8b069b59000000800000000b0000000000000000000000800184000000666f72"
    "7472616e2e6e7079504b01022d032d000000080000002100d850252851000000680000000a000000000000000000"
    "000080011a01000067656e6465722e6e7079504b01022d032d0000000800000021004001a78a4500000054000000"
    "0a00000000000000000000008001a70100006f626a6563742e6e7079504b01022d032d0000000800000021002321"
    "305f4600000052000000080000000000000000000000800128020000666c61672e6e7079504b01022d032d000000"
    "0800000021009a554a6847000000540000000800000000000000000000008001a8020000726f6f742e6e7079504b"
    "01021403140000000800a87a755dc73783a30e0000000c0000000a00000000000000000000008001290300007265"
    "61646d652e747874504b05060000000007000700830100005f0300000000";

using Bytes = std::vector<uint8_t>;

Bytes compressed() {
    Bytes out;
    for (const char* c = kCompressed; *c; c += 2)
        out.push_back(static_cast<uint8_t>(std::stoi(std::string(c, 2), nullptr, 16)));
    return out;
}

Bytes file_bytes(const std::filesystem::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return Bytes(std::istreambuf_iterator<char>(stream), {});
}

NpzFile parse(const Bytes& bytes) { return parse_npz(bytes.data(), bytes.size(), "a.npz"); }

Bytes npy(const std::string& header, size_t data) {
    std::string bytes("\x93NUMPY\x01\0", 8);
    bytes += {static_cast<char>(header.size()), '\0'};
    bytes += header + std::string(data, '\1');
    return Bytes(bytes.begin(), bytes.end());
}

NpyArray parse_array(const std::string& header, size_t data) {
    const auto bytes = npy(header, data);
    return parse_npy(bytes.data(), bytes.size(), "a.npy");
}

// Reads every array of the file in every way. True when that works or ends in fmgs::Error; anything
// else escapes.
bool survives(const Bytes& bytes) {
    try {
        for (const auto& [key, array] : parse(bytes)) {
            try {
                array.dtype[0] == 'U' ? void(array.strings()) : void(array.tensor());
            } catch (const Error&) {
            }
        }
        return true;
    } catch (const Error&) {
        return false;
    }
}

}  // namespace

TEST_CASE("trap 7: members that are deflated, with zip64 headers, of every kind", "[npz]") {
    const auto file = parse(compressed());
    REQUIRE(file.size() == 6);
    REQUIRE_CLOSE(file.at("half").tensor(), torch::tensor({1.5f, -2.0f, 0.25f}), 0.0);
    REQUIRE(file.at("half").tensor().scalar_type() == torch::kFloat);
    REQUIRE_CLOSE(file.at("fortran").tensor(),
                  torch::tensor({1.0, 2.0, 3.0, 4.0, 5.0, 6.0}, torch::kDouble).view({2, 3}), 0.0);
    REQUIRE(file.at("gender").strings() == std::vector<std::string>{"female"});
    REQUIRE(torch::equal(file.at("flag").tensor(), torch::tensor({false, true})));
    REQUIRE(file.at("root").tensor().item<int64_t>() == 4294967295);
}

TEST_CASE("an array of objects is named when asked for, and never unpickled", "[npz]") {
    REQUIRE(parse(compressed()).at("object").bytes.empty());
    const test::TemporaryFolder folder;
    const auto bytes = compressed();
    write_whole(folder.path / "a.npz", {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    const NpzReader file(folder.path / "a.npz");
    REQUIRE(test::throws_error([&] { file.tensor("object"); },
                               "a.npz: 'object': an array of dtype 'O'"));
    REQUIRE(test::throws_error([&] { file.tensor("gender"); }, "'gender'"));
    REQUIRE(test::throws_error([&] { file.tensor("poses"); },
                               "no array 'poses'; there are: flag, fortran"));
}

TEST_CASE("what is written is read back, and written alike each time", "[npz]") {
    const test::TemporaryFolder folder;
    const auto path = folder.path / "new" / "a.npz";
    const std::vector<torch::Tensor> tensors{torch::arange(6, torch::kFloat).view({2, 3}).t(),
                                             torch::tensor({1e300, -0.5}, torch::kDouble),
                                             torch::tensor({-7}, torch::kInt),
                                             torch::tensor({int64_t{1} << 62}, torch::kLong),
                                             torch::tensor({255}, torch::kByte),
                                             torch::tensor({true, false}),
                                             torch::zeros({0, 3}),
                                             torch::tensor(2.5f)};
    const std::vector<std::string> text{"frame_0", "", "Größe 😀"};
    NpzFile file{{"text", npy_array(text)}};
    for (size_t i = 0; i < tensors.size(); ++i)
        file.emplace(fmt::format("t{}", i), npy_array(tensors[i]));
    write_npz(path, file);
    const auto back = read_npz(path);
    REQUIRE(back.size() == file.size());
    for (size_t i = 0; i < tensors.size(); ++i) {
        const auto x = back.at(fmt::format("t{}", i)).tensor();
        REQUIRE(x.scalar_type() == tensors[i].scalar_type());
        REQUIRE(torch::equal(x, tensors[i]));
    }
    REQUIRE(back.at("text").strings() == text);
    const auto first = file_bytes(path);
    write_npz(path, file);
    REQUIRE(file_bytes(path) == first);
    // nothing left aside
    REQUIRE(std::distance(std::filesystem::directory_iterator(path.parent_path()), {}) == 1);

    write_npy(folder.path / "a.npy", npy_array(tensors[0]));
    REQUIRE(torch::equal(read_npy(folder.path / "a.npy").tensor(), tensors[0]));
    // data at a multiple of 64, as NumPy lays it
    REQUIRE(std::filesystem::file_size(folder.path / "a.npy") == 128 + 24);
}

TEST_CASE("a file cut off anywhere is an error", "[npz]") {
    const auto whole = compressed();
    for (size_t size = 0; size < whole.size(); ++size) {
        INFO("first " << size << " bytes");
        REQUIRE_FALSE(
            survives(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size))));
    }
}

TEST_CASE("a file with wrong bytes is an error or still a file, never a crash", "[npz]") {
    const test::TemporaryFolder folder;
    write_npz(folder.path / "a.npz", {{"a", npy_array(torch::ones({4, 3}))},
                                      {"b", npy_array(std::vector<std::string>{"x", "yz"})}});
    for (const auto& whole : {compressed(), file_bytes(folder.path / "a.npz")}) {
        const int rounds = 20000;
        const auto draws =
            torch::randint(0, 1 << 30, {rounds, 7}, Random{5}.generator("flips"), torch::kLong);
        const auto* draw = draws.data_ptr<int64_t>();
        for (int i = 0; i < rounds; ++i, draw += 7) {
            auto bytes = whole;
            const int64_t flips = 1 + draw[0] % 3;
            for (int64_t k = 0; k < flips; ++k)
                bytes[draw[1 + 2 * k] % bytes.size()] = static_cast<uint8_t>(draw[2 + 2 * k]);
            survives(bytes);
        }
    }
    SUCCEED();
}

TEST_CASE("every changed data byte of a member is found by its checksum", "[npz]") {
    const test::TemporaryFolder folder;
    write_npz(folder.path / "a.npz", {{"a", npy_array(torch::ones({4}))}});
    const auto whole = file_bytes(folder.path / "a.npz");
    for (size_t i = 35; i < 35 + 128 + 16; ++i) {  // after the local header and the name "a.npy"
        auto bytes = whole;
        bytes[i] ^= 1;
        REQUIRE(test::throws_error([&] { parse(bytes); }, "a.npz: 'a.npy' is corrupt"));
    }
}

TEST_CASE("a header that lies about sizes is refused before anything is allocated", "[npz]") {
    const auto refused = [](const std::string& header, const std::string& words) {
        return test::throws_error([&] { parse_array(header, 8); }, words);
    };
    const auto shaped = [](const std::string& shape) {
        return "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + ", }";
    };
    REQUIRE(parse_array(shaped("(2,)"), 8).shape == std::vector<int64_t>{2});
    REQUIRE(refused(shaped("(3,)"), "do not go with 8 bytes"));
    REQUIRE(refused(shaped("(1,)"), "do not go with 8 bytes"));
    REQUIRE(refused(shaped("(4611686018427387904, 4)"), "too large"));
    REQUIRE(refused(shaped("(0, 4611686018427387904, 4)"), "too large"));
    REQUIRE(refused(shaped("(4611686018427387904,)"), "do not go with"));
    REQUIRE(refused(shaped("(99999999999999999999,)"), "too large"));
    REQUIRE(refused(shaped("(-1,)"), "expected a size"));
    REQUIRE(refused(shaped("(2"), "expected a size"));
    REQUIRE(refused("{'descr': '<f4', 'shape': (2,), }", "is missing"));
    REQUIRE(
        refused("{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}", "expected True or False"));
    REQUIRE(refused("{'evil': 1}", "not known"));
    REQUIRE(refused("", "expected '{'"));
    REQUIRE(parse_array("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", 8).shape ==
            std::vector<int64_t>{2});
    for (const char* descr : {"'|O'", "'<c8'", "'<U99999999'", "[('x', '<f4'), ('y', '<f4')]"}) {
        const auto array = parse_array(
            std::string("{'descr': ") + descr + ", 'fortran_order': False, 'shape': (1,), }", 8);
        REQUIRE(test::throws_error([&] { array.tensor(); }, "cannot become a tensor"));
    }
}

TEST_CASE("unsigned numbers that do not fit are an error", "[npz]") {
    NpyArray array{"u8", {1}, Bytes(8, 0xFF)};
    REQUIRE(test::throws_error([&] { array.tensor(); }, "does not fit int64"));
    array.bytes[7] = 0x7F;
    REQUIRE(array.tensor().item<int64_t>() == std::numeric_limits<int64_t>::max());
    REQUIRE(
        test::throws_error([] { read_npz("/nowhere/a.npz"); }, "/nowhere/a.npz: cannot be read"));
}

namespace {

/// A deflate stream of 258·n + 1 zeros: 13 bits for each 258 of them.
std::string deflated_zeros(int64_t n) {
    std::string out;
    int filled = 8;
    const auto put = [&](std::string_view bits) {  // in the order of the stream
        for (const char bit : bits) {
            if (filled == 8) {
                out.push_back('\0');
                filled = 0;
            }
            if (bit == '1') out.back() = static_cast<char>(out.back() | (1 << filled));
            ++filled;
        }
    };
    put("110");                                            // the last block, with the fixed codes
    put("00110000");                                       // a zero
    for (int64_t k = 0; k < n; ++k) put("1100010100000");  // 258 times what came one before
    put("0000000");
    return out;
}

std::string number(uint64_t value, int bytes) {
    std::string out;
    for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
    return out;
}

uint32_t checksum(const std::string& bytes) {  // CRC-32
    uint32_t crc = ~0U;
    for (const char c : bytes) {
        crc ^= static_cast<uint8_t>(c);
        for (int k = 0; k < 8; ++k) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320U : 0);
    }
    return ~crc;
}

struct ZipMember {
    std::string name, packed;
    uint64_t size;
    int method;
};

std::string zip(const std::vector<ZipMember>& members) {
    std::string out, directory;
    for (const auto& m : members) {
        const auto crc = m.method == 0 ? checksum(m.packed) : 0;  // no other is compared
        const auto common = number(20, 2) + number(0, 2) + number(m.method, 2) + number(0, 4) +
                            number(crc, 4) + number(m.packed.size(), 4) + number(m.size, 4) +
                            number(m.name.size(), 2) + number(0, 2);
        directory += number(0x02014b50, 4) + number(20, 2) + common + std::string(10, '\0') +
                     number(out.size(), 4) + m.name;
        out += number(0x04034b50, 4) + common + m.name + m.packed;
    }
    const auto start = out.size();
    return out + directory + number(0x06054b50, 4) + number(0, 4) + number(members.size(), 2) +
           number(members.size(), 2) + number(directory.size(), 4) + number(start, 4) +
           number(0, 2);
}

}  // namespace

TEST_CASE("an array that nobody asks for is not unpacked, one that does not fit is refused",
          "[npz]") {
    const test::TemporaryFolder folder;
    const auto path = folder.path / "a.npz";
    write_npz(path, {{"betas", npy_array(torch::tensor({1.f, 2.f}))}});
    auto bytes = file_bytes(path);
    // The member of write_npz, and one of 516 MB, which is no array and takes 3 MB.
    const std::string small(bytes.begin() + 30 + 9, bytes.begin() + 30 + 9 + 128 + 8);
    const int64_t n = 2000000;
    const auto whole = zip({{"bomb.npy", deflated_zeros(n), static_cast<uint64_t>(258 * n + 1), 8},
                            {"betas.npy", small, small.size(), 0}});
    std::ofstream(path, std::ios::binary) << whole;
    const bool held = test::with_little_memory(300 << 20, [&] {
        const NpzReader file(path);
        return file.contains("betas") && file.keys() == "betas, bomb" &&
               file.header("betas").shape == std::vector<int64_t>{2} &&
               test::throws_error([&] { file.header("bomb"); },
                                  "a.npz: 'bomb': not an .npy array") &&
               test::throws_error([&] { file.array("bomb"); },
                                  "a.npz: 'bomb': takes about 1.0 GB of memory, ") &&
               test::throws_error([&] { file.tensor("poses"); },
                                  "a.npz: there is no array 'poses'; there are: betas, bomb");
    });
    REQUIRE(held);
}

TEST_CASE("only what is asked for has to be whole", "[npz]") {
    const test::TemporaryFolder folder;
    const auto path = folder.path / "a.npz";
    write_npz(path, {{"a", npy_array(torch::ones({4}))},
                     {"b", npy_array(std::vector<std::string>{"x"})}});
    auto bytes = file_bytes(path);
    bytes[35 + 128] ^= 1;  // a value of the first
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    const NpzReader file(path);
    REQUIRE(file.strings("b") == std::vector<std::string>{"x"});
    REQUIRE(test::throws_error([&] { file.tensor("a"); }, "a.npz: 'a.npy' is corrupt"));
    REQUIRE(test::throws_error([&] { file.tensor("b"); }, "a.npz: 'b': an array of dtype 'U1'"));
    REQUIRE(test::throws_error([&] { file.strings("a"); }, "a.npz: 'a"));
    REQUIRE(test::throws_error([&] { read_npz(path); }, "is corrupt"));
}

TEST_CASE("what is no .npz is called what it is", "[npz]") {
    const test::TemporaryFolder folder;
    const auto refused = [&](const char* name, const std::string& bytes, const char* words) {
        std::ofstream(folder.path / name, std::ios::binary) << bytes;
        return test::throws_error([&] { NpzReader(folder.path / name); },
                                  std::string(name) +
                                      ": expected an .npz file (a zip of NumPy "
                                      "arrays), got " +
                                      words);
    };
    CHECK(refused("smpl.pkl", "\x80\x02}q\x01", "a Python pickle (.pkl)"));
    CHECK(refused("old.pkl", "(dp0\nS'f'", "a Python pickle (.pkl)"));
    CHECK(refused("motion.npy", "\x93NUMPY", "a single array (.npy)"));
    CHECK(refused("motion.json", " \n{\"poses\": []}", "JSON"));
    CHECK(refused("walk.bvh", "HIERARCHY\nROOT Hips\n", "a BVH motion"));
    CHECK(refused("body.h5", "\x89HDF\r\n", "an HDF5 file"));
    CHECK(refused("body.mat", "MATLAB 5.0 MAT-file", "a MATLAB file"));
    const std::string safetensors = number(16, 8) + "{\"__metadata__\":{";
    CHECK(refused("a.safetensors", safetensors, "a safetensors file"));
}

TEST_CASE("the header of an .npy is read without its values", "[npz]") {
    const test::TemporaryFolder folder;
    const auto path = folder.path / "a.npy";
    write_npy(path, npy_array(torch::ones({4, 5})));
    std::filesystem::resize_file(path, 128);
    const auto header = read_npy_header(path);
    REQUIRE(header.dtype == "f4");
    REQUIRE(header.shape == std::vector<int64_t>{4, 5});
    REQUIRE(test::throws_error([&] { read_npy_tensor(path); }, "a.npy: dtype f4 and shape [4,5]"));
    write_npy(path, npy_array(std::vector<std::string>{"x"}));
    REQUIRE(test::throws_error([&] { read_npy_tensor(path); }, "a.npy: an array of dtype 'U1'"));
}
