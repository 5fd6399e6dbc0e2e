#pragma once
/// Entries of the files of layouts, with the checks that all of them need. Errors name file and
/// key.
#include <fmgs/core/io/value.h>

#include <initializer_list>

namespace fmgs {

/// A node of a data file, and how messages call it: "annots.npy: cams.K".
struct Fields {
    Value value;
    std::string what;

    explicit Fields(const std::filesystem::path& file)
        : value(read_value(file)), what(file.string()) {}
    Fields(Value node, std::string name) : value(std::move(node)), what(std::move(name)) {}

    bool has(std::string_view key) const { return value.contains(key); }
    /// The entry of this key. Error, which lists the keys, where there is none.
    Fields at(std::string_view key) const;
    /// Item i of a list, or of the first axis of an array. Error where there is none.
    Fields at(int64_t i) const;
    /// How many of these there are.
    int64_t size() const;

    /// This node as numbers, flat: [n] double, finite. Error unless n is one of `counts`; empty:
    /// any but 0.
    torch::Tensor numbers(std::initializer_list<int64_t> counts) const;
    torch::Tensor numbers(std::string_view key, std::initializer_list<int64_t> counts) const {
        return at(key).numbers(counts);
    }
    /// Undefined where there is no such key.
    torch::Tensor optional(std::string_view key, std::initializer_list<int64_t> counts) const {
        return has(key) ? numbers(key, counts) : torch::Tensor();
    }
    /// Axis-angles of joints, [3J] double, given as such or as rotation matrices: 3 or 9 numbers
    /// for each of `joints`.
    torch::Tensor angles(std::string_view key, int64_t joints) const;
    double number(std::string_view key) const { return numbers(key, {1}).item<double>(); }
    /// Of pixels: from 1 to 2^20.
    int64_t pixels(std::string_view key) const;
    std::string text() const;
    /// Of a list or an array of text.
    std::vector<std::string> strings() const;
};

}  // namespace fmgs
