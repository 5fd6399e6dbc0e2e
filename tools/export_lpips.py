#!/usr/bin/env python3
"""Makes the file that LPIPS reads: the convolutions of torchvision's VGG16 or AlexNet, and LPIPS' linear weights of version 0.1.

    tools/export_lpips.py vgg16-397923af.pth vgg.pth lpips_vgg.safetensors
    tools/export_lpips.py alexnet-owt-7be5be79.pth alex.pth lpips_alex.safetensors

The first file is the state dictionary that torchvision downloads for `torchvision.models.vgg16(weights="IMAGENET1K_V1")` or `alexnet`
(~/.cache/torch/hub/checkpoints), the second lies in the package lpips (lpips/weights/v0.1). Needs Python 3.9 and torch; the files
are read as tensors, nothing in them is run. Which of the two networks it is, its layers say.
"""
import argparse
import json
import struct

import torch

# Channels that LPIPS looks at, per network; the convolutions of torchvision's `features` in order are all there are.
TAPS = {"vgg": [64, 128, 256, 512, 512], "alex": [64, 192, 384, 256, 256]}
CONVOLUTIONS = {"vgg": 13, "alex": 5}


def read(file):
    state = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(state, dict):
        raise SystemExit(f"{file}: expected a state dictionary, got {type(state).__name__}")
    return state


def convolutions(file):
    """conv.K.weight and .bias of the layers features.N of a state dictionary."""
    state = read(file)
    layers = sorted({int(name.split(".")[1]) for name in state if name.startswith("features.")})
    tensors = {}
    for k, layer in enumerate(layers):
        for part in ("weight", "bias"):
            tensors[f"conv.{k}.{part}"] = state[f"features.{layer}.{part}"].float()
    return tensors, len(layers)


def linear(file):
    """linear.K: `lin0.model.1.weight` [1,C,1,1] and so on."""
    return {f"linear.{k}": value.float().flatten() for k, (_, value) in enumerate(sorted(read(file).items()))}


def write(file, tensors, network):
    header = {"__metadata__": {"format": "fmgs-lpips 1", "network": network}}
    data, at = [], 0
    for name, value in tensors.items():
        raw = value.contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [at, at + len(raw)]}
        data.append(raw)
        at += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(file, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text + b"".join(data))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("backbone", help="state dictionary of torchvision's network")
    parser.add_argument("linear", help="linear weights of LPIPS")
    parser.add_argument("output", help="the .safetensors to write")
    args = parser.parse_args()
    tensors, count = convolutions(args.backbone)
    weights = linear(args.linear)
    network = next((name for name, number in CONVOLUTIONS.items() if number == count), None)
    if network is None:
        raise SystemExit(f"{args.backbone}: expected the 13 convolutions of VGG16 or the 5 of AlexNet, got {count}")
    if [len(value) for value in weights.values()] != TAPS[network]:
        raise SystemExit(f"{args.linear}: expected {TAPS[network]} weights for {network}, got {[len(v) for v in weights.values()]}")
    write(args.output, {**tensors, **weights}, network)


if __name__ == "__main__":
    main()
