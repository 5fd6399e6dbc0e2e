#include <fmgs/core/names.h>

#include <fmgs/core/check.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace fmgs {
namespace {

constexpr size_t kLongestName = 64;

// Maps, columns of the routing table, and what the programs write beside them.
constexpr std::array kReserved = {
    "color", "alpha",   "depth",    "normal", "mask",       "target", "position", "rotation",
    "scale", "opacity", "skinning", "latent", "everything", "step",   "loss",     "psnr"};

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_plain(char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-'; }

}  // namespace

void check_name(const std::string& kind, const std::string& name) {
    if (name.empty() || name.size() > kLongestName || !is_letter(name[0]) ||
        !std::all_of(name.begin(), name.end(), is_plain)) {
        throw Error(
            fmt::format("{} '{}': a name has 1 to {} letters, digits, '_' and '-', a letter first",
                        kind, name.substr(0, 2 * kLongestName), kLongestName));
    }
    if (std::find(kReserved.begin(), kReserved.end(), std::string_view(name)) != kReserved.end()) {
        throw Error(
            fmt::format("{} '{}': the word has a meaning already, as have {}; take another name",
                        kind, name, fmt::join(kReserved, ", ")));
    }
}

void check_known(const std::string& where, const std::string& kind, const std::string& name,
                 const std::vector<std::string>& known) {
    if (std::find(known.begin(), known.end(), name) != known.end()) return;
    if (known.empty()) throw Error(fmt::format("{}: there is no {} '{}'", where, kind, name));
    const auto nearest = std::min_element(known.begin(), known.end(), [&](auto& a, auto& b) {
        return detail::edit_distance(name, a) < detail::edit_distance(name, b);
    });
    throw Error(fmt::format("{}: there is no {} '{}'; the nearest is '{}'; there are {}", where,
                            kind, name, *nearest, fmt::join(known, ", ")));
}

size_t detail::edit_distance(const std::string& a, const std::string& b) {
    std::vector<size_t> row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            const size_t best =
                std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row.back();
}

}  // namespace fmgs
