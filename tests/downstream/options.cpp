// A few options named, the others at their defaults: no warning at -Wextra.
#include <fmgs/fmgs.h>

int main() {
    const fmgs::AvatarOptions avatar{.subdivisions = 1};
    const fmgs::HashGridOptions grid{.levels = 4};
    const fmgs::AppearanceFieldOptions appearance{.volume = grid};
    const fmgs::ObjectiveOptions objective{.routing = "strict"};
    const fmgs::Random random{.seed = 1};
    return avatar.subdivisions == 1 && appearance.volume.levels == 4 && random.seed == 1 &&
                   objective.routing == "strict"
               ? 0
               : 1;
}
