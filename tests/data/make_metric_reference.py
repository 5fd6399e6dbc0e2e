#!/usr/bin/env python3
"""Writes metrics/reference.json: what the packages behind published tables say of one pair of pictures.

Pictures and the weights of the networks are formulas, which tests/support/metric_inputs.h evaluates as well, so that nothing large is
stored and nothing is downloaded. Made with the versions that the file lists. scikit-image from 0.21 on refuses pictures of floats without a
data_range; up to 0.19, which the published numbers were made with, it took 2, the range of [-1,1]. Here it is given.

torchmetrics up to 0.11, which those were made with, leaves five pixels around the picture out of the mean; later ones do not. Here
its map of SSIM is cut.

SSIM with zeros outside the picture has no package (3DGS's own code is no package): it is written out in scipy.
"""
import importlib.metadata
import json
import pathlib

import lpips
import numpy as np
import piq
import skimage.metrics
import torch
import torchmetrics.functional.image as tm
from scipy import ndimage
from torchmetrics.functional.image import lpips as tm_lpips

OUT = pathlib.Path(__file__).parent / "metrics" / "reference.json"
HEIGHT, WIDTH = 96, 80


def uniform(salt, count):
    """`count` numbers in [0,1): a 32-bit mix of their place and the salt."""
    x = (np.arange(count, dtype=np.uint64) * 2654435761 + salt * 40503 + 1) % 2**32
    x ^= x >> 16
    x = x * 2246822519 % 2**32
    x ^= x >> 13
    x = x * 3266489917 % 2**32
    x ^= x >> 16
    return x / 2.0**32


def pictures():
    """A person-like ellipse of coloured waves and noise; the rendered one is a pixel to the right and blurred at its rim."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    c = np.arange(3)[:, None, None]
    base = 0.5 + 0.4 * np.sin(0.3 * x + c) * np.cos(0.21 * y - c)

    def ellipse(shift):
        return 1 - np.hypot((x - 38 - shift) / 20, (y - 50) / 36)

    mask = (ellipse(0) > 0).astype(float)[None]
    alpha = np.clip(0.5 + 10 * ellipse(1), 0, 1)[None]
    noise = [uniform(salt, 3 * HEIGHT * WIDTH).reshape(3, HEIGHT, WIDTH) for salt in (1, 2)]
    truth, image = [cover * (0.8 * base + 0.2 * n) for cover, n in zip((mask, alpha), noise)]
    return [np.float32(v) for v in (image, alpha, truth, mask)]


def weights(network):
    """Of every convolution and linear layer in order: uniform in ±√(6/inputs), ±0.1, and [0,1)."""
    salt, conv, linear = 100, [], []
    for module in (m for m in network.modules() if isinstance(m, torch.nn.Conv2d)):
        if module.bias is None:
            continue
        shape = module.weight.shape
        inputs = int(np.prod(shape[1:]))
        w = (2 * uniform(salt, int(np.prod(shape))) - 1) * np.sqrt(6 / inputs)
        conv.append((module, w.reshape(shape), 0.1 * (2 * uniform(salt + 1, shape[0]) - 1)))
        salt += 2
    for k in range(5):
        linear.append(lambda count, salt=salt + k: uniform(salt, count))
    return conv, linear


def seeded(model, layers):
    """Fills a network of lpips or torchmetrics with the formula's weights."""
    conv, linear = weights(model.net)
    with torch.no_grad():
        for module, w, b in conv:
            module.weight.copy_(torch.from_numpy(np.float32(w)))
            module.bias.copy_(torch.from_numpy(np.float32(b)))
        for k, layer in enumerate(layers):
            weight = next(m for m in layer.modules() if isinstance(m, torch.nn.Conv2d)).weight
            weight.copy_(torch.from_numpy(np.float32(linear[k](weight.numel()))).view_as(weight))
    return model.eval()


def lpips_network(name):
    model = lpips.LPIPS(net=name, pretrained=False, pnet_rand=True, verbose=False)
    return seeded(model, model.lins)


def tensors(*arrays):
    return [torch.from_numpy(np.ascontiguousarray(a))[None] for a in arrays]


def zero_ssim(a, b):
    """3DGS: Gaussian 11, σ 1.5, zeros outside."""
    g = np.exp(-np.arange(-5, 6) ** 2 / (2 * 1.5**2))
    g /= g.sum()

    def blur(v):
        v = ndimage.correlate1d(v, g, axis=1, mode="constant")
        return ndimage.correlate1d(v, g, axis=2, mode="constant")

    a, b = np.float64(a), np.float64(b)
    ma, mb = blur(a), blur(b)
    va, vb, ab = blur(a * a) - ma * ma, blur(b * b) - mb * mb, blur(a * b) - ma * mb
    return np.mean((2 * ma * mb + 1e-4) * (2 * ab + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)))


