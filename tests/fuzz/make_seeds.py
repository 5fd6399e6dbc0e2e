#!/usr/bin/env python3
"""Writes corpus/: the seeds that this file can say in words. Inputs that a fuzzer found lie there beside them.

valid_* are taken, all others refused (replay.cpp).
"""
import gzip
import io
import json
import pathlib
import pickle
import struct
import zipfile
import zlib

CORPUS = pathlib.Path(__file__).parent / "corpus"


def save(target, name, content):
    file = CORPUS / target / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())


# ---- npy, npz ----

def npy(descr, shape, data, fortran=False, version=1):
    header = f"{{'descr': {descr!r}, 'fortran_order': {fortran}, 'shape': {shape}}}\n".encode()
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + data


def floats(*values):
    return struct.pack(f"<{len(values)}f", *values)


def longs(*values):
    return struct.pack(f"<{len(values)}q", *values)


def npz(arrays, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as file:
        for key, array in arrays.items():
            file.writestr(zipfile.ZipInfo(key + ".npy"), array, compress_type=method)
    return out.getvalue()


def patched(content, at, value):
    return content[:at] + value + content[at + len(value):]


def npz_seeds():
    two = npy("<f4", (2,), floats(1, float("nan")))
    for name, array in {
        "valid_f4": two,
        "valid_scalar": npy("<f8", (), struct.pack("<d", 0.5)),
        "valid_fortran": npy("<i2", (2, 3), struct.pack("<6h", *range(6)), fortran=True),
        "valid_text": npy("<U3", (2,), "abcä\0\0".encode("utf-32-le"), version=3),
        "valid_empty_text": npy("<U0", (2 ** 60,), b""),
        "valid_no_rows": npy("<f4", (0, 3), b""),
        "valid_half": npy("<f2", (2,), struct.pack("<2e", 1.5, float("inf"))),
        "valid_bool": npy("|b1", (3,), bytes([0, 1, 7])),
        "valid_unsigned_too_large": npy("<u8", (1,), b"\xff" * 8),  # of no tensor
        "valid_not_unicode": npy("<U1", (1,), b"\xff" * 4),         # of no text
        "valid_object": npy("|O", (1,), b"\x80\x03]q\x00."),
        "valid_structure": npy([("x", "<f4"), ("y", "<f4")], (1,), bytes(8)),
        "header_cut_off": two[:30],
        "data_cut_off": two[:-1],
        "data_too_long": two + b"x",
        "huge_size": npy("<f4", (2 ** 62,), bytes(8)),
        "huge_product": npy("<f4", (2 ** 32, 2 ** 32), bytes(8)),
        "huge_beside_zero": npy("<f4", (0, 2 ** 62, 4), b""),
        "huge_number": npy("<f4", "(" + "9" * 30 + ",)", bytes(8)),
        "negative_size": npy("<f4", "(-2,)", bytes(8)),
        "dimensions_33": npy("<f4", (1,) * 33, bytes(4)),
        "version_9": patched(two, 6, b"\x09"),
        "header_of_4_gib": b"\x93NUMPY\x02\x00\xff\xff\xff\xff{",
        "unknown_key": npy("<f4", (2,), bytes(8)).replace(b"'descr'", b"'dexcr'"),
        "quote_without_end": b"\x93NUMPY\x01\x00\x02\x00{'",
        "list_without_end": b"\x93NUMPY\x01\x00\x0a\x00{'descr':[",
        "magic_only": b"\x93NUMPY",
    }.items():
        save("npz", name + ".npy", array)

    stored = npz({"a": two, "b": npy("|u1", (1,), b"\x07")})
    deflated = npz({"zeros": npy("<f4", (300,), bytes(1200))}, zipfile.ZIP_DEFLATED)
    central, end = deflated.rindex(b"PK\1\2"), deflated.rindex(b"PK\5\6")
    overlap = stored.rindex(b"PK\1\2")
    for name, archive in {
        "valid_stored": stored,
        "valid_deflated": deflated,
        "valid_no_member": npz({}),
        "nothing": b"",
        "text": b"not a zip file, but long enough to be one",
        "cut_off": stored[:-30],
        "middle_missing": stored[:80] + stored[200:],
        "key_twice": stored.replace(b"b.npy", b"a.npy"),
        "checksum_wrong": patched(stored, stored.index(b"\x07PK"), b"\x08"),
        "claims_4_gib": patched(deflated, central + 24, b"\xfe\xff\xff\xff"),
        "claims_less": patched(deflated, central + 24, struct.pack("<I", 1200)),
        "packed_beyond_end": patched(deflated, central + 20, b"\xff\xff\xff\x7f"),
        "members_share_bytes": patched(stored, overlap + 20, struct.pack("<II", 400, 400)),
        "zip64_without_field": patched(deflated, central + 24, b"\xff\xff\xff\xff"),
        "header_outside": patched(deflated, central + 42, b"\xff\xff\xff\x7f"),
        "encrypted": patched(deflated, central + 8, b"\x01"),
        "method_12": patched(deflated, central + 10, b"\x0c"),
        "members_65535": patched(deflated, end + 8, b"\xff" * 4),
        "directory_outside": patched(deflated, end + 12, b"\xff" * 8),
    }.items():
        save("npz", name + ".npz", archive)


# ---- safetensors ----

def safetensors(header, data=b"", length=None):
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def safetensors_seeds():
    good = {"__metadata__": {"format": "pt"}, "a": tensor("F32", [2], 0, 8), "b": tensor("I64", [], 8, 16),
            "c": tensor("BOOL", [2, 1], 16, 18), "none": tensor("F64", [0, 4], 18, 18)}
    data = floats(1, float("nan")) + longs(-1) + b"\x01\x00"
    whole = safetensors(good, data)
    for name, content in {
        "valid_all": whole,
        "valid_no_tensor": safetensors({}),
        "valid_types": safetensors({t: tensor(t, [1], b, e) for t, b, e in [
            ("F16", 0, 2), ("BF16", 2, 4), ("I32", 4, 8), ("I16", 8, 10), ("I8", 10, 11), ("U8", 11, 12)]}, bytes(12)),
        "nothing": b"",
        "cut_off": whole[:-1],
        "one_byte_more": whole + b"x",
        "header_cut_off": whole[:40],
        "header_of_2_63": safetensors(good, data, length=2 ** 63),
        "not_json": safetensors("{'a': 1}"),
        "list": safetensors([1, 2]),
        "deep": safetensors("[" * 5000),
        "entry_of_text": safetensors({"a": "b"}),
        "dtype_unknown": safetensors({"a": tensor("F8", [1], 0, 1)}, b"x"),
        "dtype_number": safetensors({"a": tensor(32, [1], 0, 1)}, b"x"),
        "negative_size": safetensors({"a": tensor("U8", [-1], 0, 1)}, b"x"),
        "size_of_text": safetensors({"a": tensor("U8", ["\ud800"], 0, 1)}, b"x"),
        "size_deep": safetensors('{"a":{"dtype":"U8","data_offsets":[0,1],"shape":[' + "[" * 5000 + "]" * 5000 + "]}}", b"x"),
        "fraction": safetensors({"a": tensor("U8", [1.0], 0, 1)}, b"x"),
        "huge_product": safetensors({"a": tensor("F32", [2 ** 32, 2 ** 32], 0, 0)}),
        "huge_beside_zero": safetensors({"a": tensor("F32", [0, 2 ** 62], 0, 0)}),
        "size_of_2_64": safetensors('{"a":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,1]}}', b"x"),
        "dimensions_65": safetensors({"a": tensor("U8", [1] * 65, 0, 1)}, b"x"),
        "offsets_reversed": safetensors({"a": tensor("U8", [1], 1, 0)}, b"x"),
        "offsets_outside": safetensors({"a": tensor("U8", [2 ** 40], 0, 2 ** 40)}, b"x"),
        "overlap": safetensors({"a": tensor("U8", [2], 0, 2), "b": tensor("U8", [2], 1, 3)}, bytes(3)),
        "hole": safetensors({"a": tensor("U8", [1], 0, 1), "b": tensor("U8", [1], 2, 3)}, bytes(3)),
        "name_twice": safetensors('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
                                  '"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}', bytes(2)),
        "bool_of_7": safetensors({"a": tensor("BOOL", [2], 0, 2)}, b"\x01\x07"),
    }.items():
        save("safetensors", name, content)


# ---- configuration ----

def config_seeds():
    for name, text in {
        "valid_all": "learn: false\nname: \"a \\\" # b\"\nsheets: [color, 'x y']\noutput: runs/../a/\n"
                     "grid: {levels: -4, rate: 1e-300}\n"
                     "losses:\n  depth: null\n  mask: {weight: [[0, 1], [0.5, 2]], reaches: [a, b]}\n  new: {reaches: null}\n",
        "valid_nothing": "",
        "valid_comment": "# nothing\n---\n...\n",
        "valid_alias": "losses:\n  a: &a {weight: 3}\n  b: *a\n",
        "valid_escapes": "name: \"\\0\\x07\\t\\n\\u2028\\x85\\ufeff'\"\n",
        "valid_strange_names": "losses: {'': {}, 'a: b': {}, '*a': {}, '~': {}, ' ': {}, '\"': {}}\n",
        "valid_utf16": "name: größe\n".encode("utf-16"),
        "valid_argument": "losses.depth_ranking.weight=[[0, 0], [0.5, 2]]",
        "valid_argument_empty": "name=",
        "valid_argument_equals": "name=a=b",
        "unknown_key": "grid: {level: 3}\n",
        "unknown_key_long": "a" * 200 + ": 3\n",
        "key_twice": "name: a\nname: b\n",
        "key_list": "? [a, b]\n: 3\n",
        "not_a_map": "[1, 2]\n",
        "not_yaml": "name: [a, b\n",
        "tabs": "grid:\n\tlevels: 3\n",
        "two_documents": "name: a\n---\nname: b\n",
        "comma_before_all": " ,10[]\n",
        "deep": "[" * 3000,
        "deep_map": "{a: " * 400 + "1" + "}" * 400,
        "alias_unknown": "name: *a\n",
        "alias_of_itself": "losses: &a\n  x: *a\n",
        "alias_of_itself_in_a_list": "sheets: &a [*a]\n",
        "nan": "grid: {rate: .nan}\n",
        "nan_plain": "grid: {rate: nan}\n",
        "infinite": "grid: {rate: 1e999}\n",
        "integer_2_63": "grid: {levels: 9223372036854775808}\n",
        "integer_fraction": "grid: {levels: 1.5}\n",
        "integer_quoted": "grid: {levels: \"3\"}\n",
        "bool_yes": "learn: yes\n",
        "text_of_map": "name: {a: b}\n",
        "schedule_falls": "losses: {a: {weight: [[0, 1], [0.5, 2], [0.4, 3]]}}\n",
        "schedule_nan": "losses: {a: {weight: [[nan, 1]]}}\n",
        "schedule_empty": "losses: {a: {weight: []}}\n",
        "remove_nothing": "losses: {nobody: null}\n",
        "argument_no_key": "=3",
        "argument_empty_key": "grid..levels=3",
        "argument_not_yaml": "sheets=[",
        "argument_two_lists": "sheets=[a] [b]",
        "argument_long": "losses." + "a" * 1100 + ".weight=1",  # of no line that YAML reads back
        "argument_comma": "losses.depth_ranking=,a",
        "argument_unknown": "grid.levles=3",
    }.items():
        save("config", name + ".yaml", text)


# ---- bodies ----

def body(**changes):
    """A triangle on two joints."""
    arrays = {
        "v_template": npy("<f4", (3, 3), floats(0, 0, 0, 1, 0, 0, 0, 1, 0)),
        "f": npy("<u4", (1, 3), struct.pack("<3I", 0, 1, 2)),
        "weights": npy("<f4", (3, 2), floats(1, 0, .5, .5, 0, 1)),
        "J_regressor": npy("<f4", (2, 3), floats(1, 0, 0, 0, .5, .5)),
        "kintree_table": npy("<u4", (2, 2), struct.pack("<4I", 2 ** 32 - 1, 0, 0, 1)),
        "shapedirs": npy("<f2", (3, 3, 1), bytes(18)),
        "posedirs": npy("<f4", (3, 3, 9), floats(*range(81))),
    }
    arrays.update(changes)
    return npz({key: array for key, array in arrays.items() if array})


def body_seeds():
    tree = lambda *parents: npy("<i8", (2, 2), longs(*parents, 0, 1))
    for name, content in {
        "valid_all": body(),
        "valid_least": body(shapedirs=None, posedirs=None, kintree_table=tree(-1, 0)),
        "nothing": b"",
        "no_weights": body(weights=None),
        "cut_off": body()[:700],
        "no_vertex": body(v_template=npy("<f4", (0, 3), b""), weights=npy("<f4", (0, 2), b""),
                          J_regressor=npy("<f4", (2, 0), b"")),
        "no_joint": body(weights=npy("<f4", (3, 0), b""), J_regressor=npy("<f4", (0, 3), b""),
                         kintree_table=npy("<i8", (2, 0), b"")),
        "no_face": body(f=npy("<u4", (0, 3), b"")),
        "vertices_flat": body(v_template=npy("<f4", (9,), bytes(36))),
        "vertices_scalar": body(v_template=npy("<f4", (), bytes(4))),
        "vertices_nan": body(v_template=npy("<f4", (3, 3), floats(*[float("nan")] * 9))),
        "vertices_of_text": body(v_template=npy("<U1", (3, 3), bytes(36))),
        "shapes_infinite": body(shapedirs=npy("<f4", (3, 3, 1), floats(*[float("inf")] * 9))),
        "shapes_huge_beside_zero": body(shapedirs=npy("<f4", (0, 3, 2 ** 58), b"")),
        "face_beyond": body(f=npy("<u4", (1, 3), struct.pack("<3I", 0, 1, 3))),
        "face_negative": body(f=npy("<i8", (1, 3), longs(0, -1, 2))),
        "face_nan": body(f=npy("<f4", (1, 3), floats(0, float("nan"), 2))),
        "face_fraction": body(f=npy("<f4", (1, 3), floats(0, 1.5, 2))),
        "weights_do_not_sum": body(weights=npy("<f4", (3, 2), bytes(24))),
        "weights_negative": body(weights=npy("<f4", (3, 2), floats(2, -1, 2, -1, 2, -1))),
        "weights_transposed": body(weights=npy("<f4", (2, 3), floats(1, 0, 0, 0, 1, 0))),
        "regressor_short": body(J_regressor=npy("<f4", (2, 2), floats(1, 0, 0, 1))),
        "tree_loop": body(kintree_table=tree(-1, 1)),
        "tree_beyond": body(kintree_table=tree(-1, 2)),
        "tree_root_missing": body(kintree_table=tree(0, 0)),
        "tree_one_row": body(kintree_table=npy("<i8", (2,), longs(-1, 0))),
        "pose_directions_short": body(posedirs=npy("<f4", (3, 3, 8), floats(*range(72)))),
    }.items():
        save("body", name + ".npz", content)


# ---- pickles, torch files, JSON ----

def array_of(shape, descr, data):
    """numpy's own opcodes: _reconstruct(ndarray, (0,), b"b"), then its state."""
    return (b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntC\x01btR(I1\n" + shape + b"cnumpy\ndtype\n(" + descr
            + b"I00\nI01\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nC" + bytes([len(data)]) + data + b"tb")


def joblib_array(dtype, data, alignment=b""):
    return (b"\x80\x02cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81(dS'dtype'\ncnumpy\ndtype\n(" + dtype + b"I0\nI1\ntRs"
            b"S'shape'\n(I2\ntsS'order'\nS'C'\ns" + alignment + b"b" + data + b".")


def pickle_seeds():
    value = {"a": [1, -2 ** 40, 0.5, None, True, "\u00e4", b"x"], "b": (1, (2, {3: 4}))}
    ones = array_of(b"(I2\nt", b"S'f4'\n", floats(1, 2))
    aligned = b"S'numpy_array_alignment_bytes'\nI16\ns"
    for name, content in {
        **{f"valid_protocol_{p}": pickle.dumps(value, p) for p in range(6)},
        "valid_set": pickle.dumps([{1}, frozenset([2]), bytearray(b"a")], 4),
        "valid_array": ones + b".",
        "valid_shared": b"(l" + ones + b"p1\nag1\nag1\na.",
        "valid_objects": array_of(b"(I1\nt", b"S'O8'\n", b"").replace(b"C\x00tb", b"(lI7\natb") + b".",
        "valid_scalar": b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'i8'\nI0\nI1\ntRC\x08" + longs(-7) + b"tR.",
        "valid_buffer": b"cnumpy.core.numeric\n_frombuffer\n(C\x08" + longs(7) + b"cnumpy\ndtype\n(S'i4'\nI0\nI1\ntR(I1\nI2\ntS'K'\n(I1\nI0\nttR.",
        "valid_sparse": b"cscipy.sparse._csc\ncsc_matrix\n(tR(dS'_shape'\n(I2\nI1\ntsS'data'\n(lF1.5\nasS'indices'\n(lI1\nasS'indptr'\n(lI0\naI1\nasb.",
        "valid_select": b"cchumpy.reordering\nSelect\n(tR(dS'a'\ncchumpy.ch\nCh\n(tR(dS'x'\n(lF1\naF2\nasbsS'idxs'\n(lI1\naI0\nasS'preferred_shape'\n(I2\nI1\ntsb.",
        "valid_ordered": b"ccollections\nOrderedDict\n((l(S'a'\nI1\ntatRS'b'\nI2\ns.",
        "valid_joblib": joblib_array(b"S'f4'\n", floats(1, 2)),
        "valid_joblib_aligned": joblib_array(b"S'f4'\n", b"\x03\xff\xff\xff" + floats(1, 2), aligned),
        "valid_joblib_objects": joblib_array(b"S'O8'\n", b"(lI1\na."),
        "valid_zlib": zlib.compress(pickle.dumps(value, 4)),
        "valid_gzip": gzip.compress(pickle.dumps(value, 4), mtime=0),
        "valid_codecs": b"c_codecs\nencode\n(X\x02\x00\x00\x00\xc3\xa4X\x06\x00\x00\x00latin1tR.",
        "nothing": b"",
        "system": b"cos\nsystem\n(S'a'\ntR.",
        "persistent": b"(dS'a'\nK\x01Qs.",
        "instance": b"(ios\nsystem\n.",
        "named_arguments": b"}}}\x92.",
        "extension": b"]\x82\x01.",
        "buffer_outside": b"\x80\x05\x97.",
        "mark_missing": b"]tttt.",
        "stack_empty": b"}aaaa.",
        "below_mark": b"](a.",
        "no_end": b"(lI1\na",
        "memo_far": b"]r\xff\xff\xff\xff.",
        "memo_empty": b"]g5\n.",
        "itself": b"(lp1\ng1\na.",
        "deep": b"]" * 5000 + b"a" * 4999 + b".",
        "integer_long": b"(lL" + b"9" * 400 + b"L\na.",
        "text_huge": b"]X\xff\xff\xff\xffa",
        "bytes_huge": b"]\x8e" + b"\xff" * 8,
        "escape_broken": b"(dS'\\x4'\nI1\ns.",
        "array_short": array_of(b"(I3\nt", b"S'f4'\n", floats(1, 2)) + b".",
        "array_huge": array_of(b"(I99999999999\nI99999999999\nt", b"S'f4'\n", floats(1, 2)) + b".",
        "array_negative": array_of(b"(I-2\nt", b"S'f4'\n", floats(1, 2)) + b".",
        "array_complex": array_of(b"(I1\nt", b"S'c8'\n", floats(1, 2)) + b".",
        "sparse_rows": b"cscipy.sparse._csc\ncsc_matrix\n(tR(dS'_shape'\n(I1\nI1\ntsS'data'\n(lF1.5\nasS'indices'\n(lI1\nasS'indptr'\n(lI0\naI1\nasb.",
        "sparse_huge": b"cscipy.sparse._csc\ncsc_matrix\n(tR(dS'_shape'\n(I999999999\nI1\ntsS'data'\n(lF1.5\nasS'indices'\n(lI1\nasS'indptr'\n(lI0\naI1\nasb.",
        "joblib_cut_off": joblib_array(b"S'f4'\n", b"abc"),
        "joblib_huge": joblib_array(b"S'U99999999'\n", b"abc"),
        "zlib_cut_off": zlib.compress(pickle.dumps(value, 4))[:-6],
        "line_ends": b"(dp0\r\nS'a'\r\nI1\r\ns.",
    }.items():
        save("pickle", name, content)


def stored(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, content in files.items():
            file.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


def torch_seeds():
    def tensor(kind=b"FloatStorage", offset=b"0", shape=b"(I2\nI2\nt", strides=b"(I1\nI2\nt", key=b"0"):
        return (b"ctorch._utils\n_rebuild_tensor_v2\n((S'storage'\nctorch\n" + kind + b"\nS'" + key + b"'\nS'cpu'\nI4\ntQI" + offset
                + b"\n" + shape + strides + b"I00\nccollections\nOrderedDict\n)RtR")

    def archive(pickled, data=floats(1, 2, 3, 4), order=b"little"):
        return stored({"a/data.pkl": b"\x80\x02" + pickled + b".", "a/byteorder": order, "a/data/0": data})

    magic = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
    old = magic + b"\x80\x02M\xe9\x03." + b"}S'little_endian'\nI01\ns." + tensor() + b"." + b"(lS'0'\na." + longs(4) + floats(1, 2, 3, 4)
    for name, content in {
        "valid_tensor": archive(tensor()),
        "valid_view": archive(tensor(offset=b"2", shape=b"(I2\nt", strides=b"(I1\nt")),
        "valid_repeated": archive(tensor(strides=b"(I0\nI1\nt")),
        "valid_brain": archive(tensor(kind=b"BFloat16Storage")),
        "valid_big_endian": archive(tensor(kind=b"ShortStorage"), order=b"big"),
        "valid_nested": archive(b"(dS'a'\n(l" + tensor() + b"as"),
        "valid_old": old,
        "old_cut_off": old[:-1],
        "old_unknown": old.replace(b"M\xe9\x03", b"M\xe8\x03"),
        "view_outside": archive(tensor(offset=b"1")),
        "view_before": archive(tensor(offset=b"-1")),
        "stride_negative": archive(tensor(strides=b"(I-1\nI1\nt")),
        "stride_huge": archive(tensor(strides=b"(I9223372036854775807\nI1\nt")),
        "shape_huge": archive(tensor(shape=b"(I4611686018427387904\nI1\nt", strides=b"(I0\nI0\nt")),
        "shape_of_a_bomb": archive(tensor(shape=b"(I99999999\nI99\nt", strides=b"(I0\nI0\nt")),
        "storage_missing": archive(tensor(key=b"7")),
        "storage_complex": archive(tensor(kind=b"ComplexFloatStorage")),
        "script": stored({"a/data.pkl": b"N.", "a/constants.pkl": b"N."}),
        "other_zip": stored({"readme.txt": b"hello"}),
        "system": archive(b"cos\nsystem\n)R"),
    }.items():
        save("torch", name, content)


def json_seeds():
    for name, text in {
        "valid_all": '{"a": [1, -2.5e3, true, null, "\\u00e4\\n"], "b": {"c": [[1, 2], [3, 4]]}}',
        "valid_mark": "\ufeff[1]",
        "valid_large": "[18446744073709551615, 9223372036854775807]",
        "valid_twice": '{"a": 1, "a": 2}',
        "valid_ragged": "[[1, 2], [3]]",
        "cut_off": '{"a": [1, 2',
        "comma": "[1, 2,]",
        "nan": "[NaN]",
        "deep": "[" * 5000 + "]" * 5000,
        "deep_open": "[" * 100000,
        "not_utf8": b'["\xff"]',
        "two": "[1] [2]",
        "web_page": "<!DOCTYPE html><html></html>",
        "git_lfs": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    }.items():
        save("json", name, text)


# ---- bvh ----

def bvh(**changes):
    """A person of nine joints and two frames of 30 numbers; `changes` replace pieces of the text."""
    names = ["Hips", "LeftUpLeg", "LeftLeg", "LeftFoot", "RightUpLeg", "RightLeg", "RightFoot"]
    arms = [side + part for side in ("Left", "Right") for part in ("Arm", "ForeArm")]
    text = "HIERARCHY\nROOT Hips\n{\nOFFSET 0 0 0\nCHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation\n"
    for chain in (names[1:4], names[4:7], arms[:2], arms[2:]):
        for name in chain:
            text += f"JOINT {name}\n{{\nOFFSET 1 2 3\nCHANNELS 1 Xrotation\n"
        text += "End Site\n{\nOFFSET 0 1 0\n}\n" + "}\n" * len(chain)
    text += "}\nMOTION\nFrames: 2\nFrame Time: 0.04\n" + " ".join("1" * 16) + "\n" + " ".join("2" * 16) + "\n"
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new, 1)
    return text


def bvh_seeds():
    for name, content in {
        "valid_person": bvh(),
        "valid_signs": bvh(**{"0.04": "+4e-2"}),
        "empty": "",
        "no_person": bvh(LeftUpLeg="Tail"),
        "leg_upside_down": bvh(LeftUpLeg="LeftFoot"),
        "channel_unknown": bvh(Xrotation="Wrotation"),
        "channels_too_many": bvh(**{"CHANNELS 1": "CHANNELS 7"}),
        "offset_nan": bvh(**{"OFFSET 1 2 3": "OFFSET nan 2 3"}),
        "frames_too_many": bvh(**{"Frames: 2": "Frames: 100000000"}),
        "frames_cut": bvh(**{"Frames: 2": "Frames: 3"}),
        "frames_more": bvh(**{"Frames: 2": "Frames: 1"}),
        "time_zero": bvh(**{"0.04": "0"}),
        "second_root": bvh(MOTION="ROOT"),
        "not_closed": bvh(MOTION="JOINT"),
        "deep": "HIERARCHY\nROOT a\n" + "{JOINT b\n{ JOINT c\n" * 600,
    }.items():
        save("bvh", name + ".bvh", content)


# ---- poses in JSON ----

def fit_seeds():
    record = {"id": 1, "Rh": [[0, 1, 2]], "Th": [[1, 2, 3]], "poses": [[0] * 72], "shapes": [[0.5] * 10]}
    frame = {"poses": [0.1] * 72, "betas": [1] * 10, "cam_intrinsics": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
             "cam_extrinsics": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 5], [0, 0, 0, 1]]}
    for name, content in {
        "valid_easymocap": [record],
        "valid_annots": {"annots": [record | {"poses": [[0.1] * 69]}]},
        "valid_two_persons": [record, record | {"id": 2}],
        "valid_wild": {"frame_1": frame, "frame_2": frame},
        "valid_rows": {"poses": [[0.1] * 72] * 3, "trans": [[1, 2, 3]] * 3, "frame_ids": [1, 2, 9]},
        "valid_wham": {"0": {"pose": [[0.1] * 72], "trans": [[0, 0, 5]], "betas": [[0] * 10]}},
        "nobody": [],
        "person_twice": [record, record],
        "root_twice": [record | {"poses": [[1] * 72]}],
        "translation_short": [record | {"Th": [[1, 2]]}],
        "translation_text": [record | {"Th": "here"}],
        "poses_ragged": [record | {"poses": [[1], [1, 2]]}],
        "poses_odd": {"poses": [[0.1] * 71] * 2},
        "wild_millimetres": {"frame_1": frame | {"cam_extrinsics": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 5000], [0, 0, 0, 1]]}},
        "wild_betas": {"frame_1": frame | {"betas": [1e4] * 10}},
        "frames_descend": {"poses": [[0.1] * 72] * 2, "frame_ids": [4, 3]},
        "frames_huge": {"poses": [[0.1] * 72] * 2, "frame_ids": [0, 1e300]},
        "rows_differ": {"poses": [[0.1] * 72] * 2, "trans": [[0, 0, 0]]},
    }.items():
        save("fit", name + ".json", json.dumps(content))


