#!/usr/bin/env python3
"""Writes pickles/: small files as Python's own pickle, numpy, joblib and torch write them.

Made with Python 3.11.7, numpy 2.4.6, scipy 1.17.1, joblib 1.6.0, torch 2.11.0. Classes that cannot be imported any more
(chumpy), other libraries' spellings of today (numpy before 2, Python 2) and refused names are stand-ins that only carry
the name; Python's pickle writes all bytes. What the files hold is said in test_pickle.cpp and test_bodies.cpp.
"""
import collections
import gzip
import io
import pathlib
import pickle
import sys
import types
import zlib

import joblib
import numpy as np
import scipy.sparse
import torch

OUT = pathlib.Path(__file__).parent / "pickles"


def class_named(module, name, bases=(object,)):
    """A class that pickle writes under this name; the module exists only here."""
    parts = module.split(".")
    for i in range(1, len(parts) + 1):
        sys.modules.setdefault(".".join(parts[:i]), types.ModuleType(".".join(parts[:i])))
    made = type(name, bases, {"__module__": module})
    setattr(sys.modules[module], name, made)
    return made


def with_state(made, **state):
    instance = made.__new__(made)
    instance.__dict__.update(state)
    return instance


Ch = class_named("chumpy.ch", "Ch")
Select = class_named("chumpy.reordering", "Select", (Ch,))
MatVecMult = class_named("chumpy.linalg", "MatVecMult", (Ch,))


def chumpy(x):
    return with_state(Ch, x=x, _dirty_vars=set(), _itr=None, _depends_on_deps={}, _make_dense=False)


def save(name, content):
    OUT.mkdir(exist_ok=True)
    (OUT / name).write_bytes(content)


def python2(value):
    """Protocol 0 as Python 2 writes it: str and bytes are STRING with its repr, dictionary keys too."""
    class Pickler(pickle._Pickler):
        dispatch = dict(pickle._Pickler.dispatch)

        def save_text(self, text):
            raw = text if isinstance(text, bytes) else text.encode("latin-1")
            self.write(b"S" + repr(raw)[1:].encode() + b"\n")
            self.memoize(text)

        dispatch[bytes] = save_text
        dispatch[str] = save_text

    out = io.BytesIO()
    Pickler(out, 0).dump(value)
    return out.getvalue().replace(b"numpy._core.", b"numpy.core.").replace(b"csc\n_csc", b"csc")


def old_names(content):
    """NumPy before 2 in files of text opcodes (protocol 2)."""
    return content.replace(b"cnumpy._core.", b"cnumpy.core.")


def array(*shape, dtype="f8"):
    return (np.arange(int(np.prod(shape))).reshape(shape) / 4).astype(dtype)


# ---- single values ----

def all_kinds():
    return {
        "none": None, "true": True, "false": False, "small": -5, "large": 2 ** 40, "negative": -2 ** 40, "root": 4294967295,
        "real": 0.1, "infinite": float("inf"), "text": "größe \n\\ 'q\"", "bytes": bytes(range(256)), "empty": "",
        "list": [1, 2.5, "a"], "tuple": (1, (2, 3)), "set": {7}, "frozen": frozenset([8]),
        "ordered": collections.OrderedDict([("b", 1), ("a", 2)]), "default": collections.defaultdict(dict, {np.int64(3): {"x": 1}}),
        "array": bytearray(b"ab"), "path": pathlib.PosixPath("/a/b.png"), (1, "t"): "key of a tuple",
    }


def array_kinds():
    return {
        "f8": array(2, 3), "f4": array(2, 3, dtype="f4"), "f2": array(2, 3, dtype="f2"), "big": array(2, 3, dtype=">f8"),
        "big_i2": np.array([1, -2], ">i2"), "fortran": np.asfortranarray(array(2, 3)), "i8": np.array([1, -2]), "u4": np.array([2 ** 32 - 1], "u4"),
        "u1": np.array([200], "u1"), "bool": np.array([True, False]), "text": np.array(["ab", "größe"]),
        "bytes": np.array([b"ab", b"c"]), "scalar": np.float32(0.5), "integer": np.int64(-7), "truth": np.bool_(True), "word": np.str_("hé"),
        "point": np.array(2.5), "empty": np.zeros((0, 3)), "objects": np.array([{"a": 1}, [2, 3]], dtype=object),
        "grid": np.array([[1, "x"], [None, 2.5]], dtype=object), "transposed": array(2, 3, 4).transpose(1, 2, 0),
    }


def plain_pickles():
    for protocol in range(6):
        save(f"kinds_{protocol}.pkl", pickle.dumps(all_kinds(), protocol))
        save(f"arrays_{protocol}.pkl", pickle.dumps(array_kinds(), protocol))
    old = {k: v for k, v in array_kinds().items() if k not in ("text", "word")}
    save("arrays_python2.pkl", python2(old))
    save("kinds_python2.pkl", python2({"escapes": b"\x00\n\r\t\\'\"\xff\x7f", "quote": b"it's", "yes": True, "no": False,
                                       "long": 2 ** 40, "real": 1.5}))
    save("numpy1.pkl", old_names(pickle.dumps(array_kinds(), 2)))
    shared = [1, 2]
    save("shared.pkl", pickle.dumps([shared, shared, [shared]], 4))


