#include <fmt/format.h>

#include <string>

std::string words(double value) { return fmt::format("{:.2f} by fmt {}", value, FMT_VERSION); }