# ---- meshes ----

def ply(kind="ascii", vertices=b"0 0 0\n1 0 0\n0 1 0\n", faces=b"3 0 1 2\n", count=3, corner="int"):
    return (f"ply\nformat {kind} 1.0\nelement vertex {count}\nproperty float x\nproperty float y\nproperty float z\n"
            f"element face 1\nproperty list uchar {corner} vertex_indices\nend_header\n").encode() + vertices + faces


def mesh_seeds():
    points, triangle = (0, 0, 0, 1, 0, 0, 0, 1, 0), (0, 1, 2)
    little = ply("binary_little_endian", floats(*points), struct.pack("<B3i", 3, *triangle))
    obj = "v 0 0 0\nv 1 0 0\nv 0 1 0\n"
    for name, content in {
        "valid_ascii.ply": ply(),
        "valid_little.ply": little,
        "valid_big.ply": ply("binary_big_endian", struct.pack(">9f", *points), struct.pack(">B3i", 3, *triangle)),
        "valid_quad.ply": ply(vertices=b"0 0 0 1 0 0 1 1 0 0 1 0 ", faces=b"4 0 1 2 3", count=4),
        "valid_triangle.obj": obj + "f 1 2 3\n",
        "valid_texture.obj": obj + "vt 0 0\nf 1/1 2//3 -1/1/1 # seen\n",
        "cut_off.ply": little[:-1],
        "header_open.ply": "ply\nformat ascii 1.0\n",
        "no_format.ply": ply().replace(b"format ascii 1.0\n", b""),
        "count_negative.ply": ply(count=-1),
        "count_huge.ply": ply(count=9223372036854775807),
        "list_huge.ply": ply("binary_little_endian", floats(*points), struct.pack("<B3i", 255, *triangle)),
        "type_unknown.ply": ply(corner="half"),
        "corner_nan.ply": ply(faces=b"3 0 1 nan\n", corner="float"),
        "corner_beyond.ply": ply(faces=b"3 0 1 3\n"),
        "vertex_nan.ply": ply(vertices=b"0 0 0 1 0 nan 0 1 0 "),
        "vertex_beyond_float.ply": ply(vertices=b"0 0 0 1 0 1e300 0 1 0 "),
        "no_face.obj": obj,
        "vertex_beyond_float.obj": obj.replace("1 0 0", "1 0 1e300") + "f 1 2 3\n",
        "corner_zero.obj": obj + "f 0 1 2\n",
        "corner_before.obj": obj + "f -4 1 2\n",
        "corner_later.obj": "f 1 2 3\n" + obj,
        "corner_text.obj": obj + "f a b c\n",
        "line.obj": obj + "f 1 2\n",
    }.items():
        save("mesh", name, content)


