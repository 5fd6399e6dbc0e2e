#pragma once
/// Looks into all of a value, as its readers do.
#include <fmgs/core/io/value.h>

#include "target.h"

/// Error where a part is refused when it is looked into; std::logic_error when an array's bytes do
/// not go with what it says of itself.
inline void look_into(const fmgs::Value& value, int64_t& left) {
    if (--left < 0) return;
    static_cast<void>(value.description());
    static_cast<void>(value.keys());
    if (value.is_dict()) {
        for (const auto& [key, entry] : value.dict()) {
            look_into(key, left);
            look_into(entry, left);
        }
        return;
    }
    if (value.is_none()) return;
    if (value.is_list())
        for (const auto& item : value.list()) look_into(item, left);
    const auto shape = value.shape();
    const auto array = value.array();
    if (array.shape != shape) throw std::logic_error("an array of another shape than was said");
    if (array.dtype[0] == 'U' || array.dtype[0] == 'S')
        static_cast<void>(array.strings());
    else
        static_cast<void>(array.tensor());
}

inline void read_value_input(const uint8_t* data, size_t size) {
    int64_t left = 10000;
    const auto value =
        fmgs::parse_value(std::string(reinterpret_cast<const char*>(data), size), "input");
    try {
        look_into(value, left);
    } catch (const fmgs::Error&) {  // lists of words and numbers are no arrays; the file is read
    }
}
