#pragma once
/// A body in other clothes: its skeleton under a template of one's own.
#include <fmgs/core/body_model.h>
#include <fmgs/core/config/range.h>
#include <fmgs/core/diffuse.h>
#include <fmgs/core/template_offsets.h>

namespace fmgs {

struct TemplateOptions {
    std::string type = "body";
    std::string file;
    int64_t resolution = 64;
    TemplateOffsetsOptions offsets = {};

    template <class V>
    void visit(V& v) {
        v("type", type,
          "body: the body's own mesh; mesh: one of your own, avatar.template.file; offsets: the "
          "body's, its vertices fitted to the training frames before training");
        v.path("file", file,
               "a mesh that stands in the body's canonical pose, metres (.obj, .ply); empty: "
               "template.obj in the folder of the capture");
        v("resolution", resolution, Range::of(8, 256),
          "nodes along each axis of the volume that carries skinning weights to it");
        v.group("offsets", offsets);
    }
};

/// The body with `canonical` in the place of its template: same joints and bones, the mesh's own
/// vertices and faces, and the body's skinning weights carried to them by diffusion
/// (core/diffuse.h), which reaches what hangs far off the body. The mesh stands in the body's
/// canonical pose; there it is the new body's canonical() again. Shape and pose directions are of
/// the old vertices and are left out. Error: a mesh that is no mesh, that does not stand where the
/// body stands, or that is of another size.
BodyModel with_template(const BodyModelImpl& body, const Mesh& canonical,
                        const DiffusionOptions& options = {});

/// The body with `canonical` [V,3] in the place of its template's vertices in the canonical pose,
/// metres: where they go, everything else of the body stays, skinning weights, joints and faces
/// included.
BodyModel with_vertices(const BodyModelImpl& body, const torch::Tensor& canonical);

/// The body with the template that the options name; that of type offsets begins as the body's own.
/// Error: an unknown type, no file or one too many, what read_mesh() and with_template() refuse.
BodyModel with_template(const BodyModel& body, const TemplateOptions& options);

}  // namespace fmgs
