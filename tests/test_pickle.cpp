// Pickles, joblib and torch files as Python's own libraries write them; nothing in them is
// executed.
#include <fmgs/core/io/value.h>

#include "support/pickles.h"
#include "support/test.h"

using namespace fmgs;
using test::pickled;
using test::quarters;
using test::reals;

namespace {

Value parse(const std::string& bytes) { return parse_value(bytes, "a.pkl"); }

bool refused(const std::string& bytes, const std::string& words) {
    return test::throws_error([&] { parse(bytes); }, words) &&
           test::throws_error([&] { parse(bytes); }, "a.pkl: ");
}

bool file_refused(const std::string& name, const std::string& words) {
    return test::throws_error([&] { pickled(name); }, words) &&
           test::throws_error([&] { pickled(name); }, name + ": ");
}

/// array_kinds() of make_pickles.py, but for its text.
void check_arrays(const Value& file) {
    CHECK_NOTHROW(file.dict());
    for (const char* name : {"f8", "f4", "f2", "big", "fortran"}) {
        INFO(name);
        CHECK(file[name].is_array());
        REQUIRE_CLOSE(reals(file[name]), quarters({2, 3}), 0);
    }
    CHECK(file["f2"].array().dtype == "f2");
    CHECK(torch::equal(file["big_i2"].tensor().to(torch::kLong), torch::tensor({1L, -2L})));
    CHECK(torch::equal(file["i8"].tensor(), torch::tensor({1L, -2L})));
    CHECK(file["u4"].integer() == 4294967295);
    CHECK(file["u1"].integer() == 200);
    CHECK(torch::equal(file["bool"].tensor(), torch::tensor({true, false})));
    CHECK(file["bytes"].strings() == std::vector<std::string>{"ab", "c"});
    CHECK(file["scalar"].number() == 0.5);
    CHECK(file["integer"].integer() == -7);
    CHECK(file["truth"].integer() == 1);
    CHECK(file["point"].number() == 2.5);
    CHECK(file["empty"].shape() == std::vector<int64_t>{0, 3});
    REQUIRE_CLOSE(reals(file["transposed"]), quarters({2, 3, 4}).permute({1, 2, 0}), 0);
    // Objects: a list, nested as the array is.
    REQUIRE(file["objects"].list().size() == 2);
    CHECK(file["objects"].list()[0]["a"].integer() == 1);
    CHECK(file["objects"].list()[1].list()[1].integer() == 3);
    const auto& grid = file["grid"].list();
    REQUIRE(grid.size() == 2);
    CHECK(grid[0].list()[1].text() == "x");
    CHECK(grid[1].list()[0].is_none());
    CHECK(grid[1].list()[1].number() == 2.5);
}

}  // namespace

TEST_CASE("all of Python's plain values are read from every protocol", "[pickle]") {
    for (int protocol = 0; protocol <= 5; ++protocol) {
        INFO("protocol " << protocol);
        const auto file = pickled("kinds_" + std::to_string(protocol) + ".pkl");
        CHECK(file["none"].is_none());
        CHECK(file["true"].integer() == 1);
        CHECK(file["false"].number() == 0);
        CHECK(file["small"].integer() == -5);
        CHECK(file["large"].integer() == int64_t{1} << 40);
        CHECK(file["negative"].integer() == -(int64_t{1} << 40));
        CHECK(file["root"].integer() == 4294967295);
        CHECK(file["real"].number() == 0.1);
        CHECK(std::isinf(file["infinite"].number()));
        CHECK(file["text"].text() == "größe \n\\ 'q\"");
        CHECK(file["empty"].text().empty());
        const auto& bytes = file["bytes"].text();
        REQUIRE(bytes.size() == 256);
        for (size_t i = 0; i < 256; ++i) REQUIRE(static_cast<uint8_t>(bytes[i]) == i);
        CHECK(file["list"].list()[1].number() == 2.5);
        CHECK(file["tuple"].list()[1].list()[0].integer() == 2);
        CHECK(file["set"].list()[0].integer() == 7);
        CHECK(file["frozen"].list()[0].integer() == 8);
        CHECK(file["ordered"].keys() == "b, a");
        CHECK(file["ordered"]["a"].integer() == 2);
        const auto& people = file["default"].dict();  // as WHAM writes them: numbers as keys
        REQUIRE(people.size() == 1);
        CHECK(people[0].first.integer() == 3);
        CHECK(people[0].second["x"].integer() == 1);
        CHECK(file["array"].text() == "ab");
        CHECK(file["path"].text() == "/a/b.png");
        CHECK(file.dict().back().first.list()[1].text() == "t");
        CHECK_FALSE(file.contains("nothing"));
    }
}

