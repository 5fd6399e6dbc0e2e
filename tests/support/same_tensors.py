"""Compares what Python's safetensors reads with .npz files: A.safetensors A.npz …; exits with 77 where it is not there."""
import sys

try:
    import numpy
    from safetensors.numpy import load_file
except ImportError as error:
    print(error)
    sys.exit(77)

for tensors_file, arrays_file in zip(sys.argv[1::2], sys.argv[2::2], strict=True):
    tensors, arrays = load_file(tensors_file), numpy.load(arrays_file)
    if not tensors or set(tensors) != set(arrays.files):
        sys.exit(f"{tensors_file}: the names differ: {set(tensors) ^ set(arrays.files)}")
    for name, a in tensors.items():
        b = arrays[name]
        if (a.dtype, a.shape, a.tobytes()) != (b.dtype, b.shape, b.tobytes()):
            sys.exit(f"{name}: {a.dtype} {a.shape} against {b.dtype} {b.shape}, or other values")
    print(f"{tensors_file}: {len(tensors)} tensors, every bit the same")
