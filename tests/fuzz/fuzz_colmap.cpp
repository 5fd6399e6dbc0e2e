/// COLMAP's models and OpenCV's YAML: the first byte says which of them the rest is.
#include <fmgs/data/layouts/colmap_file.h>
#include <fmgs/data/layouts/opencv_yaml.h>

#include "target.h"

using namespace fmgs;

void read_input(const uint8_t* data, size_t size) {
    if (size == 0) throw Error("nothing");
    const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0]) {
        case 'c':
            parse_colmap_cameras(rest, true, "input");
            break;
        case 'C':
            parse_colmap_cameras(rest, false, "input");
            break;
        case 'i':
            parse_colmap_images(rest, true, "input");
            break;
        case 'I':
            parse_colmap_images(rest, false, "input");
            break;
        default:
            parse_opencv_yaml(rest, "input");
    }
}
