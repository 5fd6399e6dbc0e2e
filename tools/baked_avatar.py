#!/usr/bin/env python3
"""Reads a baked avatar, poses its points and repaints a class: NumPy and safetensors alone (docs/python.md).

    baked_avatar.py BAKED OUT --label N --color r,g,b [--frame N --points FILE.npy]

Writes the avatar with the class in this colour (0 to 1), and the centres [N,3] of training frame N, world metres.
"""
import argparse

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file


def rotations(axis_angle):
    """[J,3] → [J,3,3], Rodrigues' formula."""
    angle = np.linalg.norm(axis_angle, axis=-1)[:, None, None]
    x, y, z = (axis_angle / np.maximum(angle[:, 0], 1e-12)).T
    k = np.stack([0 * x, -z, y, z, 0 * x, -x, -y, x, 0 * x], 1).reshape(-1, 3, 3)
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def posed_centers(t, axis_angle, translation):
    """Centres [N,3] of the surfels in a pose: linear in its rotations, then skinned by four bones (docs/checkpoints.md)."""
    local, joints, parents = rotations(axis_angle), t["body.joints"], t["body.parents"]
    code = t["projection"].T @ (local[1:] - np.eye(3)).ravel() + t["bias"]
    rows = t["mean"] + np.tensordot(code, t["components"], 1)
    offset = rows[:, :-8] * t["frame"][:, :, 2] if rows.shape[1] == 9 else rows[:, :3]
    bones = np.tile(np.eye(4), (len(joints), 1, 1))
    for j, parent in enumerate(parents):  # a parent comes before its children
        place = joints[j] + translation if parent < 0 else bones[parent, :3] @ np.append(joints[j], 1)
        bones[j, :3, :3] = local[j] if parent < 0 else bones[parent, :3, :3] @ local[j]
        bones[j, :3, 3] = place - bones[j, :3, :3] @ joints[j]
    blended = np.einsum("nb,nbij->nij", t["bone_weight"], (bones @ t["body.canonical_inverse"])[t["bone_index"]])
    return np.einsum("nij,nj->ni", blended[:, :3, :3], t["center"] + offset) + blended[:, :3, 3]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("baked", "out"):
        parser.add_argument(name)
    parser.add_argument("--label", required=True, type=int)
    parser.add_argument("--color", required=True, type=lambda s: np.array(s.split(","), np.float32))
    parser.add_argument("--frame", type=int, default=0)
    parser.add_argument("--points")
    a = parser.parse_args()
    with safe_open(a.baked, "np") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}
    avatar = {name.removeprefix("avatar."): x for name, x in tensors.items() if name.startswith("avatar.")}
    avatar["mean"][avatar["labels"] == a.label, -3:] = a.color
    if a.points:
        np.save(a.points, posed_centers(avatar, tensors["poses.axis_angle"][a.frame], tensors["poses.translation"][a.frame]))
    save_file(tensors, a.out, metadata)


if __name__ == "__main__":
    main()
