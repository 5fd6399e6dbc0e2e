"""The operators from Python: a small scene, gradients against differences, torch.library.opcheck.

python_operators.py LIBRARY VERSION: libfmgs.so, and the LibTorch it was built with.
"""
import math
import sys

library, version = sys.argv[1:]
try:
    import torch
except ImportError as error:
    print(f"skipped: no torch for Python: {error}")
    sys.exit(0)
if torch.__version__.split(".")[:2] != version.split(".")[:2]:
    print(f"skipped: Python's torch is {torch.__version__}, the library's is {version}")
    sys.exit(0)

torch.ops.load_library(library)
fmgs = torch.ops.fmgs


@torch.library.register_fake("fmgs::find_tiles", allow_override=True)
def find_tiles_shapes(center, tangents, opacity, intrinsics, width, height, near, low_pass, tile_size):
    tiles = -(-width // tile_size) * -(-height // tile_size)
    found = torch.library.get_ctx().new_dynamic_size()
    return tuple(center.new_empty(size, dtype=torch.int32) for size in (tiles + 1, found, 1))


def scene(surfels=12, channels=3):
    """Camera-frame surfels of some pixels each: center, tangents, opacity, features, intrinsics."""
    random = torch.Generator().manual_seed(7)

    def uniform(*shape, low=0.0, high=1.0):
        return torch.rand(*shape, generator=random, dtype=torch.double) * (high - low) + low

    depth = uniform(surfels, 1, low=1.5, high=3)
    center = torch.cat([uniform(surfels, 2, low=-0.4, high=0.4) * depth, depth], 1)
    tangents = uniform(surfels, 3, 2, low=-0.15, high=0.15)
    opacity = uniform(surfels, 1, low=0.3, high=0.8)
    intrinsics = torch.tensor([26.0, 25.0, 12.3, 10.2], dtype=torch.double)
    inputs = [center, tangents, opacity, uniform(surfels, channels), intrinsics]
    return [x.requires_grad_(True) for x in inputs]


SIZE, TILE, NEAR, LOW_PASS = (24, 20), 8, 0.2, 0.5
center, tangents, opacity, features, intrinsics = scene()
tiles_arguments = (center, tangents, opacity, intrinsics, *SIZE, NEAR, LOW_PASS, TILE)
tiles = fmgs.find_tiles(*tiles_arguments)
assert tiles[0].shape == (3 * 3 + 1,) and tiles[0][-1] == tiles[1].numel() > 12


def draw_arguments(center, tangents, opacity, features, intrinsics):
    route = torch.zeros(features.shape[1], dtype=torch.long)
    rows = (center[None], tangents[None], opacity[None], features, route, intrinsics)
    return (*rows, *tiles, *SIZE, TILE, NEAR, LOW_PASS)


def draw(*inputs):
    return fmgs.rasterize(*draw_arguments(*inputs))[:3]


image, alpha, depth = draw(*scene())
assert image.shape == (3, 20, 24) and alpha.shape == depth.shape == (1, 1, 20, 24)
assert alpha.max() > 0.5
torch.autograd.gradcheck(draw, scene())


def entries(levels, base, finest, log2):
    """Rows of the table, by tiny-cuda-nn's rule."""
    growth = (finest / base) ** (1 / (levels - 1))
    edges = [math.ceil((base * growth**level - 1) * (1 - 1e-12)) + 1 for level in range(levels)]
    return sum(min((edge**3 + 7) // 8 * 8, 2**log2) for edge in edges)


GRID = (3, 3, 9, 7)
random = torch.Generator().manual_seed(8)
table = torch.rand(entries(*GRID), 2, generator=random, dtype=torch.double, requires_grad=True)
points = torch.rand(9, 3, generator=random, dtype=torch.double, requires_grad=True)
encode_arguments = (table, points, *GRID, [])
assert fmgs.hash_encode(*encode_arguments).shape == (9, 3 * 2)
torch.autograd.gradcheck(lambda t, x: fmgs.hash_encode(t, x, *GRID, []), (table, points))

x = torch.rand(2, 7, 9, generator=random, dtype=torch.double, requires_grad=True)
y = torch.rand(2, 7, 9, generator=random, dtype=torch.double, requires_grad=True)
assert fmgs.ssim(x, x).item() == 0 < fmgs.ssim(x, y).item()
torch.autograd.gradcheck(fmgs.ssim, (x, y))

for value, of in ((image.sum(), None), (fmgs.hash_encode(*encode_arguments).square().sum(), points), (fmgs.ssim(x, y), x)):
    if of is None:
        leaves = scene()
        value, of = draw(*leaves)[0].sum(), leaves[0]
    (first,) = torch.autograd.grad(value, of, create_graph=True)
    try:
        first.sum().backward()
    except RuntimeError as error:
        assert "no second derivative" in str(error), error
    else:
        raise AssertionError("a second derivative did not raise")

for name, arguments in (
    ("find_tiles", tiles_arguments),
    ("rasterize", draw_arguments(*scene())),
    ("hash_encode", encode_arguments),
    ("ssim", (x, y)),
):
    passed = torch.library.opcheck(getattr(fmgs, name).default, arguments)
    print(name, *passed)
    assert set(passed.values()) == {"SUCCESS"}, passed