TEST_CASE("trap 3: an ASCII pickle of Python 2 with escapes, I01 booleans and L integers",
          "[pickle]") {
    const auto file = pickled("kinds_python2.pkl");
    CHECK(file["escapes"].text() == std::string("\0\n\r\t\\'\"\xff\x7f", 9));
    CHECK(file["quote"].text() == "it's");
    CHECK(file["yes"].integer() == 1);
    CHECK(file["no"].integer() == 0);
    CHECK(file["long"].integer() == int64_t{1} << 40);
    CHECK(file["real"].number() == 1.5);
    const auto one = parse("(dp0\nS'\\101\\x41\\a\\q\\\\'\np1\nI01\nsS\"it's\"\nL12L\ns.");
    CHECK(one["AA\a\\q\\"].integer() == 1);
    CHECK(one["it's"].integer() == 12);
}

TEST_CASE("trap 3: a protocol-2 file of Python 3 holds its bytes as Latin-1 text", "[pickle]") {
    const auto text = read_whole(test::pickles() / "arrays_2.pkl");
    REQUIRE(text.find("_codecs\nencode") != text.npos);
    check_arrays(pickled("arrays_2.pkl"));
}

TEST_CASE("traps 4 and 5: arrays of every order, width and kind from every protocol", "[pickle]") {
    for (int protocol = 0; protocol <= 5; ++protocol) {
        INFO("protocol " << protocol);
        const auto file = pickled("arrays_" + std::to_string(protocol) + ".pkl");
        check_arrays(file);
        CHECK(file["text"].strings() == std::vector<std::string>{"ab", "größe"});
        CHECK(file["word"].text() == "hé");
    }
    check_arrays(pickled("arrays_python2.pkl"));
    const auto renamed = read_whole(test::pickles() / "numpy1.pkl");
    REQUIRE(renamed.find("numpy.core") != renamed.npos);
    REQUIRE(renamed.find("numpy._core") == renamed.npos);
    check_arrays(pickled("numpy1.pkl"));
}

TEST_CASE("trap 8: joblib's arrays with and without alignment, in zlib and in gzip", "[pickle]") {
    for (const char* name :
         {"joblib_aligned.pkl", "joblib_old.pkl", "joblib_zlib.pkl", "joblib_gzip.pkl"}) {
        INFO(name);
        const auto file = pickled(name);
        REQUIRE_CLOSE(reals(file["a"]), quarters({2, 3}), 0);
        REQUIRE_CLOSE(reals(file["b"]), quarters({3, 2}), 0);
        CHECK(file["b"].array().dtype == "f4");
        CHECK(file["c"].list()[0].is_none());
        REQUIRE_CLOSE(reals(file["c"].list()[1]["x"]), quarters({2}), 0);
        CHECK(file["d"].text() == "text");
    }
    CHECK(pickled("plain_gzip.pkl")["a"].integer() == 1);
    for (const char* name : {"joblib_bz2.pkl", "joblib_lzma.pkl", "joblib_xz.pkl"})
        CHECK(file_refused(name, "compressed by another program than zlib or gzip"));
}

