#pragma once
/// Whole files that are compressed by zlib or gzip. Not public.
#include <string>
#include <string_view>

namespace fmgs::detail {

/// What the bytes unpack to (RFC 1950 or 1952). Memory grows with what really comes out. Error,
/// with `what` in front, when they are damaged or cut off, or unpack to more than 2 GiB or the
/// memory that is free.
std::string inflated(std::string_view bytes, const std::string& what);

}  // namespace fmgs::detail
