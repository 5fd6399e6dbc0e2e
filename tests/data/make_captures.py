#!/usr/bin/env python3
"""Writes tests/data/captures: one subject, three frames before two cameras, in every layout of
docs/data_layouts.md, with the libraries that people's own scripts use. Made with Python 3.11.7,
numpy 2.4.6, joblib 1.6.0, h5py 3.16.0, Pillow 13.0.0 and opencv-python-headless 5.0.0 (video only).

    python3 tests/data/make_captures.py      writes the folder anew

The truth is in plain variables below: a body of 48 vertices, rotations, translations, cameras whose
principal points are off the middle. Pictures are blocks of 8 x 8 pixels of one colour, which JPEG
keeps to a level or two.
"""
import json
import pickle
import shutil
import struct
from pathlib import Path

import cv2
import h5py
import joblib
import numpy as np
from PIL import Image

ROOT = Path(__file__).parent / "captures"
H, W, FRAMES, CAMERAS = 24, 32, 3, 2
random = np.random.default_rng(7)


# ---- The subject ----------------------------------------------------------------------------------

def rotation(r):
    r = np.asarray(r, float).reshape(3)
    angle = np.linalg.norm(r)
    if angle == 0:
        return np.eye(3)
    x, y, z = r / angle
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def axis_angle(R):
    angle = np.arccos(np.clip((np.trace(R) - 1) / 2, -1, 1))
    axis = np.array([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]])
    return angle * axis / np.linalg.norm(axis)


PARENTS = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21]
vertices = random.uniform(-0.8, 0.8, (48, 3)).round(3)
shapedirs = random.normal(0, 0.05, (48, 3, 10)).round(4)
regressor = np.zeros((24, 48))
regressor[np.arange(24), 2 * np.arange(24)] = 0.5
regressor[np.arange(24), 2 * np.arange(24) + 1] = 0.5
betas = np.array([0.7, -0.4, 0.2, 1.1, 0, 0, 0.3, 0, 0, -0.2])
joints = regressor @ (vertices + shapedirs @ betas)
J0 = joints[0]

poses = random.normal(0, 0.3, (FRAMES, 72)).round(4)      # SMPL's, the root first
poses[:, :3] = [[3.0, 0.2, -0.3], [2.6, 0.5, 0.1], [0.3, -0.4, 0.2]]
transl = np.array([[0.1, -0.2, 3.0], [0.2, 0.1, 3.5], [-0.3, 0.0, 4.0]])
Th = np.stack([t + J0 - rotation(p[:3]) @ J0 for p, t in zip(poses, transl)])
root = transl + J0                                        # where joint 0 is

K = [np.array([[40.0, 0, 17.5], [0, 41, 10.25], [0, 0, 1]]), np.array([[38.0, 0, 14.0], [0, 38, 13], [0, 0, 1]])]
R = [rotation([0.1, 0.2, -0.05]), rotation([0.0, -0.5, 0.1])]
t = [np.array([0.05, 0.1, 0.3]), np.array([0.4, -0.1, 0.5])]


def shifted(k, by):
    k = k.copy()
    k[:2, 2] += by
    return k


def extrinsic(c):
    e = np.eye(4)
    e[:3, :3], e[:3, 3] = R[c], t[c]
    return e


