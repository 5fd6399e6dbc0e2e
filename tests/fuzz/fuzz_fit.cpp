/// Poses in JSON: EasyMocap, HumanNeRF's metadata, and whatever else has the keys of a layout.
#include <fmgs/data/fits/checks.h>
#include <fmgs/data/fits/read_fit.h>

#include "target.h"

using namespace fmgs;

void read_input(const uint8_t* data, size_t size) {
    const PoseFileOptions options;
    const auto fit = fmgs::detail::read_fit(
        {"input", "input", parse_value({reinterpret_cast<const char*>(data), size}, "input"), false,
         options});
    fmgs::detail::check_track(fmgs::detail::choose_person(fit, -1, "input"), fit, "input");
}
