#pragma once
/// Canonical surfels, their pose, and what a gradient may reach (eqs. 10–12 and the coordinated
/// strategy of §4.5).
#include <fmgs/core/types.h>

#include <functional>
#include <set>

namespace fmgs {

/// The attributes of the *observed* surfel that a loss may move. `position` is μ_o: μ′, and T = Σ
/// w_b B_b where it moves the centre. `rotation` is R_o: R′, and T where it turns tangents and
/// normal. `skinning` opens T (weights and bones), and only together with position: the weights are
/// w(μ′), so what moves them moves μ′. `features` names columns such as "color", "semantic",
/// "semantic.latent".
struct Reach {
    bool position = false;
    bool rotation = false;
    bool scale = false;
    bool opacity = false;
    bool skinning = false;
    bool all_features = false;
    std::set<std::string> features;

    static Reach everything();
    static Reach nothing() { return {}; }
    /// From column names: those of fixed_columns(); any other word is a feature, which the
    /// Objective looks up among those of its surfels. Error as in check().
    static Reach of(const std::vector<std::string>& columns);
    /// position, rotation, scale, opacity, skinning, everything.
    static std::vector<std::string> fixed_columns();
    /// Error when skinning is open and position is not.
    void check() const;

    bool feature(const std::string& name) const { return all_features || features.count(name) > 0; }
    /// Is no geometry column open?
    bool features_only() const { return !position && !rotation && !scale && !opacity; }
    /// Do two reaches agree on all geometry columns? Then their losses can share a route.
    bool same_geometry(const Reach& other) const;
};

/// Makes the map of a feature, pixel by pixel, of what is drawn: `own` [C,H,W], the feature's
/// channels Σ w f (undefined when the surfels have no such feature), and of `drawn` alpha [1,H,W]
/// and normal [3,H,W] (camera frame). Returns [K,H,W] on black. What is not `open` takes no
/// gradient beyond these maps.
using PixelShader = std::function<torch::Tensor(const torch::Tensor& own, const Maps& drawn,
                                                const Camera& camera, bool open)>;
using PixelShaders = std::vector<std::pair<std::string, PixelShader>>;
/// The same shader, never open.
PixelShader closed(PixelShader shader);

/// Surfels in the observed (world) frame, ready to render.
struct PosedSurfels {
    torch::Tensor center;  ///< [N,3] μ_o, metres
    torch::Tensor tangents;  ///< [N,3,2] scaled: columns a = s_u·T₃·t_u and b = s_v·T₃·t_v, metres
    torch::Tensor normal;   ///< [N,3] unit, T₃t_u × T₃t_v
    torch::Tensor opacity;  ///< [N,1] in (0,1)
    Maps features;          ///< name → [N,C]
    /// [N,4,4] T (eq. 10); carries a gradient where both position and rotation are open
    torch::Tensor transform{};
    double far_side = 1;           ///< as in Surfels
    bool mip = false;              ///< as in Surfels
    PixelShaders pixel_shaders{};  ///< as in Surfels
};

struct Surfels;
/// A feature [N,C] that depends on the posed surfel. Both arguments are cut by the reach at which
/// the surfels are posed; the posed ones have no features yet.
using Shader = std::function<torch::Tensor(const Surfels& canonical, const PosedSurfels& posed)>;

/// Surfels in the canonical pose with everything needed to pose them; differentiable.
struct Surfels {
    torch::Tensor position;  ///< [N,3] μ′ (eq. 4), metres
    torch::Tensor rotation;  ///< [N,3,3] R′ (eq. 6), columns t_u, t_v, t_w
    torch::Tensor scale;     ///< [N,2] s′ (eq. 5), metres
    torch::Tensor opacity;   ///< [N,1] in (0,1)
    torch::Tensor skinning;  ///< [N,J] w (eq. 9), rows sum to one
    torch::Tensor bones;     ///< [J,4,4] B, canonical → observed
    Maps features;           ///< name → [N,C]: color, semantic, …
    Maps latents;            ///< name → [N,32]: the features sampled from a modality's volume
    /// Further features by name, evaluated by posed(): once for each reach, so that a shader moves
    /// the surfel only as far as that reach allows.
    std::vector<std::pair<std::string, Shader>> shaded{};
    /// Maps that are made of those that are drawn (deferred shading), by the name of their feature.
    PixelShaders pixel_shaders{};
    /// Share of its opacity that a surfel keeps in depth and normal maps where its normal points
    /// away from the camera: the far side of a closed body, which shines through otherwise. In
    /// (0,1]; 1 where surfels have no inside.
    double far_side = 1;
    /// Does the low-pass of the renderer keep what a surfel adds up to (Mip-Splatting's 2D Mip
    /// filter)? If not (2DGS), surfels that are seen edge-on or from afar grow by it.
    bool mip = false;
    /// What the fields were given, so that colour can be found again for another camera: Z_p [16]
    /// and z_g [N,16]; undefined for surfels without an avatar.
    torch::Tensor pose_code{}, geometry_code{};

    int64_t size() const { return position.size(0); }
    /// The same values, with every attribute outside `reach` cut off from the gradient.
    Surfels restricted(const Reach& reach) const;
    /// Forward skinning (eqs. 10–12), and the features: the plain and the shaded. Every value is
    /// the same whatever the reach; only gradients differ.
    PosedSurfels posed(const Reach& reach = Reach::everything()) const;
};

/// The same feature columns (those of surfels, as in posed().features), each cut off from the
/// gradient unless reach.feature(name).
Maps restricted(const Maps& features, const Reach& reach);

/// T = Σ_b w_b B_b (eq. 10). skinning: [N,J]; bones: [J,4,4]. Returns [N,4,4].
torch::Tensor blend_bones(const torch::Tensor& skinning, const torch::Tensor& bones);

}  // namespace fmgs
