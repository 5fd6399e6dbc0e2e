#pragma once
/// A sequence of pictures of several maps on one sheet.
#include <torch/types.h>

#include <string>
#include <utility>
#include <vector>

namespace fmgs {

/// Maps as pictures [3,H,W] in [0,1], by name.
using NamedPictures = std::vector<std::pair<std::string, torch::Tensor>>;

/// A row for each map and a column for each of at most kMost pictures, evenly spread over the
/// sequence and the first among them, with the map's name beside the row and the picture's number
/// above the column. Pictures are made smaller, to kLongest pixels at most, and cut to what is
/// drawn in any of them.
class Grid {
  public:
    static constexpr int64_t kMost = 8, kLongest = 480;

    /// Of a sequence of `count` pictures.
    explicit Grid(int64_t count) : count_(count) {}
    /// Adds picture k, in ascending order, unless it has no column; all come with the same maps.
    /// alpha: [1,H,W].
    void add(int64_t k, const NamedPictures& maps, const torch::Tensor& alpha);
    /// The sheet, [3,H',W']. Error when nothing was added.
    torch::Tensor picture() const;

  private:
    struct Column {
        int64_t number;
        NamedPictures maps;
        torch::Tensor drawn;  // [1,H,W] bool
    };

    int64_t count_;
    std::vector<Column> columns_;
};

}  // namespace fmgs