# ---- containers ----

def containers():
    value = {"a": array(2, 3), "b": np.asfortranarray(array(3, 2, dtype="f4")), "c": np.array([None, {"x": array(2)}], dtype=object), "d": "text"}
    joblib.dump(value, OUT / "joblib_aligned.pkl")
    joblib.dump(value, OUT / "joblib_zlib.pkl", compress=3)
    joblib.dump(value, OUT / "joblib_gzip.pkl", compress=("gzip", 3))
    for method in ("bz2", "lzma", "xz"):
        joblib.dump({"a": 1}, OUT / f"joblib_{method}.pkl", compress=(method, 3))
    # joblib before 1.2: no alignment.
    from joblib import numpy_pickle
    created = numpy_pickle.NumpyArrayWrapper.__init__

    def before(self, *arguments, **named):
        named["numpy_array_alignment_bytes"] = None
        created(self, *arguments, **named)
        del self.numpy_array_alignment_bytes

    numpy_pickle.NumpyArrayWrapper.__init__ = before
    joblib.dump(value, OUT / "joblib_old.pkl")
    numpy_pickle.NumpyArrayWrapper.__init__ = created
    # Not by joblib itself: its stream may also be a plain zlib file.
    save("plain_gzip.pkl", gzip.compress(pickle.dumps({"a": 1}, 4), mtime=0))

    inside = {"results": {"poses": array(2, 3), "name": "x"}}
    np.save(OUT / "object.npy", inside, allow_pickle=True)
    np.save(OUT / "objects.npy", np.array([1, "b", None], dtype=object), allow_pickle=True)
    np.savez(OUT / "objects.npz", results=inside["results"], plain=array(2), text=np.array("female"), bytes=np.array(b"male"),
             words=np.array(["a", "bc"]), big=array(2, dtype=">f4"), structure=np.zeros(1, [("x", "f4")]), complex=np.zeros(1, "c8"),
             bad=np.array([torch.Size], dtype=object))


def torch_files():
    base = torch.arange(12, dtype=torch.float32)
    value = collections.OrderedDict(
        whole=base.view(3, 4), view=base.view(3, 4).t()[1:3], part=base[2:5], shared=base[::3], scalar=torch.tensor(2.5, dtype=torch.float64),
        empty=torch.zeros(0, 3), half=base[:3].half(), brain=base[:3].bfloat16(), long=torch.tensor([1, -2]), int=torch.tensor([3], dtype=torch.int32),
        byte=torch.tensor([200], dtype=torch.uint8), bool=torch.tensor([True, False]), unsigned=torch.tensor([65535], dtype=torch.uint16),
        nested={"params": {"betas": torch.ones(1, 2)}, "list": [torch.zeros(1), 3]}, parameter=torch.nn.Parameter(torch.ones(2)),
        size=torch.Size([2, 3]), dtype=torch.float32, array=array(2))
    torch.save(value, OUT / "torch.pt")
    torch.save({k: v for k, v in value.items() if k != "unsigned"}, OUT / "torch_old.pt", _use_new_zipfile_serialization=False)
    torch.save({"z": torch.zeros(2, dtype=torch.complex64)}, OUT / "torch_complex.pt")
    torch.save([torch.sparse_coo_tensor([[0]], [1.0], (2,))], OUT / "torch_sparse.pt")
    with open(OUT / "torch_in_pickle.pkl", "wb") as file:
        pickle.dump({"pose": torch.zeros(2)}, file, 4)
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), OUT / "torch_script.pt")


# ---- refused ----

def refused():
    for module, name in [("os", "system"), ("builtins", "eval"), ("subprocess", "Popen"), ("numpy", "load"), ("torch.storage", "_load_from_bytes"),
                         ("collections", "deque"), ("numpy.random._pickle", "__randomstate_ctor")]:
        for protocol in (0, 2, 4):
            where = module.encode(), name.encode()
            if protocol < 4:
                head = (b"\x80\x02" if protocol == 2 else b"") + b"c" + where[0] + b"\n" + where[1] + b"\n"
            else:
                head = b"\x80\x04" + b"".join(b"\x8c" + bytes([len(x)]) + x for x in where) + b"\x93"
            save(f"names_{module}.{name}_{protocol}.pkl", head + b"(S'a'\ntR.")
    save("names_builtins.complex_4.pkl", pickle.dumps({"z": 1j}, 4))
    save("structure.pkl", pickle.dumps(np.zeros(2, [("x", "f4")]), 4))
    save("complex_array.pkl", pickle.dumps(np.zeros(2, "c16"), 4))
    save("dates.pkl", pickle.dumps(np.zeros(2, "M8[s]"), 4))
    save("matrix_class.pkl", pickle.dumps(np.ma.zeros(2), 4))
    save("csr.pkl", pickle.dumps(scipy.sparse.csr_matrix(np.eye(2)), 4))
    buffers = []
    save("out_of_band.pkl", pickle.dumps(array(3), 5, buffer_callback=buffers.append))
    me = []
    me.append(me)
    save("itself.pkl", pickle.dumps(me, 4))
    text = pickle.dumps({"pose": array(2), "name": "a\nb"}, 0)
    save("line_ends.pkl", text.replace(b"\n", b"\r\n"))
    save("line_ends_2.pkl", pickle.dumps({"pose": array(2)}, 2).replace(b"\n", b"\r\n"))


