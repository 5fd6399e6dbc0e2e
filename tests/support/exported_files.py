"""Opens what `export` writes with the readers that other programs have: FOLDER holds surfels.ply, splats.glb, mesh.glb and
expected.npz. Says which readers are not there; exits with 77 where none is."""
import pathlib
import sys

folder = pathlib.Path(sys.argv[1])
try:
    import numpy as np
except ImportError as error:
    print(error)
    sys.exit(77)
expected = np.load(folder / "expected.npz")
seen = []


def same(name, found, key, tolerance=1e-5):
    found, wanted = np.asarray(found, dtype=float), expected[key].astype(float)
    if found.shape != wanted.shape or not np.abs(found - wanted).max() <= tolerance:
        sys.exit(f"{name}: {key}: {found.shape} against {wanted.shape}, or other values:\n{found[:2]}\n{wanted[:2]}")


def plyfile():
    from plyfile import PlyData

    ply = PlyData.read(folder / "surfels.ply")
    rows = ply["vertex"]
    same("plyfile", np.stack([rows[c] for c in "xyz"], 1), "center")
    same("plyfile", 1 / (1 + np.exp(-rows["opacity"].astype(float))), "opacity")
    same("plyfile", 0.5 + 0.28209479177 * np.stack([rows[f"f_dc_{k}"] for k in range(3)], 1), "color")
    same("plyfile", np.exp(np.stack([rows[f"scale_{k}"] for k in range(2)], 1).astype(float)), "scale")
    if list(ply.comments) != ["SplatRenderMode: 2dgs"]:
        sys.exit(f"plyfile: comments {ply.comments}")


def pygltflib():
    import pygltflib

    splats = pygltflib.GLTF2().load(str(folder / "splats.glb"))
    primitive = splats.meshes[0].primitives[0]
    if primitive.mode != 0 or primitive.extensions["KHR_gaussian_splatting"]["kernel"] != "ellipse":
        sys.exit("pygltflib: splats.glb holds no Gaussians")
    mesh = pygltflib.GLTF2().load(str(folder / "mesh.glb"))
    joints = [mesh.nodes[j].name for j in mesh.skins[0].joints]
    if joints != [str(n) for n in expected["joint_names"]]:
        sys.exit(f"pygltflib: joints {joints}")
    times = mesh.accessors[mesh.animations[0].samplers[0].input]
    if times.count != 2 or abs(times.max[0] - 1 / 30) > 1e-7:
        sys.exit(f"pygltflib: {times.count} times up to {times.max}")


def trimesh():
    import trimesh

    mesh = trimesh.load(folder / "mesh.glb", force="mesh", process=False)
    same("trimesh", mesh.triangles, "triangles")
    try:
        import PIL  # noqa: F401  without it there is no texture
    except ImportError:
        return
    colors = mesh.visual.to_color().vertex_colors[:, :3] / 255
    same("trimesh", colors.reshape(-1, 3, 3).mean(1), "face_color", 0.5 / 255 + 1e-6)


for reader in (plyfile, pygltflib, trimesh):
    try:
        reader()
        seen.append(reader.__name__)
    except ImportError as error:
        print(f"not there: {reader.__name__} ({error})")
print("read by " + (", ".join(seen) or "none"))
sys.exit(0 if seen else 77)
