#!/usr/bin/env python3
"""Writes fits/: one motion of eight frames in the layout of every program that the library reads.

Made with Python 3.11, numpy 2.4, joblib 1.6, scipy 1.17 and torch 2.11: their own writers, so that the readers are held against
these. truth.npz has the poses in the camera (identity, y down) and in two worlds, and the resting joints of the body
that Rh/Th, hips and roots refer to.
"""
import collections
import json
import pathlib
import pickle
import shutil

import joblib
import numpy as np
import torch
from scipy.spatial.transform import Rotation

OUT = pathlib.Path(__file__).parent / "fits"
FRAMES = 8
SMPLX_ROOT = np.array([0.00312, -0.35141, 0.01204])
PARENTS = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21]
# A T-pose, metres, y up, facing +z, left = +x.
JOINTS = np.array([
    [0, -.2, .03], [.09, -.3, .02], [-.09, -.3, .02], [0, -.08, .0], [.09, -.7, .02], [-.09, -.7, .02], [0, .06, .01],
    [.09, -1.1, .02], [-.09, -1.1, .02], [0, .12, .03], [.09, -1.16, .14], [-.09, -1.16, .14], [0, .33, .0],
    [.08, .24, .0], [-.08, .24, .0], [0, .42, .05], [.19, .27, -.01], [-.19, .27, -.01], [.45, .27, -.01],
    [-.45, .27, -.01], [.70, .27, -.01], [-.70, .27, -.01], [.78, .27, -.01], [-.78, .27, -.01]])


def exp(r):
    """Axis-angle [...,3] → matrices [...,3,3]."""
    r = np.asarray(r, float)
    angle = np.linalg.norm(r, axis=-1)[..., None, None]
    k = np.zeros(r.shape + (3,))
    k[..., 0, 1], k[..., 0, 2], k[..., 1, 2] = -r[..., 2], r[..., 1], -r[..., 0]
    k -= np.swapaxes(k, -1, -2)
    safe = np.where(angle < 1e-12, 1, angle)
    return np.eye(3) + np.sin(angle) / safe * k + (1 - np.cos(angle)) / safe ** 2 * (k @ k)


def log(R):
    """The inverse."""
    return Rotation.from_matrix(R).as_rotvec()


def motion():
    rng = np.random.default_rng(16)
    body = rng.normal(0, .25, (FRAMES, 23, 3))
    body[:, 21:] = 0  # hands: no fitter knows them
    orient = np.array([np.pi, 0, 0]) + rng.normal(0, .05, (FRAMES, 3))
    orient[2] = [np.pi, 0, 0]  # exactly half a turn
    orient[3] = [3.3, .1, 0]   # longer than half a turn
    transl = np.stack([np.linspace(-.3, .4, FRAMES), np.full(FRAMES, .25), np.linspace(5, 5.5, FRAMES)], 1)
    return orient, body.reshape(FRAMES, 69), transl, rng.normal(0, .8, 10)


ORIENT, BODY, TRANSL, BETAS = motion()
POSES = np.concatenate([ORIENT, BODY], 1)
ROOT = TRANSL + JOINTS[0]
R0 = exp(ORIENT)
MATRICES = exp(POSES.reshape(FRAMES, 24, 3))
f4 = np.float32


def world(turn, shift):
    """The same motion in another frame: rotations of the root, places of joint 0."""
    return log(turn @ R0), ROOT @ turn.T + shift


Y_UP = world(exp([3.0, 0, 0]), [1, 2, 3])
Z_UP = world(exp([0, .3, 0]) @ exp([-1.5, 0, 0]), [3, 2, 1])


def write_json(name, value, digits=None):
    text = json.dumps(value if digits is None else json.loads(
        json.dumps(value), parse_float=lambda x: round(float(x), digits)), indent=1)
    file = OUT / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def write_pickle(name, value, protocol=4):
    (OUT / name).write_bytes(pickle.dumps(value, protocol))