# ---- bodies ----

def small_body(joints=4, betas=3):
    """A strip of eight vertices on a chain of joints; numbers that float32 holds."""
    vertices, count = array(8, 3), 8
    faces = np.array([[i, i + 1, i + 2] for i in range(6)], "u4")
    weights = np.zeros((count, joints))
    weights[np.arange(count), np.arange(count) % joints] = 0.75
    weights[np.arange(count), (np.arange(count) + 1) % joints] += 0.25
    regressor = np.zeros((joints, count))
    regressor[np.arange(joints), np.arange(joints)] = 0.5
    regressor[np.arange(joints), np.arange(joints) + 3] = 0.5
    tree = np.array([[4294967295] + list(range(joints - 1)), range(joints)], "u4")
    return {
        "v_template": vertices, "f": faces, "weights": weights, "J_regressor": regressor, "kintree_table": tree,
        "shapedirs": array(count, 3, betas) / 8, "posedirs": array(count, 3, 9 * (joints - 1)) / 64,
        "bs_style": "lbs", "bs_type": "lrotmin", "J": array(joints, 3), "pose_training_info": {"gender": "f", "rows": 1},
        "vert_sym_idxs": np.arange(count),
    }


def bodies():
    body = small_body()
    sparse = dict(body, J_regressor=scipy.sparse.csc_matrix(body["J_regressor"]),
                  J_regressor_prior=scipy.sparse.csc_matrix(body["J_regressor"]))
    many = np.zeros((8, 3, 5))
    many[:, :, :3] = body["shapedirs"]
    picked = np.arange(many.size).reshape(many.shape)[:, :, :3]
    select = with_state(Select, a=chumpy(many), idxs=picked.ravel(), preferred_shape=(8, 3, 3))
    first = dict(sparse, shapedirs=select, J=with_state(MatVecMult, a=chumpy(body["J"])), v_template=chumpy(body["v_template"]))
    np.savez(OUT / "body.npz", **{k: v for k, v in body.items() if k != "pose_training_info"})
    save("body_0.pkl", python2(sparse).replace(b"scipy.sparse._csc", b"scipy.sparse.csc"))
    for protocol in (2, 4, 5):
        save(f"body_{protocol}.pkl", old_names(pickle.dumps(sparse, protocol)))
    save("body_chumpy.pkl", pickle.dumps(first, 2))
    save("body_chumpy_python2.pkl", python2(first))
    save("body_expression.pkl", pickle.dumps(dict(first, shapedirs=with_state(MatVecMult, a=1)), 2))
    np.savez(OUT / "body_csc.npz", **dict({k: v for k, v in body.items() if k != "pose_training_info"},
                                          J_regressor=np.array(sparse["J_regressor"], dtype=object)))
    # SMPL-X writes tables of names that nothing here needs, as pickles.
    np.savez(OUT / "body_names.npz", **dict({k: v for k, v in body.items() if k != "pose_training_info"},
                                            joint2num=np.array({"Pelvis": 0}, dtype=object), part2num=np.array([torch.Size], dtype=object)))
    save("body_dual_quaternions.pkl", pickle.dumps(dict(sparse, bs_style="dqs"), 2))
    folder = OUT / "misc"
    folder.mkdir(exist_ok=True)
    kinds = {"male": 1.0, "female": 2.0, "neutral": 3.0}
    np.savez(folder / "faces.npz", faces=body["f"].astype("i8"))
    for file, key in [("J_regressors", "J_regressor"), ("posedirs_all", "posedirs"), ("shapedirs_all", "shapedirs"),
                      ("skinning_weights_all", "weights"), ("v_templates", "v_template")]:
        np.savez(folder / f"{file}.npz", **{kind: body[key] * (scale if key == "v_template" else 1) for kind, scale in kinds.items()})
    np.save(folder / "kintree_table.npy", np.array([[-1, 0, 1, 2], [0, 1, 2, 3]], "i4"))
    np.savez(OUT / "rig.npz", vertices=body["v_template"], faces=body["f"], weights=body["weights"], joints=body["J"],
             parents=np.array([-1, 0, 1, 2]))


OUT.mkdir(exist_ok=True)
plain_pickles()
containers()
torch_files()
refused()
bodies()