TEST_CASE("objects inside .npy and .npz are read when they are looked into", "[pickle]") {
    REQUIRE_CLOSE(reals(pickled("object.npy")["results"]["poses"]), quarters({2, 3}), 0);
    CHECK(pickled("objects.npy").list()[1].text() == "b");
    const auto file = pickled("objects.npz");
    CHECK(file["results"]["name"].text() == "x");
    REQUIRE_CLOSE(reals(file["plain"]), quarters({2}), 0);
    CHECK(file["text"].text() == "female");  // AMASS's gender
    CHECK(file["bytes"].text() == "male");
    CHECK(file["words"].strings() == std::vector<std::string>{"a", "bc"});
    CHECK(file["big"].dtype() == "f4");
    REQUIRE_CLOSE(reals(file["big"]), quarters({2}), 0);
    CHECK(test::throws_error([&] { file["bad"].is_list(); },
                             "objects.npz: 'bad': a pickle that needs torch.Size"));
    CHECK(test::throws_error([&] { file["structure"].array(); },
                             "objects.npz: 'structure': an array of dtype"));
    CHECK(test::throws_error([&] { file["complex"].tensor(); }, "'c8' is not read"));
    CHECK(test::throws_error([&] { file["other"]; },
                             "there is no entry 'other'; there are: bad, big"));
}

TEST_CASE("torch files of both forms: views, types, nested dictionaries, parameters", "[pickle]") {
    const auto base = torch::arange(12, torch::kDouble);
    for (const char* name : {"torch.pt", "torch_old.pt"}) {
        INFO(name);
        const auto file = pickled(name);
        REQUIRE_CLOSE(reals(file["whole"]), base.view({3, 4}), 0);
        REQUIRE_CLOSE(reals(file["view"]), base.view({3, 4}).t().slice(0, 1, 3), 0);
        REQUIRE_CLOSE(reals(file["part"]), base.slice(0, 2, 5), 0);
        REQUIRE_CLOSE(reals(file["shared"]), base.slice(0, 0, 12, 3), 0);
        CHECK(file["scalar"].number() == 2.5);
        CHECK(file["empty"].shape() == std::vector<int64_t>{0, 3});
        REQUIRE_CLOSE(reals(file["half"]), base.slice(0, 0, 3), 0);
        REQUIRE_CLOSE(reals(file["brain"]), base.slice(0, 0, 3), 0);
        CHECK(torch::equal(file["long"].tensor(), torch::tensor({1L, -2L})));
        CHECK(file["int"].integer() == 3);
        CHECK(file["byte"].integer() == 200);
        CHECK(torch::equal(file["bool"].tensor(), torch::tensor({true, false})));
        REQUIRE_CLOSE(reals(file["nested"]["params"]["betas"]), torch::ones({1, 2}, torch::kDouble),
                      0);
        CHECK(file["nested"]["list"].list()[1].integer() == 3);
        REQUIRE_CLOSE(reals(file["parameter"]), torch::ones({2}, torch::kDouble), 0);
        CHECK(file["size"].list()[1].integer() == 3);
        CHECK(file["dtype"].text() == "torch.float32");
        REQUIRE_CLOSE(reals(file["array"]), quarters({2}), 0);
    }
    CHECK(pickled("torch.pt")["unsigned"].integer() == 65535);
    CHECK(file_refused("torch_complex.pt", "ComplexFloatStorage"));
    CHECK(file_refused("torch_sparse.pt", "torch._utils._rebuild_sparse_tensor"));
    CHECK(file_refused("torch_script.pt", "TorchScript"));
    CHECK(file_refused("torch_in_pickle.pkl", "needs torch._utils._rebuild_tensor_v2"));
}

TEST_CASE("every name that is no data is refused, and said", "[pickle]") {
    size_t seen = 0;
    for (const auto& entry : std::filesystem::directory_iterator(test::pickles())) {
        const auto name = entry.path().filename().string();
        if (!name.starts_with("names_")) continue;
        // names_WHAT_PROTOCOL.pkl
        const auto word = name.substr(6, name.rfind('_') - 6);
        CHECK(file_refused(name, "needs " + word));
        ++seen;
    }
    CHECK(seen == 22);
    CHECK(file_refused("structure.pkl", "structures"));
    CHECK(file_refused("complex_array.pkl", "complex numbers"));
    CHECK(file_refused("dates.pkl", "dates"));
    CHECK(file_refused("matrix_class.pkl", "numpy.ma.core._mareconstruct"));
    CHECK(file_refused("csr.pkl", "csr_matrix"));
    CHECK(file_refused("out_of_band.pkl", "a buffer outside the file"));
    CHECK(file_refused("itself.pkl", "holds itself"));
    // A name counts even where nothing is made of it.
    CHECK(refused("cos\nsystem\n0N.", "needs os.system"));
}