def truth():
    np.savez(OUT / "truth.npz", orient=ORIENT, body=BODY, transl=TRANSL, betas=BETAS, joints=JOINTS,
             y_up_orient=Y_UP[0], y_up_root=Y_UP[1], z_up_orient=Z_UP[0], z_up_root=Z_UP[1])


def rows():
    names = [f"image_{i:04d}" for i in range(FRAMES)]
    np.savez(OUT / "neutral.npz", betas=BETAS, global_orient=ORIENT, body_pose=BODY, transl=TRANSL, frame_names=names,
             fps=25.0)
    np.savez(OUT / "instantavatar.npz", betas=BETAS[None].astype(f4), thetas=POSES.astype(f4), transl=TRANSL.astype(f4))
    np.savez(OUT / "animnerf.npz", betas=BETAS[None].astype(f4), global_orient=ORIENT.astype(f4),
             body_pose=BODY.astype(f4), transl=TRANSL.astype(f4))
    fingers = np.ones((FRAMES, 90))
    np.savez(OUT / "amass.npz", poses=np.concatenate([POSES[:, :66], fingers], 1), trans=TRANSL, betas=np.ones(16),
             dmpls=np.zeros((FRAMES, 8)), gender=np.array("male"), mocap_framerate=np.array(120.0))
    np.savez(OUT / "amass_smplx.npz", poses=np.concatenate([POSES[:, :66], np.ones((FRAMES, 99))], 1),
             root_orient=ORIENT, pose_body=BODY[:, :63], pose_hand=fingers, trans=ROOT - SMPLX_ROOT, betas=np.ones(16),
             surface_model_type=np.array("smplx"), mocap_frame_rate=np.array(60.0))
    write_pickle("aist.pkl", {"smpl_loss": 1.5, "smpl_poses": POSES, "smpl_scaling": np.array([94.0]),
                              "smpl_trans": TRANSL * 94})
    np.save(OUT / "bare.npy", POSES.astype(f4))
    np.save(OUT / "bare_joints.npy", POSES.reshape(FRAMES, 24, 3))
    np.save(OUT / "bare_matrices.npy", MATRICES)
    folder = OUT / "arah"
    folder.mkdir()
    for i in range(FRAMES):
        np.savez_compressed(folder / f"{i:06d}.npz", betas=BETAS[None].astype(f4), trans=TRANSL[i].astype(f4),
                            root_orient=ORIENT[i].astype(f4), pose_body=BODY[i, :63].astype(f4),
                            pose_hand=BODY[i, 63:].astype(f4))


def romp_frame(i, with_other):
    """Person of the truth, and at times another one 2 m beside."""
    people = [(POSES[i], TRANSL[i])] + [(POSES[0], TRANSL[i] + [2, 0, 0])] * with_other
    poses, places = np.array([p for p, _ in people], f4), np.array([t for _, t in people], f4)
    return {"smpl_thetas": poses, "smpl_betas": np.tile(np.append(BETAS, .1), (len(people), 1)).astype(f4),
            "cam": np.full((len(people), 3), .1, f4), "cam_trans": places}


def romp():
    folder = OUT / "romp"
    folder.mkdir()
    for i in range(FRAMES):
        np.savez_compressed(folder / f"{i + 1:06d}.npz", results=romp_frame(i, i % 3 == 0))
    np.savez_compressed(OUT / "romp_video.npz",
                        results={f"in/{i + 1:06d}.jpg": romp_frame(i, i % 3 == 0) for i in range(FRAMES)})
    old = {}
    for i in range(FRAMES):
        s = np.sqrt(3) / TRANSL[i, 2]
        cam = np.array([[s, TRANSL[i, 1] * s, TRANSL[i, 0] * s]])
        old[f"{i:06d}.jpg"] = romp_frame(i, 0) | {
            "cam": cam.astype(f4), "cam_trans": (2 * np.array([[cam[0, 2], cam[0, 1], 1]]) / s).astype(f4)}
    np.savez_compressed(OUT / "romp_old.npz", results=old)


