// Changes a baked avatar by the classes of its surfels:
//   edit FILE --hide CLASS | --tint CLASS=#rrggbb | --take CLASS… --from OTHER --out FILE
#include <fmgs/baked_file.h>
#include <fmgs/core/check.h>
#include <fmgs/core/io/files.h>
#include <fmgs/edit.h>
#include <fmgs/run/program.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

namespace {

namespace fs = std::filesystem;
using namespace fmgs;

struct Arguments {
    std::string avatar, from, out;
    std::vector<std::string> hide, tint, take;
};

SavedBaked open_baked(const fs::path& file) {
    if (is_there(file) && (fs::is_directory(file) || !is_baked_file(file)))
        throw Error(fmt::format("{0}: expected a baked avatar; `bake {0} --out FILE` makes one",
                                file.string()));
    return load_baked(file);
}

std::vector<std::string> names_of(const AvatarScene& scene) {
    const auto found = scene.labels.find("semantic");
    return found == scene.labels.end() ? std::vector<std::string>() : found->second;
}

std::vector<int64_t> classes_of(const std::vector<std::string>& words,
                                const std::vector<std::string>& names) {
    std::vector<int64_t> classes;
    for (const auto& word : words) classes.push_back(find_class(word, names));
    return classes;
}

/// "#rrggbb" → [3] in [0,1].
std::array<double, 3> color_of(const std::string& text) {
    const bool fits = text.size() == 7 && text[0] == '#' &&
                      text.find_first_not_of("0123456789abcdefABCDEF", 1) == std::string::npos;
    if (!fits)
        throw Error(fmt::format("--tint: expected a colour such as #c03020, got '{}'", text));
    std::array<double, 3> color{};
    for (size_t k = 0; k < 3; ++k)
        color[k] = std::stoi(text.substr(1 + 2 * k, 2), nullptr, 16) / 255.0;
    return color;
}

/// Taken first, then tinted, then hidden.
BakedParts edited(const Arguments& arguments, const SavedBaked& saved) {
    const auto names = names_of(saved.scene);
    auto parts = saved.avatar->parts();
    if (!arguments.take.empty()) {
        const auto other = open_baked(arguments.from);
        if (names_of(other.scene) != names)
            throw Error(fmt::format("{}: its classes are not those of {}", arguments.from,
                                    arguments.avatar));
        parts = take_classes(parts, other.avatar->parts(), classes_of(arguments.take, names));
    }
    for (const auto& word : arguments.tint) {
        const auto at = word.rfind('=');
        if (at == std::string::npos)
            throw Error(fmt::format("--tint: expected CLASS=#rrggbb, got '{}'", word));
        parts =
            tint_class(parts, find_class(word.substr(0, at), names), color_of(word.substr(at + 1)));
    }
    if (!arguments.hide.empty()) parts = hide_classes(parts, classes_of(arguments.hide, names));
    return parts;
}

int run_program(const Arguments& arguments) {
    if (arguments.hide.empty() && arguments.tint.empty() && arguments.take.empty())
        throw Error("expected something to do: --hide, --tint or --take");
    check_baked_place(arguments.out);
    const auto saved = open_baked(arguments.avatar);
    save_baked(arguments.out, BakedAvatar(edited(arguments, saved)), saved.scene);
    say(fmt::format("{}\n", arguments.out));
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "Changes a baked avatar by the classes of its surfels. Classes are named as in the labels "
        "(\"Upper Clothing\" or upper_clothing) or by number. What is taken comes first, then "
        "tints, then what is hidden.");
    Arguments a;
    app.add_option("avatar", a.avatar, "a baked avatar")->required();
    app.add_option("--hide", a.hide, "classes that become transparent");
    app.add_option("--tint", a.tint, "CLASS=#rrggbb: the mean colour of a class");
    auto* take = app.add_option("--take", a.take, "classes that are taken from another avatar");
    auto* from = app.add_option("--from", a.from, "that avatar, baked, of the same template");
    take->needs(from);
    from->needs(take);
    app.add_option("--out", a.out, "the file to write; an earlier baked avatar is replaced")
        ->required();
    CLI11_PARSE(app, argc, argv);
    return guarded([&] { return run_program(a); });
}
