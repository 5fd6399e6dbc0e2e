#include <fmgs/core/check.h>
#include <fmgs/data/fits/arrays.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace fmgs::detail {

std::string stem_of(const std::string& path) {
    const auto slash = path.find_last_of("/\\");
    const auto name = slash == path.npos ? path : path.substr(slash + 1);
    return std::filesystem::path(name).stem().string();
}

int64_t number_in(const std::string& name, int64_t otherwise) {
    const auto last = name.find_last_of("0123456789");
    if (last == name.npos) return otherwise;
    auto first = last;
    while (first > 0 && name[first - 1] >= '0' && name[first - 1] <= '9') --first;
    if (last - first >= 15) return otherwise;
    return std::stoll(name.substr(first, last - first + 1));
}

namespace {

// Rows without a person's name get one: that of the nearest row of the frame before which is within
// a metre and not taken yet, else a new one. Returns how many persons there are.
int64_t link_by_place(std::vector<Row>& rows) {
    std::vector<torch::Tensor> last;  // per person
    int64_t frame = 0;
    std::vector<bool> taken;
    for (auto& row : rows) {
        if (last.empty() || row.frame != frame) taken.assign(last.size(), false);
        frame = row.frame;
        const auto place = row.transl.defined() ? row.transl : torch::zeros({3}, torch::kDouble);
        size_t best = last.size();
        double nearest = 1;
        for (size_t k = 0; k < last.size(); ++k) {
            const double distance = taken[k] ? 1 : (place - last[k]).norm().item<double>();
            if (distance < nearest) nearest = distance, best = k;
        }
        if (best == last.size()) {
            last.emplace_back();
            taken.push_back(true);
        }
        last[best] = place;
        taken[best] = true;
        row.person = std::to_string(best);
    }
    return static_cast<int64_t>(last.size());
}

// All defined, or none: what only some rows have is of no use.
torch::Tensor stacked(const std::vector<const Row*>& rows, torch::Tensor Row::*member,
                      const std::string& what, const char* name) {
    std::vector<torch::Tensor> all;
    for (const Row* row : rows) {
        if ((row->*member).defined()) all.push_back(row->*member);
    }
    if (all.empty()) return {};
    if (all.size() != rows.size())
        throw Error(fmt::format("{}: expected {} in all of {} frames, got them in {}", what, name,
                                rows.size(), all.size()));
    for (const auto& x : all) {
        if (x.sizes() != all.front().sizes())
            throw Error(fmt::format("{}: {}: expected the same size in all frames, got {} and {}",
                                    what, name, shape_text(all.front().sizes()),
                                    shape_text(x.sizes())));
    }
    return torch::stack(all);
}

Track track_of(const std::string& person, const std::vector<const Row*>& rows,
               const std::string& what) {
    Track out;
    out.person = person;
    out.rotations = stacked(rows, &Row::rotations, what, "rotations");
    out.transl = stacked(rows, &Row::transl, what, "translations");
    out.betas = stacked(rows, &Row::betas, what, "betas");
    out.expression = stacked(rows, &Row::expression, what, "expressions");
    out.intrinsics = stacked(rows, &Row::intrinsics, what, "intrinsics");
    out.extrinsic = stacked(rows, &Row::extrinsic, what, "extrinsics");
    out.width = rows.front()->width;
    out.height = rows.front()->height;
    for (const Row* row : rows) {
        out.frames.push_back(row->frame);
        out.names.push_back(row->name);
    }
    if (std::all_of(out.names.begin(), out.names.end(), [](const auto& n) { return n.empty(); }))
        out.names.clear();
    return out;
}

}  // namespace

std::vector<Track> tracks_of(std::vector<Row> rows, const std::string& what,
                             std::vector<std::string>& notes) {
    std::stable_sort(rows.begin(), rows.end(),
                     [](const Row& a, const Row& b) { return a.frame < b.frame; });
    const bool anonymous =
        std::any_of(rows.begin(), rows.end(), [](const Row& row) { return row.person.empty(); });
    if (anonymous && link_by_place(rows) > 1)
        notes.push_back(
            "persons are told apart by where they are, since the file does not name "
            "them");
    std::vector<std::string> order;
    std::map<std::string, std::vector<const Row*>> people;
    for (const auto& row : rows) {
        auto& of_person = people[row.person];
        if (of_person.empty()) order.push_back(row.person);
        if (!of_person.empty() && of_person.back()->frame == row.frame)
            throw Error(fmt::format("{}: frame {}: expected person {} once, got it twice", what,
                                    row.frame, row.person));
        of_person.push_back(&row);
    }
    std::vector<Track> out;
    for (const auto& person : order) out.push_back(track_of(person, people[person], what));
    return out;
}

}  // namespace fmgs::detail
