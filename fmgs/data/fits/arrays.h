#pragma once
/// Arrays of a file, checked: shapes before anything is unpacked, then that all is finite.
#include <fmgs/data/fits/fit.h>
#include <fmgs/data/fits/numbers.h>

namespace fmgs::detail {

/// The first of these keys that the dictionary has, or null.
const char* first_key(const Value& value, std::initializer_list<const char*> keys);

/// The sizes of an array or of nested lists; empty for anything else.
std::vector<int64_t> sizes_of(const Value& value);

/// A dictionary of a file and what messages call it.
class Arrays {
  public:
    Arrays(const Value& value, std::string what) : value_(value), what_(std::move(what)) {}

    const std::string& what() const { return what_; }
    const Value& value() const { return value_; }
    bool has(const char* key) const { return value_.contains(key); }
    /// The array as double, all finite. -1 stands for any size; ones in front may be missing or too
    /// many, as in [1,10] for [10].
    torch::Tensor numbers(const char* key, std::initializer_list<int64_t> shape) const;
    /// The same, or undefined where there is no such key.
    torch::Tensor numbers_or_none(const char* key, std::initializer_list<int64_t> shape) const;
    /// [F,3J] axis-angle of [F,3J], [F,J,3] or rotation matrices [F,J,3,3]; without the F where
    /// `one` says that this is one frame.
    torch::Tensor rotations(const char* key, bool one = false) const;
    /// [B] or [F,B]; undefined where the key is missing
    torch::Tensor betas(const char* key) const;
    double number(const char* key) const;
    std::vector<int64_t> integers(const char* key) const;
    std::vector<std::string> texts(const char* key) const;

  private:
    torch::Tensor real(const char* key) const;

    const Value& value_;
    std::string what_;
};

/// Root [F,3] and the joints after it [F,3k] → [F,3(k+1)].
torch::Tensor joined_rotations(const torch::Tensor& root, const torch::Tensor& body,
                               const std::string& what);
/// Of the 22 joints that SMPL-X and SMPL-H share with SMPL.
constexpr int64_t kSharedColumns = 66;
/// Error unless `columns`, three per joint and the root among them, are those of SMPL (72), or of
/// its first 22 joints.
void check_smpl_columns(const torch::Tensor& rotations, const std::string& what);

/// What any file of rows may say beside its poses: fps, up_axis, frame_names, frame_ids.
void read_extras(const Arrays& in, Track& track, Fit& fit);

/// SMPL-X's joint 0 at zero betas, metres [3] (SMPL-X's neutral body).
torch::Tensor smplx_rest_root();

/// One person in one frame.
struct Row {
    std::string person;
    int64_t frame = 0;
    std::string name;
    torch::Tensor rotations;                  ///< [3J]
    torch::Tensor transl;                     ///< [3]; undefined: none
    torch::Tensor betas;                      ///< [B] or undefined
    torch::Tensor expression{};               ///< [E] or undefined
    torch::Tensor intrinsics{}, extrinsic{};  ///< [3,3], [4,4] or undefined
    int64_t width = 0, height = 0;
};
/// One track per person, in the order of the frames. Persons without a name are told apart by where
/// they are: each row goes on with the nearest person of the frame before, and a note says so.
std::vector<Track> tracks_of(std::vector<Row> rows, const std::string& what,
                             std::vector<std::string>& notes);

/// "a/b/000012.jpg" → "000012".
std::string stem_of(const std::string& path);
/// 12 of "image_0012"; `otherwise` of a name without a number.
int64_t number_in(const std::string& name, int64_t otherwise);

}  // namespace fmgs::detail