def picture(c, f):
    colours = np.random.default_rng(100 + 10 * c + f).integers(40, 250, (H // 8, W // 8, 3)).astype(np.uint8)
    return np.kron(colours, np.ones((8, 8, 1), np.uint8))


def mask(c, f):
    blocks = np.zeros((H // 8, W // 8), np.uint8)
    blocks[:, 1 + (c + f) % 2] = 1
    blocks[1, 2] = 1
    return np.kron(blocks, np.ones((8, 8), np.uint8))


# ---- Files ----------------------------------------------------------------------------------------

def made(path):
    path = ROOT / path
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def save_picture(path, array):
    if str(path).endswith(".jpg"):
        Image.fromarray(array).save(made(path), quality=100, subsampling=0)
    else:
        Image.fromarray(array).save(made(path), optimize=True)


def save_pickle(path, value, protocol=2):
    with open(made(path), "wb") as out:
        pickle.dump(value, out, protocol=protocol)


def save_json(path, value):
    made(path).write_text(json.dumps(value))


def save_object(path, value):
    np.save(made(path), np.array(value, dtype=object), allow_pickle=True)


def f4(x):
    return np.asarray(x, np.float32)


def body():
    faces = np.array([[i, (i + 1) % 48, (i + 2) % 48] for i in range(48)], np.uint32)
    weights = np.zeros((48, 24))
    weights[np.arange(48), np.arange(48) // 2] = 1
    parents = np.array([[4294967295] + PARENTS[1:], range(24)], np.uint32)
    np.savez_compressed(made("body.npz"), v_template=vertices, f=faces, weights=weights, J_regressor=regressor,
                        kintree_table=parents, shapedirs=shapedirs)


def neutral():
    for c in range(CAMERAS):
        for f in range(FRAMES):
            save_picture(f"neutral/images/{c + 1}/{f:06d}.png", picture(c, f))
            save_picture(f"neutral/masks/{c + 1}/{f:06d}.png", mask(c, f) * 255)
    np.savez(made("neutral/cameras.npz"), intrinsic=np.stack(K), extrinsic=np.stack([extrinsic(0), extrinsic(1)]),
             width=W, height=H, pixel_center=0.5, camera_names=np.array(["1", "2"]))
    np.savez(made("neutral/poses.npz"), betas=betas, global_orient=poses[:, :3], body_pose=poses[:, 3:], transl=transl,
             frame_ids=np.arange(FRAMES))


def neutral_single():
    """Per-frame intrinsics, pixel_center 0, a row that is not valid, rotated names of masks."""
    name = "neutral_single"
    for f in range(FRAMES + 1):
        save_picture(f"{name}/images/{f}.png", picture(0, f))
    save_picture(f"{name}/masks/0.png.png", mask(0, 0))            # 0 and 1
    save_picture(f"{name}/masks/1.mask.png", mask(0, 1) * 255)
    np.save(made(f"{name}/masks/2.npy"), mask(0, 2).astype(bool))
    scale = [1, 1.25, 0.5, 1]
    rows = [shifted(np.diag([s, s, 1]) @ K[0], -0.5) for s in scale]
    order = [2, 0, 1, 0]
    valid = np.array([True, True, True, False])
    np.savez(made(f"{name}/cameras.npz"), intrinsic=np.stack(rows), extrinsic=extrinsic(0), pixel_center=0.0)
    np.savez(made(f"{name}/poses.npz"), betas=betas[None], thetas=poses[order], transl=transl[order], valid=valid,
             frame_names=np.array(["2", "0", "1", "3"]))


def instant_avatar():
    """Only the frames that are used: 0, 4 for training, 8 held out; rows of a split, not of frames."""
    for f in range(FRAMES):
        save_picture(f"instant_avatar/images/image_{4 * f:04d}.png", picture(0, f))
        np.save(made(f"instant_avatar/masks/mask_{4 * f:04d}.npy"), mask(0, f))
    np.savez(made("instant_avatar/cameras.npz"), intrinsic=K[0], extrinsic=extrinsic(0), width=W, height=H)
    for split, rows in (("train", slice(0, 2)), ("test", slice(2, 3))):
        np.savez(made(f"instant_avatar/poses/anim_nerf_{split}.npz"), betas=f4(betas[None]), transl=f4(transl[rows]),
                 global_orient=f4(poses[rows, :3]), body_pose=f4(poses[rows, 3:]))
    made("instant_avatar.txt").write_text("instant_avatar train 1 0 7 4\ninstant_avatar test 1 8 11 4\n")


def zju_annots(paths, as_lists=False, digits=None):
    rounded = (lambda x: np.round(x, digits)) if digits else (lambda x: x)
    plain = (lambda x: x.tolist()) if as_lists else (lambda x: x)
    cams = {"K": [plain(shifted(k, -0.5)) for k in K], "D": [plain(np.zeros((5, 1))) for _ in K],
            "R": [plain(rounded(r)) for r in R], "T": [plain(x[:, None] * 1000) for x in t]}
    return {"cams": cams, "ims": [{"ims": [paths(c, f) for c in range(CAMERAS)]} for f in range(FRAMES)]}


def zju_params(f, shapes):
    zero_root = np.concatenate([np.zeros(3), poses[f, 3:]])
    return {"poses": f4(zero_root[None]), "Rh": f4(poses[f, None, :3]), "Th": f4(Th[f, None]), "shapes": f4(shapes[None])}


def zju_raw():
    save_object("zju_raw/annots.npy", zju_annots(lambda c, f: f"Camera_B{c + 1}/{f:06d}.jpg"))
    for f in range(FRAMES):
        save_object(f"zju_raw/new_params/{f}.npy", zju_params(f, betas))
        for c in range(CAMERAS):
            where = f"Camera_B{c + 1}/{f:06d}"
            save_picture(f"zju_raw/{where}.jpg", picture(c, f))
            half = mask(c, f).copy()
            half[:, 16:] = 0                                       # the two masks make one
            save_picture(f"zju_raw/mask/{where}.png", half)
            save_picture(f"zju_raw/mask_cihp/{where}.png", (mask(c, f) - half) * 5)


def zju_313():
    """Lists instead of arrays, names and parameters from 1."""
    def where(c, f):
        return f"Camera ({c + 1})/CoreView_313_Camera_({c + 1})_{f + 1:04d}_2019-08-23_16-07-4{f}.410"
    save_object("zju_313/annots.npy", zju_annots(lambda c, f: where(c, f) + ".jpg", as_lists=True))
    for f in range(FRAMES):
        save_object(f"zju_313/new_params/{f + 1}.npy", zju_params(f, betas))
        save_picture(f"zju_313/{where(0, f)}.jpg", picture(0, f))
        save_picture(f"zju_313/mask_cihp/{where(0, f)}.png", mask(0, f) * 13)


def zju_refined():
    """Backslashes, 16 betas, rotations of four digits."""
    sixteen = np.concatenate([betas, np.full(6, 9.0)])
    save_object("zju_refined/annots.npy", zju_annots(lambda c, f: f"images\\{c:02d}\\{f:06d}.jpg", digits=4))
    for f in range(FRAMES):
        save_object(f"zju_refined/smpl_params/{f}.npy", zju_params(f, sixteen))
        save_picture(f"zju_refined/images/00/{f:06d}.jpg", picture(0, f))
        save_picture(f"zju_refined/mask/00/{f:06d}.png", mask(0, f) * 255)


def arah():
    cams = {"all_cam_names": ["1", "2"]}
    for c in range(CAMERAS):
        cams[str(c + 1)] = {"K": shifted(K[c], -0.5).tolist(), "D": np.zeros((5, 1)).tolist(), "R": R[c].tolist(),
                            "T": t[c][:, None].tolist()}
    save_json("arah/cam_params.json", cams)
    for f in range(FRAMES):
        np.savez(made(f"arah/models/{f:06d}.npz"), betas=f4(betas[None]), trans=f4(transl[f]),
                 root_orient=f4(poses[f, :3]), pose_body=f4(poses[f, 3:66]), pose_hand=f4(poses[f, 66:]),
                 minimal_shape=np.zeros((48, 3), np.float16))
        for c in range(CAMERAS):
            save_picture(f"arah/{c + 1}/{f:06d}.jpg", picture(c, f))
            colours = np.zeros((H, W, 3), np.uint8)
            colours[..., 2] = mask(c, f) * 128                     # a coloured map of classes
            save_picture(f"arah/{c + 1}/{f:06d}.png", colours)


def arah_snapshot():
    """Pictures count from 1, models from 0; other betas in the last frame, as of fits of held-out frames."""
    name = "arah_snapshot"
    snapshot_camera(f"{name}/camera.pkl")
    for f in range(FRAMES):
        own = betas + (0.1 if f == FRAMES - 1 else 0)
        np.savez(made(f"{name}/animnerf_models/{f:06d}.npz"), betas=f4(own[None]),
                 trans=f4(transl[f] + J0 - regressor[0] @ (vertices + shapedirs @ own)), root_orient=f4(poses[f, :3]),
                 pose_body=f4(poses[f, 3:66]), pose_hand=f4(poses[f, 66:]))
        save_picture(f"{name}/image/{f + 1:06d}.jpg", picture(0, f))
        save_picture(f"{name}/mask/{f + 1:06d}.png", mask(0, f) * 255)


def humannerf(name, centred, gomavatar=False):
    cameras, meshes = {}, {}
    for f in range(FRAMES):
        key = f"frame_{f:06d}"
        save_picture(f"{name}/images/{key}.png", picture(0, f))
        save_picture(f"{name}/masks/{key}.png", np.repeat(mask(0, f)[..., None] * 255, 3, 2))
        cameras[key] = {"intrinsics": shifted(K[0], 0 if centred else -0.5), "extrinsics": extrinsic(0)}
        if not centred:
            cameras[key]["distortions"] = np.zeros(5)
        rest = joints - J0 if centred else joints
        meshes[key] = {"Rh": poses[f, :3], "Th": root[f] if centred else Th[f], "joints": rest, "tpose_joints": rest,
                       "poses": np.concatenate([np.zeros(3), poses[f, 3:]])}
    save_pickle(f"{name}/cameras.pkl", cameras, 4)
    save_pickle(f"{name}/mesh_infos.pkl", meshes, 4)
    canonical = {"joints": joints}
    if gomavatar:
        canonical.update(vertex=vertices, weights=np.zeros((4, 24)), edges=np.zeros((3, 2), int), faces=np.zeros((2, 3), int))
        np.save(made(f"{name}/avg_betas.npy"), betas)
    save_pickle(f"{name}/canonical_joints.pkl", canonical, 4)


def wild():
    """The camera has the translation: SMPL's world, moved by transl."""
    frames = {}
    for f in range(FRAMES):
        key = f"out{f:04d}"
        save_picture(f"humannerf_wild/images/{key}.png", picture(0, f))
        save_picture(f"humannerf_wild/masks/{key}.png", mask(0, f) * 255)
        moved = extrinsic(0)
        moved[:3, 3] += R[0] @ transl[f]
        frames[key] = {"poses": poses[f].tolist(), "betas": betas.tolist(), "cam_intrinsics": K[0].tolist(),
                       "cam_extrinsics": moved.tolist()}
    save_json("humannerf_wild/metadata.json", frames)


def snapshot_camera(path, anim_nerf=False):
    camera = {"camera_f": K[0][[0, 1], [0, 1]], "camera_c": K[0][:2, 2], "camera_k": np.zeros(5), "width": W, "height": H}
    if anim_nerf:
        camera.update(R=R[0], t=t[0])
    else:
        camera.update(camera_rt=axis_angle(R[0]), camera_t=t[0], camera_f=K[0][[0, 1], [0, 1]].astype(np.int64))
    save_pickle(path, camera)


def people_snapshot():
    """Two rows of poses more than masks; masks int8, in chunks, LZF."""
    name = "people_snapshot"
    snapshot_camera(f"{name}/camera.pkl")
    with h5py.File(made(f"{name}/masks.hdf5"), "w") as out:
        masks = np.stack([mask(0, f) for f in range(FRAMES)]).astype(np.int8)
        out.create_dataset("masks", data=masks, chunks=(2, 24, 16), compression="lzf")
    with h5py.File(made(f"{name}/reconstructed_poses.hdf5"), "w") as out:
        out["pose"] = f4(np.concatenate([np.zeros((2, 72)), poses]))
        out["trans"] = f4(np.concatenate([np.zeros((2, 3)), transl]))
        out["betas"] = f4(betas)
    save_pickle(f"{name}/consensus.pkl", {"betas": betas + 0.3, "v_personal": np.zeros((48, 3))})
    video = cv2.VideoWriter(str(made(f"{name}/{name}.avi")), cv2.VideoWriter_fourcc(*"FFV1"), 30, (W, H))
    for f in range(FRAMES):
        video.write(np.ascontiguousarray(picture(0, f)[..., ::-1]))
    video.release()


def anim_nerf():
    snapshot_camera("anim_nerf/cam000/camera.pkl", anim_nerf=True)
    for f in range(FRAMES):
        rgba = np.dstack([picture(0, f), mask(0, f) * 255])
        save_picture(f"anim_nerf/cam000/images/{f + 1:06d}.png", rgba)
        save_pickle(f"anim_nerf/smpls/{f + 1:06d}.pkl",
                    {"betas": betas, "global_orient": f4(poses[f, :3]), "body_pose": f4(poses[f, 3:]),
                     "transl": f4(transl[f]), "v_personal": np.zeros((2, 3)), "model_type": "smpl", "gender": "female"})


def quaternion(rot):
    r = axis_angle(rot)
    angle = np.linalg.norm(r)
    return np.concatenate([[np.cos(angle / 2)], np.sin(angle / 2) * r / angle])


def colmap(name, binary, scale=None, pictures=True):
    """One camera; `scale`: of the model, per frame."""
    scale = scale or [1] * FRAMES
    q = quaternion(R[0])
    params = [K[0][0, 0], K[0][1, 1], K[0][0, 2], K[0][1, 2]]
    if binary:
        with open(made(f"{name}/sparse/0/cameras.bin"), "wb") as out:
            out.write(struct.pack("<Q", 1) + struct.pack("<iiQQ4d", 7, 1, W, H, *params))
        with open(made(f"{name}/sparse/0/images.bin"), "wb") as out:
            out.write(struct.pack("<Q", FRAMES))
            for f in reversed(range(FRAMES)):
                out.write(struct.pack("<I7dI", f + 1, *q, *(t[0] * scale[f]), 7) + f"{f:05d}.png".encode() + b"\0")
                out.write(struct.pack("<Qddq", 1, 3.0, 4.0, -1))
    else:
        words = " ".join(repr(float(x)) for x in params)
        made(f"{name}/sparse/cameras.txt").write_text(f"# cameras\n7 PINHOLE {W} {H} {words}\n")
        lines = ["# images"]
        for f in reversed(range(FRAMES)):
            numbers = " ".join(repr(float(x)) for x in [*q, *(t[0] * scale[f])])
            lines += [f"{f + 1} {numbers} 7 {f:05d}.png", "3.0 4.0 -1" if f else ""]
        made(f"{name}/sparse/images.txt").write_text("\n".join(lines) + "\n")
    for f in range(FRAMES):
        save_picture(f"{name}/images/{f:05d}.png", picture(0, f))
        if pictures:
            save_picture(f"{name}/masks/{f:05d}.png", mask(0, f) * 255)
    if pictures:
        neutral_poses(name)


def neutral_poses(name):
    np.savez(made(f"{name}/poses.npz"), betas=betas, thetas=poses, transl=transl)


def nerfstudio():
    flip = np.diag([1.0, -1, -1, 1])
    frames = []
    for f in range(FRAMES):
        save_picture(f"nerfstudio/images/frame_{f + 1:05d}.png", picture(0, f))
        save_picture(f"nerfstudio/masks/frame_{f + 1:05d}.png", mask(0, f) * 255)
        frames.append({"file_path": f"./images/frame_{f + 1:05d}.png",
                       "transform_matrix": (np.linalg.inv(extrinsic(0)) @ flip).tolist()})
    frames[2]["fl_x"] = float(K[0][0, 0])                          # of its own
    save_json("nerfstudio/transforms.json",
              {"camera_model": "OPENCV", "fl_x": K[0][0, 0], "fl_y": K[0][1, 1], "cx": K[0][0, 2], "cy": K[0][1, 2], "w": W,
               "h": H, "k1": 0.0, "k2": 0.0, "p1": 0.0, "p2": 0.0, "frames": frames[::-1]})
    neutral_poses("nerfstudio")


def neuman():
    """A model whose scale differs by frame, and turned SMPL fits."""
    scale, turn = [2.0, 2.5, 0.8], rotation([0.4, -0.2, 0.3])
    colmap("neuman", binary=False, scale=scale, pictures=False)
    alignments, rows = {}, []
    for f in range(FRAMES):
        # scene = scale * world; world = turn @ smpl + shift
        shift = root[f] - turn @ J0
        alignments[f"{f:05d}.png"] = np.concatenate([(scale[f] * turn).T, scale[f] * shift[None]])
        own = axis_angle(turn.T @ rotation(poses[f, :3]))
        rows.append(np.concatenate([own, poses[f, 3:]]).tolist())
        save_picture(f"neuman/segmentations/{f:05d}.png", (1 - mask(0, f)) * 255)
    save_object("neuman/alignments.npy", alignments)
    joblib.dump({0: {"pose": rows[:1], "betas": [betas.tolist()]}, 1: {"pose": rows, "betas": [betas.tolist()] * FRAMES}},
                made("neuman/smpl_output_optimized.pkl"))
    made("neuman/train_split.txt").write_text("00000.png\n00001.png\n")
    made("neuman/test_split.txt").write_text("00002.png\n")


def easymocap():
    """Lines as OpenCV writes them, here with CRLF; two persons, frame 1 as {"annots": …}."""
    def block(key, x):
        x = np.atleast_2d(x)
        numbers = ", ".join(f"{v:.9f}" for v in x.reshape(-1))
        return f"{key}: !!opencv-matrix\n   rows: {x.shape[0]}\n   cols: {x.shape[1]}\n   dt: d\n   data: [ {numbers} ]\n"
    names = "%YAML:1.0\n---\nnames:\n   - \"01\"\n   - \"02\"\n"
    intri, extri = names, names
    for c in range(CAMERAS):
        intri += block(f"K_0{c + 1}", shifted(K[c], -0.5)) + block(f"dist_0{c + 1}", np.zeros((5, 1)))
        extri += block(f"R_0{c + 1}", axis_angle(R[c])[:, None]) + block(f"Rot_0{c + 1}", R[c])
        extri += block(f"T_0{c + 1}", t[c][:, None])
    made("easymocap/intri.yml").write_bytes(intri.replace("\n", "\r\n").encode())
    made("easymocap/extri.yml").write_text(extri)
    for f in range(FRAMES):
        person = {"id": 3, "Rh": [poses[f, :3].tolist()], "Th": [Th[f].round(6).tolist()],
                  "poses": [[0, 0, 0] + poses[f, 3:].tolist()], "shapes": [betas.tolist()]}
        other = dict(person, id=0, Th=[[9, 9, 9]])
        if f == 1:
            person["poses"] = [poses[f, 3:].tolist()]              # 69
            save_json(f"easymocap/output/smpl/{f:06d}.json", {"annots": [person]})
        else:
            save_json(f"easymocap/output/smpl/{f:06d}.json", [other, person])
        for c in range(CAMERAS):
            save_picture(f"easymocap/images/0{c + 1}/{f:06d}.jpg", picture(c, f))
            save_picture(f"easymocap/mask/0{c + 1}/{f:06d}.png", mask(c, f) * 255)


def loose():
    """Pictures of no capture, whose alpha channel is soft."""
    for f in range(FRAMES):
        alpha = np.where(mask(0, f) > 0, 128 + 40 * np.arange(W) // W, 127 - 40 * np.arange(W) // W)
        save_picture(f"loose/frame_{f + 1:04d}.png", np.dstack([picture(0, f), alpha.astype(np.uint8)]))


def x_humans():
    made("x_humans/gender.txt").parent.mkdir(parents=True, exist_ok=True)
    made("x_humans/gender.txt").write_text("female\n")
    np.save(made("x_humans/mean_shape_smpl.npy"), betas)
    for take, rows in (("train/Take1", [0, 1]), ("test/Take7", [2])):
        for i, f in enumerate(rows):
            save_picture(f"x_humans/{take}/render/image/color_{i + 1:06d}.png", picture(0, f))
            save_picture(f"x_humans/{take}/render/mask/mask_{i + 1:06d}.png", mask(0, f) * 255)
            # Other betas, and rotation matrices, which is how some tools save them.
            save_pickle(f"x_humans/{take}/SMPL/mesh-f{11 + f:05d}_smpl.pkl",
                        {"betas": betas + 0.5, "transl": f4(transl[f]), "global_orient": f4(poses[f, :3]),
                         "body_pose": np.stack([rotation(r) for r in poses[f, 3:].reshape(23, 3)])}, 4)
        np.savez(made(f"x_humans/{take}/render/cameras.npz"), intrinsic=K[0],
                 extrinsic=np.stack([extrinsic(0)] * len(rows)), width=W, height=H)


def dress4d():
    save_pickle("dress4d/basic_info.pkl", {"gender": "female", "scan_frames": [f"{11 + f:05d}" for f in range(FRAMES)],
                                           "rotation": rotation([1, 0, 0])}, 4)
    save_pickle("dress4d/Capture/cameras.pkl",
                {f"{c * 24 + 4:04d}": {"intrinsics": shifted(K[c], -0.5), "extrinsics": extrinsic(c)[:3]}
                 for c in range(CAMERAS)}, 4)
    for f in range(FRAMES):
        save_pickle(f"dress4d/SMPL/mesh-f{11 + f:05d}_smpl.pkl",
                    {"betas": f4(betas), "global_orient": f4(poses[f, :3]), "body_pose": f4(poses[f, 3:]),
                     "transl": f4(transl[f])}, 4)
        for c in range(CAMERAS):
            where = f"dress4d/Capture/{c * 24 + 4:04d}"
            save_picture(f"{where}/images/capture-f{11 + f:05d}.png", picture(c, f))
            save_picture(f"{where}/masks/mask-f{11 + f:05d}.png", mask(c, f) * 255)


if ROOT.exists():
    shutil.rmtree(ROOT)
for write in (body, neutral, neutral_single, instant_avatar, zju_raw, zju_313, zju_refined, arah, arah_snapshot, wild, people_snapshot,
              anim_nerf, nerfstudio, neuman, easymocap, loose, x_humans, dress4d):
    write()
humannerf("humannerf", centred=False)
humannerf("gomavatar", centred=False, gomavatar=True)
humannerf("humannerf_wild_prepared", centred=True)
colmap("colmap_text", binary=False)
colmap("colmap_binary", binary=True)
