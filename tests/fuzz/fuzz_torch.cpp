/// What torch.save writes, zip or not, as values.
#include "mend.h"
#include "values.h"

void read_input(const uint8_t* data, size_t size) {
    std::vector<uint8_t> zip(data, data + size);
    mend_checksums(zip);
    read_value_input(zip.data(), zip.size());
}
