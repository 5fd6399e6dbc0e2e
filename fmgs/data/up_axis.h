#pragma once
/// Which way is up in a motion, told by the person's spine.
#include <fmgs/core/types.h>

#include <string>

namespace fmgs {

struct UpAxis {
    torch::Tensor up;           ///< [3] unit, one of ±x, ±y, ±z
    std::string name;           ///< "y", "-y", …
    std::string how;            ///< "by the spine", "by the file, as by the spine", …
    bool contradicted = false;  ///< whether the file says otherwise and was not followed
};

/// The axis that the spine follows on average over all poses. `stated`: what the file says or its
/// kind implies, "y", "z", "-y" or empty. The spine decides against it when on average it keeps
/// within 45 degrees of ±y or ±z, which worlds have up; a person who lies, or turns over, tells
/// nothing, and then what is stated holds. SMPL's joints; a body of fewer than SMPL's spine is told
/// by its root.
UpAxis find_up(const std::vector<BodyPose>& poses, const std::string& stated);

}  // namespace fmgs
