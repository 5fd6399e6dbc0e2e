#!/usr/bin/env python3
"""Makes a capture with wrong poses of one with right ones: the errors of another subject's noisy fit are carried over.

    tools/make_noisy_poses.py CAPTURE OUT --clean CLEAN.npz --noisy NOISY.npz [--scale S]

CLEAN and NOISY are two pose files of the same frames (global_orient, body_pose, transl), such as the `poses` and
`poses_noisier` of a subject. The error of a row is, for each joint, R_noisy R_clean^T, and t_noisy - t_clean; row i of
CAPTURE's training poses takes that of row i (after the last row they begin again). A rotation becomes R_error R, a
translation t + t_error; betas stay. `--scale` multiplies the errors' angles and translations.

OUT is a folder with the same files: links to CAPTURE's, but for the training poses (poses/anim_nerf_train.npz,
poses/train.npz or poses.npz) and the rows of test_view/poses.npz that equal a training row, which are written anew.
Needs numpy alone.
"""
import argparse
import os
import pathlib
import sys

import numpy as np

TRAIN_POSES = ("poses/anim_nerf_train.npz", "poses/train.npz", "poses.npz")
POSE_KEYS = ("global_orient", "body_pose", "transl")


def rotation_of(axis_angle):
    """Rodrigues: [..., 3] radians -> [..., 3, 3]."""
    angle = np.linalg.norm(axis_angle, axis=-1)[..., None, None]
    axis = axis_angle / np.maximum(angle[..., 0], 1e-12)
    x, y, z = np.moveaxis(axis, -1, 0)
    zero = np.zeros_like(x)
    k = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(axis.shape[:-1] + (3, 3))
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * (k @ k)


def axis_angle_of(rotation):
    """The inverse of rotation_of, by way of a unit quaternion: right at 0 and at pi."""
    r = rotation
    trace = np.trace(r, axis1=-2, axis2=-1)
    squares = np.stack([trace] + [2 * r[..., i, i] - trace for i in range(3)], -1) + 1  # 4 q_i^2
    largest = squares.argmax(-1)
    skew = np.stack([r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]], -1)
    products = np.zeros(r.shape[:-2] + (4, 4))  # 4 q_i q_j
    products[..., 0, 1:] = products[..., 1:, 0] = skew
    for i in range(3):
        for j in range(3):
            products[..., i + 1, j + 1] = r[..., i, j] + r[..., j, i]
    for i in range(4):
        products[..., i, i] = squares[..., i]
    row = np.take_along_axis(products, largest[..., None, None], -2)[..., 0, :]
    q = row / np.linalg.norm(row, axis=-1, keepdims=True)
    q = np.where(q[..., :1] < 0, -q, q)
    sine = np.linalg.norm(q[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, q[..., :1])
    return np.where(sine > 1e-12, q[..., 1:] / np.maximum(sine, 1e-12) * angle, 2 * q[..., 1:])


def angles(poses):
    """The joints' axis-angle [F, J, 3], the root first, in double."""
    joined = np.concatenate([poses["global_orient"], poses["body_pose"]], -1).astype(np.float64)
    return joined.reshape(len(joined), -1, 3)


def read(file):
    with np.load(file) as z:
        poses = {key: z[key] for key in z.files}
    missing = [key for key in POSE_KEYS if key not in poses]
    if missing:
        sys.exit(f"{file}: expected {', '.join(POSE_KEYS)}; there is no {', '.join(missing)}")
    return poses


def errors_of(clean, noisy, scale):
    """Rotations [F, J, 3, 3] and translations [F, 3]."""
    if angles(clean).shape != angles(noisy).shape:
        sys.exit(f"the clean file has poses {angles(clean).shape}, the noisy one {angles(noisy).shape}")
    turn = rotation_of(angles(noisy)) @ np.swapaxes(rotation_of(angles(clean)), -1, -2)
    return rotation_of(scale * axis_angle_of(turn)), scale * (noisy["transl"] - clean["transl"].astype(np.float64))


def with_errors(poses, turn, shift, rows):
    """The poses of which row i takes the error `rows[i]`; none where that is negative."""
    out = dict(poses)
    changed = rows >= 0
    joints = angles(poses)
    if joints.shape[1] != turn.shape[1]:
        sys.exit(f"the capture's poses have {joints.shape[1]} joints, the errors {turn.shape[1]}")
    joints[changed] = axis_angle_of(turn[rows[changed]] @ rotation_of(joints[changed]))
    transl = poses["transl"].astype(np.float64)
    transl[changed] += shift[rows[changed]]
    flat = joints.reshape(len(joints), -1).astype(np.float32)
    for key, value in (("global_orient", flat[:, :3]), ("body_pose", flat[:, 3:]), ("transl", transl.astype(np.float32))):
        out[key] = np.where(changed[:, None], value, poses[key])
    return out


def rows_of(poses, train):
    """For each row of `poses` the equal row of `train`, or -1."""
    mine, theirs = (np.concatenate([p[key].astype(np.float64) for key in POSE_KEYS], -1) for p in (poses, train))
    away = np.abs(mine[:, None] - theirs[None]).max(-1)
    return np.where(away.min(-1) < 1e-6, away.argmin(-1), -1)


def link_all(source, target, left_out):
    """Links to every file of `source`, but for those of these names; folders that hold one are made."""
    target.mkdir(parents=True)
    for entry in sorted(source.iterdir()):
        inner = [name[len(entry.name) + 1:] for name in left_out if name.startswith(entry.name + "/")]
        if entry.is_dir() and inner:
            link_all(entry, target / entry.name, inner)
        elif entry.name not in left_out:
            os.symlink(entry.resolve(), target / entry.name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--clean", type=pathlib.Path, required=True)
    parser.add_argument("--noisy", type=pathlib.Path, required=True)
    parser.add_argument("--scale", type=float, default=1)
    given = parser.parse_args()
    if given.out.exists():
        sys.exit(f"{given.out}: is there already")
    names = [name for name in TRAIN_POSES if (given.capture / name).is_file()]
    if not names:
        sys.exit(f"{given.capture}: expected one of {', '.join(TRAIN_POSES)}")
    turn, shift = errors_of(read(given.clean), read(given.noisy), given.scale)
    train = read(given.capture / names[0])
    count = len(train["transl"])
    rows = np.arange(count) % len(shift)
    written = {names[0]: with_errors(train, turn, shift, rows)}
    views = given.capture / "test_view/poses.npz"
    if views.is_file():
        poses = read(views)
        same = rows_of(poses, train)
        written["test_view/poses.npz"] = with_errors(poses, turn, shift, np.where(same < 0, -1, rows[same]))
        print(f"{(same >= 0).sum()} of {len(same)} rows of test_view are training rows")
    link_all(given.capture, given.out, list(written))
    for name, poses in written.items():
        np.savez(given.out / name, **poses)
    degrees = np.degrees(np.linalg.norm(axis_angle_of(turn[rows]), axis=-1))
    print(f"{count} training rows: root {degrees[:, 0].mean():.2f}, joints {degrees[:, 1:].mean():.2f} degrees, "
          f"translation {1000 * np.linalg.norm(shift[rows], axis=-1).mean():.1f} mm on average")


if __name__ == "__main__":
    main()
