#pragma once
/// What pages of one file are made of. Not public.
#include <map>
#include <string>

namespace fmgs::detail {

std::string base64(const std::string& bytes);
/// This JSON such that it may stand inside a script element: no '<' can end it.
std::string script_text(const std::string& json);
/// The frame with each {{name}} replaced by the part of this name.
std::string filled(const std::string& frame, const std::map<std::string, std::string>& parts);

}  // namespace fmgs::detail