TEST_CASE("opcodes for what lies outside the file are refused", "[pickle]") {
    CHECK(refused("(dP1\n.", "persistent id"));
    CHECK(refused("\x80\x02K\x01Q.", "persistent id"));
    CHECK(refused("(ios\nsystem\n.", "class of Python 2"));
    CHECK(refused("(cnumpy\ndtype\no.", "class of Python 2"));
    CHECK(refused("\x80\x02\x82\x01.", "extension codes"));
    CHECK(refused("\x80\x05\x97.", "buffer outside"));
    CHECK(refused("\x80\x04}\x92.", "named arguments"));
    CHECK(refused("\x80\x09N.", "unknown kind"));
    CHECK(refused("}\xff.", "0xff is no opcode"));
}

TEST_CASE("a pickle that is cut off anywhere is an Error", "[pickle]") {
    for (const char* name : {"kinds_0.pkl", "arrays_2.pkl", "arrays_4.pkl", "joblib_aligned.pkl",
                             "joblib_zlib.pkl", "torch.pt", "torch_old.pt"}) {
        const auto whole = read_whole(test::pickles() / name);
        const size_t step = whole.size() > 4000 ? 7 : 1;
        for (size_t size = 0; size < whole.size(); size += step) {
            INFO(name << " cut to " << size);
            CHECK_THROWS_AS(parse(whole.substr(0, size)), Error);
        }
        CHECK_NOTHROW(parse(whole));
    }
    CHECK(refused("}.x", "1 bytes after the end"));
}

TEST_CASE("what claims more than there is gets no memory", "[pickle]") {
    const auto number = [](uint64_t x, int bytes) {
        std::string out;
        for (int i = 0; i < bytes; ++i) out += static_cast<char>(x >> (8 * i));
        return out;
    };
    CHECK(refused("\x80\x04\x8e" + number(uint64_t{1} << 62, 8), "cut off"));
    CHECK(refused("}T" + number(0xFFFFFFFF, 4), "cut off"));
    CHECK(refused("}r" + number(0xFFFFFFFF, 4) + ".", "to remember"));
    CHECK(refused("}g7\n.", "refers to value 7"));
    CHECK(refused("(lI99999999999999999999\na.", "more than 64 bits"));
    // Lists of ten of the list below, thirty times: more than any memory holds.
    std::string bomb = "\x80\x02]";
    for (int i = 0; i < 30; ++i) bomb += "q\1](h\1h\1h\1h\1h\1h\1h\1h\1h\1h\1e";
    CHECK(refused(bomb + ".", "more than 67108864 values"));
    CHECK(refused("\x80\x02" + std::string(400, ']') + std::string(399, 'a') + ".",
                  "nested more than 200 deep"));
    CHECK(parse("\x80\x02" + std::string(150, ']') + std::string(149, 'a') + ".").is_list());
    // Deeper than any stack, and dropped again.
    CHECK(refused("(" + std::string(1000000, ']') + std::string(999999, 'a') + "l.", "nested"));
}

TEST_CASE("sparse matrices whose parts do not go together are refused", "[pickle]") {
    const auto matrix = [](const std::string& shape, const std::string& rows,
                           const std::string& starts) {
        return parse("cscipy.sparse._csc\ncsc_matrix\n(tR(dS'_shape'\n" + shape +
                     "sS'data'\n(lF1.5\naF2.5\nasS'indices'\n" + rows + "sS'indptr'\n" + starts +
                     "sb.");
    };
    const std::string rows = "(lI0\naI1\na", starts = "(lI0\naI1\naI1\naI2\na";
    const auto dense = matrix("(I2\nI3\nt", rows, starts);
    REQUIRE_CLOSE(reals(dense), torch::tensor({{1.5, 0., 0.}, {0., 0., 2.5}}, torch::kDouble), 0);
    const auto wrong = [&](const std::string& shape, const std::string& r, const std::string& s,
                           const char* words) {
        return test::throws_error([&] { matrix(shape, r, s); }, words);
    };
    CHECK(wrong("(I2\nI4\nt", rows, starts, "do not go together"));
    CHECK(wrong("(I-2\nI3\nt", rows, starts, "do not go together"));
    CHECK(wrong("(I1\nI3\nt", rows, starts, "an entry in row 1"));
    CHECK(wrong("(I2\nI3\nt", "(lI0\naI-1\na", starts, "an entry in row -1"));
    CHECK(wrong("(I2\nI3\nt", rows, "(lI0\naI2\naI1\naI2\na", "out of order"));
    CHECK(wrong("(I2\nI3\nt", rows, "(lI0\naI1\naI1\naI1\na", "outside its columns"));
    CHECK(wrong("(I2\nI3\nt", rows, "(lI0\naI1\naI1\naI9\na", "out of order"));
    CHECK(wrong("(I999999999\nI3\nt", rows, starts, "far more memory"));
}

