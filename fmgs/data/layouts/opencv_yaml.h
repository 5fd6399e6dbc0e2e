#pragma once
/// Matrices and names of the YAML that OpenCV's FileStorage writes, as EasyMocap uses it. No torch
/// inside.
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace fmgs {

struct OpencvYaml {
    std::string what;                                     ///< the file
    std::vector<std::string> names;                       ///< the list `names`
    std::map<std::string, std::vector<double>> matrices;  ///< by key, row by row
};

/// Error: a matrix with another count of numbers than rows × cols, no number where one is expected,
/// no names.
OpencvYaml parse_opencv_yaml(std::string_view text, const std::string& what);
OpencvYaml read_opencv_yaml(const std::filesystem::path& file);

}  // namespace fmgs