def wham():
    seen = np.array([0, 1, 2, 4, 5, 6, 7])  # frame 3 is missing
    hips = (JOINTS[1] + JOINTS[2]) / 2
    turn = exp(Y_UP[0])
    person = {"pose": POSES[seen].astype(f4), "trans": TRANSL[seen].astype(f4),
              "pose_world": np.concatenate([Y_UP[0], BODY], 1)[seen].astype(f4),
              "trans_world": (Y_UP[1] + turn @ (hips - JOINTS[0]))[seen],
              "betas": np.tile(BETAS, (7, 1)).astype(f4) + np.linspace(-.1, .1, 7)[:, None].astype(f4),
              "frame_ids": seen}
    short = {k: v[:3] + (0 if k == "frame_ids" else .5) for k, v in person.items()}
    results = collections.defaultdict(dict)
    results[np.int64(4)].update(short)
    results[np.int64(7)].update(person)
    joblib.dump(results, OUT / "wham.pkl")
    w, h = 1920, 1080
    f = np.hypot(w, h)
    vibe = {1: {"pose": POSES.astype(f4), "betas": np.tile(BETAS, (FRAMES, 1)).astype(f4),
                "orig_cam": np.stack([2 * f / w / TRANSL[:, 2], 2 * f / h / TRANSL[:, 2], TRANSL[:, 0], TRANSL[:, 1]], 1),
                "frame_ids": np.arange(FRAMES)}}
    joblib.dump(vibe, OUT / "vibe.pkl")


def phalp():
    def person(i, turn=0.0):
        m = exp(POSES[i].reshape(24, 3) + turn).astype(f4)
        return {"global_orient": m[:1], "body_pose": m[1:], "betas": BETAS.astype(f4)}

    frames = {}
    for i in range(FRAMES):
        n = 1 + (i in (1, 2))       # another person in two frames,
        stale = [1] if i == 5 else []  # and one who has left
        frames[f"outputs/_DEMO/clip/img/{i + 1:06d}.jpg"] = {
            "time": i, "shot": 0, "tid": [3, 8][:n] + [8] * len(stale), "tracked_ids": [3, 8][:n] + [8] * len(stale),
            "tracked_time": [0] * n + stale, "size": [[1080, 1920]] * (n + len(stale)),
            "smpl": [person(i), person(i, .1)][:n] + [person(0)] * len(stale),
            "camera": [TRANSL[i].astype(f4), (TRANSL[i] + 1).astype(f4)][:n] + [TRANSL[0].astype(f4)] * len(stale)}
    joblib.dump(frames, OUT / "phalp.pkl", compress=3)


def gvhmr():
    def params(orient, root):
        return {"body_pose": torch.tensor(BODY[:, :63], dtype=torch.float), "betas": torch.ones(FRAMES, 10),
                "global_orient": torch.tensor(orient, dtype=torch.float),
                "transl": torch.tensor(root - SMPLX_ROOT, dtype=torch.float)}

    K = torch.tensor([[2202.9, 0, 960], [0, 2202.9, 540], [0, 0, 1]]).repeat(FRAMES, 1, 1)
    torch.save({"smpl_params_incam": params(ORIENT, ROOT), "smpl_params_global": params(*Y_UP), "K_fullimg": K},
               OUT / "gvhmr.pt")


def glamr():
    K = np.array([[1500, 0, 640], [0, 1500, 360], [0, 0, 1]], f4)
    person = {"smpl_pose": BODY.astype(f4), "smpl_orient_cam": ORIENT.astype(f4), "smpl_beta": np.tile(BETAS, (FRAMES, 1)),
              "smpl_orient_world": Z_UP[0].astype(f4), "root_trans_cam": ROOT.astype(f4),
              "root_trans_world": Z_UP[1].astype(f4), "cam_K": np.tile(K, (FRAMES, 1, 1)),
              "exist_frames": np.arange(FRAMES) != 6}
    write_pickle("glamr.pkl", {"person_data": {0: person}, "cam_pose": np.eye(4)}, 3)