TEST_CASE("a pickle whose line ends were changed is called that", "[pickle]") {
    CHECK(file_refused("line_ends.pkl", "line ends were changed (LF to CRLF)"));
    CHECK(file_refused("line_ends_2.pkl", "line ends were changed (LF to CRLF)"));
}

TEST_CASE("the sizes of lists in lists take one look at each", "[pickle]") {
    constexpr size_t kDeep = 32;  // 2^32 looks would take minutes
    const auto nested = parse_value(std::string(kDeep, '[') + "7" + std::string(kDeep, ']'), "a");
    CHECK(nested.shape() == std::vector<int64_t>(kDeep, 1));
    CHECK(nested.array().count() == 1);
    const auto deeper = parse_value(std::string(150, '[') + std::string(150, ']'), "a");
    CHECK(test::throws_error([&] { deeper.shape(); }, "lists nested more than 32 deep"));
}

TEST_CASE("values say what they are where something else is expected", "[pickle]") {
    const auto file = parse_value(R"({"a": [[1, 2], [3, 4.5]], "b": [[1], [2, 3]], "c": "x",
                                      "d": [true, false], "e": [1, 2], "f": ["a", "b"], "g": 2.5,
                                      "h": null, "a": 7})",
                                  "a.json");
    CHECK(file["a"].integer() == 7);  // the last one
    CHECK(file["g"].number() == 2.5);
    CHECK(file["d"].array().dtype == "b1");
    CHECK(file["e"].array().dtype == "i8");
    CHECK(file["f"].strings() == std::vector<std::string>{"a", "b"});
    CHECK(file.dict()[0].second.shape() == std::vector<int64_t>{2, 2});
    REQUIRE_CLOSE(reals(file.dict()[0].second),
                  torch::tensor({{1., 2.}, {3., 4.5}}, torch::kDouble), 0);
    const auto says = [](auto&& f, const char* words) { return test::throws_error(f, words); };
    CHECK(says([&] { file["b"].array(); }, "a list whose items differ: [1] and [2]"));
    CHECK(says([&] { file["c"].number(); }, "expected a number, got the text 'x'"));
    CHECK(says([&] { file["g"].integer(); }, "expected a whole number, got the number 2.5"));
    CHECK(says([&] { file["e"].text(); }, "expected text, got a list of 2"));
    CHECK(says([&] { file["h"].dict(); }, "expected a dictionary, got nothing"));
    CHECK(
        says([&] { file["e"]["x"]; }, "expected a dictionary with an entry 'x', got a list of 2"));
    for (const auto& [bytes, words] :
         {std::pair<std::string, const char*>{"", "an empty file"},
          {"version https://git-lfs.github.com/spec/v1", "git lfs pull"},
          {"<html>", "a web page"},
          {"\x89HDF\r\n", "an HDF5 file"},
          {"hello", "unknown kind, which begins with 'hello'"},
          {"[1, 2", "not valid JSON"},
          {std::string(300, '['), "nested more than 200 deep"},
          {"PK\5\6" + std::string(18, '\0') + "x", "cut off"}}) {
        INFO(words);
        CHECK(says([&] { parse_value(bytes, "a.dat"); }, words));
        CHECK(says([&] { parse_value(bytes, "a.dat"); }, "a.dat: "));
    }
}
