/// JSON, as values.
#include "values.h"

void read_input(const uint8_t* data, size_t size) { read_value_input(data, size); }