npz_seeds()
mesh_seeds()
bvh_seeds()
fit_seeds()
safetensors_seeds()
config_seeds()
body_seeds()
pickle_seeds()
torch_seeds()
json_seeds()


# ---- COLMAP, OpenCV's YAML: a letter in front says which ----

def colmap_camera(identity=1, model=1, width=32, height=24, params=(40, 41, 17.5, 10.25)):
    return struct.pack("<iiQQ", identity, model, width, height) + struct.pack(f"<{len(params)}d", *params)


def colmap_image(name=b"0.png\0", quaternion=(1, 0, 0, 0), points=0):
    return struct.pack("<I7dI", 1, *quaternion, 0, 0, 3, 1) + name + struct.pack("<Q", points) + bytes(24 * min(points, 4))


def counted(*items, count=None):
    return struct.pack("<Q", len(items) if count is None else count) + b"".join(items)


for seed_name, content in {
        "valid_cameras": b"c" + counted(colmap_camera()),
        "valid_images": b"i" + counted(colmap_image(points=2), colmap_image(b"1.png\0")),
        "valid_cameras_text": b"C# one\n1 PINHOLE 32 24 40 41 17.5 10.25\r\n",
        "valid_images_text": b"I1 1 0 0 0 0 0 3 1 a b.png\n\n2 1 0 0 0 0 0 3 1 c.png\n3 4 -1\n",
        "valid_yaml": b"y%YAML:1.0\n---\nnames:\n  - \"01\"\nK_01: !!opencv-matrix\n   rows: 1\n   cols: 2\n   dt: d\n"
                      b"   data: [ 1., -2.5e-1 ]\n",
        "count_lies": b"c" + counted(colmap_camera(), count=1 << 61),
        "count_wraps": b"i" + counted(colmap_image(points=1 << 62)),
        "points_missing": b"i" + counted(colmap_image(points=9)),
        "name_without_end": b"i" + counted(colmap_image(b"0.png"))[:-8],
        "no_such_model": b"c" + counted(colmap_camera(model=12)),
        "model_negative": b"c" + counted(colmap_camera(model=-1)),
        "camera_twice": b"c" + counted(colmap_camera(), colmap_camera()),
        "image_twice": b"i" + counted(colmap_image(), colmap_image()),
        "size_zero": b"c" + counted(colmap_camera(width=0)),
        "size_beyond": b"c" + counted(colmap_camera(width=1 << 63)),
        "params_nan": b"c" + counted(colmap_camera(params=(float("nan"), 1, 1, 1))),
        "quaternion_zero": b"i" + counted(colmap_image(quaternion=(0, 0, 0, 0))),
        "text_short": b"C1 PINHOLE 32 24 40\n",
        "text_model": b"C1 PINHOLD 32 24 40 41 17.5 10.25\n",
        "text_no_name": b"I1 1 0 0 0 0 0 3 1\n",
        "yaml_count": b"ynames: [a]\nK: !!opencv-matrix\n rows: 3\n cols: 3\n data: [ 1 ]\n",
        "yaml_no_data": b"ynames: [a]\nK: !!opencv-matrix\n rows: 3\n cols: 3\n",
        "yaml_no_names": b"yK: !!opencv-matrix\n rows: 1\n cols: 1\n data: [ 1 ]\n",
        "yaml_word": b"ynames: [a]\nK: !!opencv-matrix\n rows: 1\n cols: 1\n data: [ one ]\n",
}.items():
    save("colmap", seed_name, content)


