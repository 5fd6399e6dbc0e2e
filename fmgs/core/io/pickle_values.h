#pragma once
/// Pickles as values. Not public.
#include <fmgs/core/io/pickle.h>
#include <fmgs/core/io/value.h>

#include <optional>

namespace fmgs::detail {

/// The values that a pickle's nodes mean. Arrays that a few bytes blow up (sparse matrices, one
/// block of bytes that is taken many times) are held against a budget.
class PickleValues {
  public:
    /// `tensor`: the array of an object that torch makes; none where the file is no archive of
    /// torch. `input`: bytes of the file.
    using Tensor = std::function<NpyArray(NodeId)>;
    PickleValues(const Pickle& pickle, uint64_t input, Tensor tensor = {});

    /// Error when anything in the pickle is no data.
    Value root();
    /// Error once more has been made than the file can account for.
    void charge(double bytes);

  private:
    Value value(NodeId id);
    Value made(NodeId id);
    Value list_of(const std::vector<NodeId>& items);
    Value dictionary(const std::vector<NodeId>& pairs, const std::vector<NodeId>& items,
                     size_t from);
    Value object(NodeId id);
    Value data_object(NodeId id, Global global);
    Value mapping(NodeId id);
    Value sequence(NodeId id);
    Value path(NodeId id);
    Value ndarray(NodeId id);
    Value scalar(NodeId id);
    Value from_buffer(NodeId id);
    Value joblib(NodeId id);
    Value csc_matrix(NodeId id);
    Value chumpy(NodeId id);
    Value select(NodeId id);
    Value array_value(const std::string& descr, const std::vector<int64_t>& shape,
                      bool fortran_order, std::string_view bytes);
    Value objects(NodeId list, const std::vector<int64_t>& shape);
    NpyArray array_of_node(NodeId id, const char* name);
    [[noreturn]] void fail(const std::string& problem) const;

    const Pickle& pickle_;
    Tensor tensor_;
    double budget_;
    std::vector<Value> done_;       // by PickleNode::parts
    std::vector<uint64_t> weight_;  // values below, each counted as often as it is met; 0: not yet
    uint64_t met_ = 0;
    int depth_ = 0;
};

/// Text where it is an array of no dimensions that holds text.
Value array_or_text(NpyArray array);

/// The value of a whole pickle.
Value pickle_value(std::string_view bytes, const std::string& what);

}  // namespace fmgs::detail
