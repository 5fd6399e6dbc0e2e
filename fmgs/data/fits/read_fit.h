#pragma once
/// From a file or a folder to what its layout says.
#include <fmgs/data/fits/fit.h>

namespace fmgs::detail {

/// Error: no layout recognises it; the message says what is inside and what is known.
Fit read_fit(const std::filesystem::path& path, const PoseFileOptions& options);
/// The same for what has been read already; `what` stands for the file's name.
Fit read_fit(const FitInput& input);

}  // namespace fmgs::detail