# ---- splats ----

SPLAT = ("x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1", "rot_0", "rot_1", "rot_2", "rot_3")


def splats(*rows, names=SPLAT, form="binary_little_endian", count=None, more=""):
    header = f"ply\nformat {form} 1.0\n{more}element vertex {len(rows) if count is None else count}\n"
    header += "".join(f"property float {name}\n" for name in names) + "end_header\n"
    order = ">" if "big" in form else "<"
    if form == "ascii":
        return (header + "".join(" ".join(map(str, row)) + "\n" for row in rows)).encode()
    return header.encode() + b"".join(struct.pack(f"{order}{len(row)}f", *row) for row in rows)


SPLAT_ROW = (0, 0, 2, 0.5, 0, -0.5, 2, -3, -2, 1, 0, 0, 0.5)
for seed_name, content in {
        "valid_2dgs": splats(SPLAT_ROW, SPLAT_ROW),
        "valid_big": splats(SPLAT_ROW, form="binary_big_endian"),
        "valid_ascii": splats(SPLAT_ROW, form="ascii"),
        "valid_tagged": splats(SPLAT_ROW + (-9,), names=SPLAT + ("scale_2",), more="comment SplatRenderMode: 2dgs\n"),
        "valid_3dgs": splats(SPLAT_ROW + (-9,) + (0.1,) * 9,
                             names=SPLAT + ("scale_2",) + tuple(f"f_rest_{i}" for i in range(9))),
        "valid_one_not_finite": splats(SPLAT_ROW, (float("nan"),) + SPLAT_ROW[1:]),
        "count_lies": splats(SPLAT_ROW, count=1 << 61),
        "count_beyond": splats(SPLAT_ROW, count=1 << 70),
        "count_negative": splats(SPLAT_ROW, count=-1),
        "cut_off": splats(SPLAT_ROW)[:-1],
        "no_row": splats(),
        "no_degree": splats(SPLAT_ROW + (0,), names=SPLAT + ("f_rest_0",)),
        "points": splats(SPLAT_ROW[:3], names=SPLAT[:3]),
        "scale_infinite": splats(SPLAT_ROW[:7] + (999,) + SPLAT_ROW[8:]),
        "quaternion_zero": splats(SPLAT_ROW[:9] + (0, 0, 0, 0)),
        "list_of_opacity": splats(SPLAT_ROW).replace(b"property float opacity", b"property list uchar float opacity"),
        "no_format": b"ply\nelement vertex 0\nend_header\n",
        "header_without_end": b"ply\nformat ascii 1.0\nelement vertex 1\n",
}.items():
    save("splats", seed_name + ".ply", content)
