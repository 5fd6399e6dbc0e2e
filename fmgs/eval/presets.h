#pragma once
/// Pictures measured as published evaluators do, each with its quirks.
#include <fmgs/core/types.h>
#include <fmgs/eval/pictures.h>
#include <fmgs/eval/tables.h>
#include <fmgs/losses/lpips.h>

namespace fmgs {

/// How LPIPS is asked: through which network, and whether pictures in [0,1] are brought to [-1,1]
/// as the network expects.
struct LpipsUse {
    LpipsNetwork network = LpipsNetwork::vgg;
    bool scaled = true;
};

/// One evaluator: the table in presets.cpp.
struct Preset {
    enum class Psnr { joint, channels };    ///< of all channels together; mean of each one's
    enum class Region { whole, body_box };  ///< body_box: what is drawn outside is background
    enum class Background { black, white };
    enum class Values { float32, eight_bits };  ///< eight_bits: rounded to n/255 first

    const char* name;
    Psnr psnr;
    SsimOptions ssim;
    std::vector<LpipsUse> lpips;  ///< the first is "lpips", a second "lpips_alex"
    Region region;
    /// Side of the square in which LPIPS sees the person, pixels; 0: LPIPS sees what PSNR sees. It
    /// is the box of the true mask and 50 pixels around it, white where it is not square, resized
    /// bilinearly.
    int64_t person_crop;
    Background background;
    Values values;
    /// Each channel of the picture is first multiplied by the factor that brings it closest to the
    /// true one inside the mask: of an albedo times a light the scale is not known. Adds
    /// psnr_person.
    bool channels_fitted = false;
};

/// All presets; the first, "clean", is how this library measures where nothing else is said.
const std::vector<Preset>& presets();
/// Error naming the nearest when there is none.
const Preset& preset(const std::string& name);
/// One line: what the preset does.
std::string describe(const Preset& preset);

/// The networks that there are; an empty one leaves its metric out.
struct LpipsNetworks {
    Lpips vgg{nullptr}, alex{nullptr};
    const Lpips& of(LpipsNetwork network) const {
        return network == LpipsNetwork::vgg ? vgg : alex;
    }
};

/// Rendered color and alpha, true color and mask, all on black; and where the body's box is.
struct Compared {
    torch::Tensor color, alpha;      ///< [3,H,W], [1,H,W] in [0,1]
    torch::Tensor true_color, mask;  ///< [3,H,W], [1,H,W] in [0,1]
    torch::Tensor body_box;          ///< [H,W] bool (projected_box)
};
/// psnr, ssim and those of lpips that there are networks for, by these names. Error: a picture that
/// is too small for a window or a network.
MetricValues measure(const Preset& preset, const Compared& pictures,
                     const LpipsNetworks& networks = {});

/// Where the box around points [V,3] (world, metres), 5 cm wider on every side, is seen: the convex
/// hull of its eight projected corners, [H,W] bool. Everywhere when a corner is behind the camera.
torch::Tensor projected_box(const Camera& camera, const torch::Tensor& points);

}  // namespace fmgs
