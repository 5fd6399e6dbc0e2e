/// Body files, up to the canonical mesh. Checksums of stored members are put right first: a
/// mutation would rarely get past.
#include <fmgs/core/body_model.h>
#include <torch/types.h>

#include "mend.h"
#include "target.h"

using namespace fmgs;

void read_input(const uint8_t* data, size_t size) {
    std::vector<uint8_t> zip(data, data + size);
    mend_checksums(zip);
    const InputFile file(zip.data(), zip.size());
    const BodyModel body(read_body(file.path()), torch::Tensor());
    const auto mesh = body->canonical();
    if (mesh.vertices.size(0) != body->weights().size(0))
        throw std::logic_error("a mesh of another size than its body");
}
