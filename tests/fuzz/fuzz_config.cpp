/// Configuration: a text is an argument when its first mark is '=', else a file. Options that are
/// read come back alike from their dump.
#include <fmgs/core/config/config.h>

#include "target.h"

using namespace fmgs;

namespace {

struct TermOptions {
    Schedule weight = 1.0;
    std::optional<std::vector<std::string>> reaches = std::nullopt;
    template <class V>
    void visit(V& v) {
        v("weight", weight);
        v("reaches", reaches);
    }
};

struct GridOptions {
    int64_t levels = 16;
    double rate = 2e-2;
    template <class V>
    void visit(V& v) {
        v("levels", levels);
        v("rate", rate);
    }
};

/// Every kind of field.
struct Options {
    bool learn = true;
    std::string name = "paper";
    std::vector<std::string> sheets = {"color"};
    std::string output;
    GridOptions grid;
    std::map<std::string, TermOptions> losses = {{"depth", {.weight = 0.02}}, {"mask", {}}};
    template <class V>
    void visit(V& v) {
        v("learn", learn);
        v("name", name);
        v("sheets", sheets);
        v.path("output", output);
        v.group("grid", grid);
        v.groups("losses", losses);
    }
};

Options read_text(const std::string& text, bool argument) {
    Config config;
    if (argument) {
        config.add_argument(text);
    } else {
        const InputFile file(reinterpret_cast<const uint8_t*>(text.data()), text.size());
        config.add_file(file.path());
    }
    Options options;
    config.read(options);
    return options;
}

}  // namespace

void read_input(const uint8_t* data, size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    const auto mark = text.find_first_of("=:{\n");
    const auto dumped = dump_yaml(read_text(text, mark != std::string::npos && text[mark] == '='));
    std::string again;
    try {
        again = dump_yaml(read_text(dumped, false));
    } catch (const Error& error) {
        again = error.what();
    }
    if (again != dumped) throw std::logic_error(dumped + "\ncomes back as\n" + again);
}
