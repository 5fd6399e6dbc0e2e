#include <fmgs/run/grid.h>

#include <fmgs/core/check.h>
#include <fmgs/data/picture_text.h>
#include <fmgs/data/priors.h>
#include <fmgs/eval/sheet.h>
#include <fmt/format.h>

#include <algorithm>

namespace fmgs {

namespace {

constexpr int64_t kMargin = 4;  // pixels around the person

/// [C,H,W] in the top left of zeros, at least this large.
torch::Tensor padded(const torch::Tensor& x, int64_t height, int64_t width) {
    return torch::constant_pad_nd(x, {0, std::max<int64_t>(0, width - x.size(2)), 0,
                                      std::max<int64_t>(0, height - x.size(1))});
}

int64_t widest(const std::vector<torch::Tensor>& pictures) {
    int64_t width = 0;
    for (const auto& picture : pictures) width = std::max(width, picture.size(2));
    return width;
}

}  // namespace

void Grid::add(int64_t k, const NamedPictures& maps, const torch::Tensor& alpha) {
    // Column i of `most` shows picture ⌊i·count/most⌋.
    const int64_t most = std::min(count_, kMost), i = (k * most + count_ - 1) / count_;
    if (i >= most || i * count_ / most != k) return;
    check_shape(alpha, {1, -1, -1}, "alpha");
    const int64_t longest = std::max(alpha.size(1), alpha.size(2));
    const int64_t block = (longest + kLongest - 1) / kLongest;
    Column column{k, {}, shrink_area(alpha, block) > 0.5};
    for (const auto& [name, picture] : maps)
        column.maps.emplace_back(name, shrink_area(picture, block));
    columns_.push_back(std::move(column));
}

torch::Tensor Grid::picture() const {
    if (columns_.empty()) throw Error("grid: expected at least one picture, got none");
    int64_t height = 0, width = 0;
    for (const auto& column : columns_) {
        height = std::max(height, column.drawn.size(1));
        width = std::max(width, column.drawn.size(2));
    }
    auto drawn = torch::zeros({height, width}, torch::kBool);
    std::vector<torch::Tensor> names, numbers;
    for (const auto& column : columns_) {
        drawn.logical_or_(padded(column.drawn, height, width)[0]);
        numbers.push_back(text_picture(fmt::format("{}", column.number)));
    }
    for (const auto& [name, picture] : columns_.front().maps) names.push_back(text_picture(name));
    const auto [top, bottom] = extent(drawn.any(1), kMargin);
    const auto [left, right] = extent(drawn.any(0), kMargin);
    const int64_t cell = std::max(right - left, widest(numbers)), label = widest(names);

    std::vector<torch::Tensor> row = {torch::zeros({3, numbers[0].size(1), label})}, rows;
    for (const auto& number : numbers) row.push_back(padded(number, 0, cell));
    rows.push_back(beside(row));
    for (size_t m = 0; m < names.size(); ++m) {
        row = {padded(names[m], bottom - top, label)};
        for (const auto& column : columns_) {
            const auto whole = padded(column.maps.at(m).second, height, width);
            row.push_back(padded(whole.slice(1, top, bottom).slice(2, left, right), 0, cell));
        }
        rows.push_back(beside(row));
    }
    return below(rows);
}

}  // namespace fmgs