def tram():
    """What TRAM saves itself, and the same as arrays."""
    track = {"pred_rotmat": torch.tensor(MATRICES, dtype=torch.float), "pred_shape": torch.tensor(BETAS).repeat(FRAMES, 1),
             "pred_trans": torch.tensor(TRANSL, dtype=torch.float)[:, None], "frame": torch.arange(1, FRAMES + 1)}
    np.save(OUT / "tram.npy", track, allow_pickle=True)
    np.savez(OUT / "tram.npz", **{key: value.numpy() for key, value in track.items()})


def meshcapade():
    body = POSES.reshape(FRAMES, 24, 3)
    common = {"frameCount": np.array(FRAMES), "gender": np.array(2), "smplVersion": np.array(0),
              "shapeParameters": np.ones(10, f4)}
    with (OUT / "meshcapade.smpl").open("wb") as file:
        np.savez(file, bodyPose=body[:, :22].astype(f4), headPose=np.zeros((FRAMES, 3, 3), f4),
                 leftHandPose=np.ones((FRAMES, 15, 3), f4), rightHandPose=np.ones((FRAMES, 15, 3), f4),
                 bodyTranslation=(ROOT - SMPLX_ROOT).astype(f4), frameRate=np.array(24.0), **common)
    with (OUT / "skel.smpl").open("wb") as file:
        np.savez(file, bodyPose=np.zeros((FRAMES, 46), f4), **common)


def records():
    """x = R v + Th about the origin of the resting body."""
    th = ROOT - R0 @ JOINTS[0]
    for i in range(FRAMES):
        record = {"id": 2, "Rh": [ORIENT[i].tolist()], "Th": [th[i].tolist()], "shapes": [BETAS.tolist()]}
        other = record | {"id": 5, "Th": [(th[i] + 1).tolist()], "poses": [[0.0] * 72]}
        write_json(f"easymocap/{i:06d}.json", [record | {"poses": [[0.0] * 3 + BODY[i].tolist()]}] + [other] * (i < 2), 6)
        write_json(f"easymocap_annots/{i:06d}.json", {"annots": [record | {"poses": [BODY[i].tolist()]}]}, 6)
        (OUT / "zju").mkdir(exist_ok=True)
        np.save(OUT / f"zju/{i}.npy", {"poses": np.append([0.0] * 3, BODY[i])[None], "Rh": ORIENT[i][None].astype(f4),
                                       "Th": th[i][None].astype(f4), "shapes": BETAS[None].astype(f4)}, allow_pickle=True)
    write_pickle("mesh_infos.pkl", {f"frame_{i:06d}": {
        "Rh": ORIENT[i].astype(f4), "Th": th[i].astype(f4), "poses": np.append([0.0] * 3, BODY[i]).astype(f4),
        "joints": np.zeros((24, 3), f4), "tpose_joints": JOINTS.astype(f4)} for i in range(FRAMES)})
    # SMPL's own space with transl 0; the extrinsic takes it to the camera.
    wild = {}
    for i in range(FRAMES):
        turn = exp([.1 * i, 2, 0])
        own = log(turn.T @ R0[i])
        extrinsic = np.eye(4)
        extrinsic[:3, :3], extrinsic[:3, 3] = turn, ROOT[i] - turn @ JOINTS[0]
        wild[f"frame_{i:06d}"] = {"poses": own.tolist() + BODY[i].tolist(), "betas": BETAS.tolist(),
                                  "cam_intrinsics": [[1100, 0, 540], [0, 1100, 960], [0, 0, 1]],
                                  "cam_extrinsics": extrinsic.tolist()}
    write_json("metadata.json", wild, 9)


