#pragma once
/// Questions about an option.
#include <fmgs/core/config/config.h>

namespace fmgs::detail {

/// Are all numbers of this field in its range? True for what is no number.
bool in_range(const OptionNode& field);

}  // namespace fmgs::detail
