#pragma once
/// The readers of single containers behind read_value. Errors have `what` (the path) in front. Not
/// public.
#include <fmgs/core/io/value.h>
#include <fmgs/core/io/zip.h>

#include <string_view>

namespace fmgs::detail {

Value json_value(std::string_view text, const std::string& what);
/// An archive that torch.save wrote.
bool is_torch_archive(const Zip& zip);
Value torch_value(const Zip& zip);
/// The form before torch 1.6.
bool is_old_torch(std::string_view bytes);
Value old_torch_value(std::string_view bytes, const std::string& what);

}  // namespace fmgs::detail
