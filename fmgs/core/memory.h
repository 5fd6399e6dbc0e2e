#pragma once
/// What memory the machine has left, so that too much is said before it is taken.
#include <string>

namespace fmgs {

/// Bytes that this process can still take: the least of what the system has available, of what its
/// control group allows and of its own limit of address space. Infinity where none of them is
/// known.
double free_memory();

/// "8.8 GB", "12 MB".
std::string memory_text(double bytes);

/// Error "`what`: takes about 8.8 GB of memory, 3.0 GB are free; `cure`" when it is more than
/// free_memory().
void check_memory(double bytes, const std::string& what, const std::string& cure);

}  // namespace fmgs
