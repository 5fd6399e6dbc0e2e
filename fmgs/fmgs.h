#pragma once
/// Everything of fmgs::fmgs: core, fields, raster, avatar, losses. The file formats of fmgs::data
/// are included one by one.
#include <fmgs/avatar.h>
#include <fmgs/core/body_model.h>
#include <fmgs/core/check.h>
#include <fmgs/core/mesh.h>
#include <fmgs/core/npz.h>
#include <fmgs/core/random.h>
#include <fmgs/core/rotation.h>
#include <fmgs/core/schedule.h>
#include <fmgs/core/surfel_set.h>
#include <fmgs/core/surfels.h>
#include <fmgs/core/types.h>
#include <fmgs/fields/appearance_field.h>
#include <fmgs/fields/feature_field.h>
#include <fmgs/fields/geometry_field.h>
#include <fmgs/fields/hash_grid.h>
#include <fmgs/fields/mlp.h>
#include <fmgs/fields/pose_encoder.h>
#include <fmgs/fields/pose_table.h>
#include <fmgs/fields/skinning_field.h>
#include <fmgs/losses/loss.h>
#include <fmgs/losses/objective.h>
#include <fmgs/raster/rasterize.h>
#include <fmgs/raster/render.h>
