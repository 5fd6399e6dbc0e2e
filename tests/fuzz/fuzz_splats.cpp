/// Splat files, and the meshes of PLY files.
#include <fmgs/core/io/body_file.h>
#include <fmgs/core/io/splat_file.h>

#include "target.h"

using namespace fmgs;

void read_input(const uint8_t* data, size_t size) {
    const InputFile file(data, size);
    try {
        read_ply(file.path());
    } catch (const Error&) {  // Gaussians have no faces
    }
    read_splats(file.path());
}