def person_crop(picture, mask, side):
    """Box of the mask and 50 pixels around, white square, bilinear."""
    rows, columns = [np.nonzero(mask[0].any(axis))[0] for axis in (1, 0)]
    top, bottom = max(0, rows[0] - 50), min(HEIGHT, rows[-1] + 51)
    left, right = max(0, columns[0] - 50), min(WIDTH, columns[-1] + 51)
    height, width = bottom - top, right - left
    square = max(height, width)
    out = np.ones((3, square, square), np.float32)
    y, x = (square - height) // 2, (square - width) // 2
    out[:, y:y + height, x:x + width] = picture[:, top:bottom, left:right]
    return torch.nn.functional.interpolate(torch.from_numpy(out)[None], size=(side, side), mode="bilinear", align_corners=False)[0].numpy()


def number(x):
    return round(float(x), 7)


def main():
    image, alpha, truth, mask = pictures()
    vgg, alex = lpips_network("vgg"), lpips_network("alex")
    results = {}

    def skimage_ssim(a, b, data_range):
        return skimage.metrics.structural_similarity(a, b, channel_axis=0, data_range=data_range)

    def torchmetrics_ssim(a, b):
        _, every = tm.structural_similarity_index_measure(a, b, data_range=1.0, return_full_image=True)
        return every[..., 5:-5, 5:-5].mean()

    def distance(network, a, b, normalize):
        with torch.no_grad():
            return network(*tensors(a, b), normalize=normalize)

    def psnr(a, b):
        return skimage.metrics.peak_signal_noise_ratio(b, a, data_range=1)

    results["clean"] = {"psnr": psnr(image, truth), "ssim": zero_ssim(image, truth), "lpips": distance(vgg, image, truth, True),
                        "lpips_alex": distance(alex, image, truth, True)}
    results["3dgs-avatar-zju"] = {"psnr": psnr(image, truth), "ssim": skimage_ssim(image, truth, 2),
                                  "lpips": distance(vgg, image, truth, True)}
    a, b = [np.float32(np.round(v * 255) / 255) for v in (image, truth)]
    results["humannerf"] = {"psnr": psnr(a, b), "ssim": skimage_ssim(a, b, 2), "lpips": distance(vgg, a, b, True)}
    white, white_truth = image + (1 - alpha), truth + (1 - mask)
    a, b = [np.float32(np.round(np.clip(v, 0, 1) * 255) / 255) for v in (white, white_truth)]
    model = tm_lpips._LPIPS(pretrained=False, net="alex", pnet_rand=True)
    model = seeded(model, model.lins)
    with torch.no_grad():
        quirk = model(*tensors(a, b), normalize=False)
    results["instantavatar-ps"] = {"psnr": tm.peak_signal_noise_ratio(*tensors(a, b), data_range=1.0),
                                   "ssim": torchmetrics_ssim(*tensors(a, b)), "lpips": quirk}
    # The box of the body: rows 20 to 69 and columns 10 to 59 stand for it.
    boxed = np.zeros_like(image)
    boxed[:, 20:70, 10:60] = image[:, 20:70, 10:60]
    error = np.square(np.float64(boxed) - truth).mean((1, 2))
    results["gauhuman"] = {"psnr": np.mean(20 * np.log10(1 / np.sqrt(error))), "ssim": zero_ssim(boxed, truth),
                           "lpips": distance(vgg, boxed, truth, False)}
    a, b = [np.float32(np.clip(v, 0, 1)) for v in (white, white_truth)]
    crops = [person_crop(v, mask, 64) for v in (a, b)]  # 512 in the preset: too slow for a test
    results["animatable-gaussians"] = {"psnr": psnr(a, b), "ssim": skimage_ssim(a, b, 1), "lpips": distance(vgg, *crops, True)}

    others = {"piq_ssim_inside": piq.ssim(*tensors(image, truth), data_range=1.0, downsample=False),
              "mae": np.abs(np.float64(image) - truth).mean()}
    versions = {name: importlib.metadata.version(name)
                for name in ("scikit-image", "torchmetrics", "lpips", "piq", "torch", "torchvision", "numpy", "scipy")}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps({"versions": versions,
                               "presets": {p: {k: number(v) for k, v in r.items()} for p, r in results.items()},
                               "others": {k: number(v) for k, v in others.items()}}, indent=1) + "\n")


if __name__ == "__main__":
    main()
