#pragma once
/// Questions about an option.
#include <fmgs/core/config/config.h>

namespace fmgs::detail {

/// "path.key"; the key alone where there is no path.
std::string join(const std::string& path, const std::string& key);

/// Are all numbers of this field in its range? True for what is no number.
bool in_range(const OptionNode& field);

}  // namespace fmgs::detail