def bvh(name, names, joints, frame, turns, unit):
    """Skeleton of the joints named; `frame` [3,3] takes SMPL's axes to the file's, `turns` rest directions of limbs."""
    rest = {0: np.zeros(3)}
    whole_rest = {}
    for j, p in enumerate(PARENTS):
        whole_rest[j] = turns.get(j, np.eye(3))
        if p >= 0:
            rest[j] = rest[p] + frame @ whole_rest[p] @ (joints[j] - joints[p]) * unit
    kept = [j for j in range(24) if j in names]
    above = {j: p if p in names else PARENTS[p] for j, p in enumerate(PARENTS) if p >= 0}
    lines, order = ["HIERARCHY"], []

    def write(j, depth):
        pad = "  " * depth
        order.append(j)
        offset = rest[j] - (rest[above[j]] if j else 0)
        lines.extend([f"{pad}{'JOINT' if j else 'ROOT'} {names[j]}", pad + "{",
                      f"{pad}  OFFSET {offset[0]:.6f} {offset[1]:.6f} {offset[2]:.6f}",
                      f"{pad}  CHANNELS {'3' if j else '6 Xposition Yposition Zposition'} Zrotation Xrotation Yrotation"])
        below = [k for k in kept if k and above[k] == j]
        for k in below:
            write(k, depth + 1)
        if not below:
            lines.extend([pad + "  End Site", pad + "  {", pad + "    OFFSET 0 1 0", pad + "  }"])
        lines.append(pad + "}")

    write(0, 0)
    lines.extend(["MOTION", f"Frames: {FRAMES}", "Frame Time: 0.025"])
    for i in range(FRAMES):
        whole = {}
        for j, p in enumerate(PARENTS):
            whole[j] = MATRICES[i, j] if p < 0 else whole[p] @ MATRICES[i, j]
        # The file's joints are at rest in their own rest pose.
        of_file = {j: frame @ whole[j] @ whole_rest[j].T @ frame.T for j in whole}
        row = list(frame @ ROOT[i] * unit)
        for j in order:
            local = of_file[j] if j == 0 else of_file[above[j]].T @ of_file[j]
            x = np.arcsin(np.clip(local[2, 1], -1, 1))  # R = Rz Rx Ry
            z, y = np.arctan2(-local[0, 1], local[1, 1]), np.arctan2(-local[2, 0], local[2, 2])
            row += list(np.degrees([z, x, y]))
        lines.append(" ".join(f"{v:.6f}" for v in row))
    (OUT / name).write_text("\n".join(lines) + "\n")


def bvh_files():
    joints = JOINTS.copy()
    joints[[16, 18, 20], 1:] = joints[13, 1:]  # arms along x, as the T of SMPL is taken to be
    joints[[17, 19, 21], 1:] = joints[14, 1:]
    mixamo = {0: "Hips", 3: "Spine", 6: "Spine1", 9: "Spine2", 12: "Neck", 15: "Head"}
    biovision = {0: "Hips", 3: "Chest", 6: "Chest2", 9: "Chest3", 12: "Neck", 15: "Head"}
    for left, side in ((1, "Left"), (0, "Right")):
        for k, m, b in ((1, "UpLeg", "Hip"), (4, "Leg", "Knee"), (7, "Foot", "Ankle"), (10, "ToeBase", "Toe"),
                        (13, "Shoulder", "Collar"), (16, "Arm", "Shoulder"), (18, "ForeArm", "Elbow"), (20, "Hand", "Wrist")):
            mixamo[k + 1 - left] = f"mixamorig:{side}{m}"
            biovision[k + 1 - left] = side + b
    bvh("t_pose.bvh", mixamo, joints, np.eye(3), {}, 100)
    # z up, facing -y, in inches, arms 50 degrees down: the turns hold for all below the shoulders.
    down = {j: exp([0, 0, -.87]) for j in (16, 18, 20, 22)} | {j: exp([0, 0, .87]) for j in (17, 19, 21, 23)}
    bvh("a_pose.bvh", biovision, joints, exp([np.pi / 2, 0, 0]), down, 1 / .0254)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    for write in (truth, rows, romp, wham, phalp, gvhmr, glamr, tram, meshcapade, records, bvh_files):
        write()


main()
