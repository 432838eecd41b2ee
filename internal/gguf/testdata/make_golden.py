"""Writes golden.gguf and golden.json: metadata of every type and one tensor of each quantisation that can be read, with the
bits of its values as the gguf package dequantises them. Needs numpy and gguf 0.19:

    python3 make_golden.py
"""

import json
import pathlib

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T
from gguf import GGUFValueType as V

here = pathlib.Path(__file__).parent
rng = np.random.default_rng(1)
w = gguf.GGUFWriter(here / "golden.gguf", "llama")
w.add_uint8("u8", 255)
w.add_int8("i8", -128)
w.add_uint16("u16", 65535)
w.add_int16("i16", -32768)
w.add_uint32("u32", 4294967295)
w.add_int32("i32", -2147483648)
w.add_float32("f32", 1e-5)
w.add_bool("yes", True)
w.add_bool("no", False)
w.add_string("text", "naïve\n<|im_start|>")
w.add_uint64("u64", 18446744073709551615)
w.add_int64("i64", -9223372036854775808)
w.add_float64("f64", 0.1)
w.add_array("strings", ["Ġa", "", "b"])
w.add_array("ints", [3, -1, 2147483647])
w.add_array("floats", [0.5, -1.25])
w.add_array("bools", [True, False])
w.add_key_value("bytes", [1, 200], V.ARRAY, sub_type=V.UINT8)
w.add_key_value("nested", [[1, 2], [3]], V.ARRAY)

want = {}


def add(name, data, kind):
    values = gguf.quants.dequantize(data, kind)
    shape = list(values.shape)
    want[name] = {"type": kind.name, "shape": shape, "bits": values.astype(np.float32).flatten().view(np.int32).tolist()}
    w.add_tensor(name, data, raw_dtype=kind)


values = rng.normal(size=(3, 64)).astype(np.float32)
values[0, :5] = [0, 65504, -65504, 1e-7, 3e-5]
for kind in (T.F32, T.F16, T.BF16, T.Q8_0, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1):
    with np.errstate(over="ignore"):
        add(kind.name.lower() + ".weight", gguf.quants.quantize(values, kind), kind)

# The package cannot quantise to the others: any bits with finite scales are a valid block.
SCALES = np.array([0.0123, -7.5e-6, 1.5, 3e-7], dtype=np.float16)


def add_random(kind, *scales):
    """Two rows of two blocks; scales are where a block keeps its 16-bit numbers."""
    values, size = gguf.GGML_QUANT_SIZES[kind]
    block = rng.integers(0, 256, size=(2, 2, size), dtype=np.uint8)
    for i, at in enumerate(scales):
        block[..., at : at + 2] = np.roll(SCALES, i).view(np.uint8).reshape(2, 2, 2)
    add(kind.name.lower() + ".weight", block.reshape(2, 2 * size), kind)


for kind, scales in {
    T.Q2_K: (80, 82), T.Q3_K: (108,), T.Q4_K: (0, 2), T.Q5_K: (0, 2), T.Q6_K: (208,), T.IQ4_NL: (0,), T.IQ4_XS: (0,),
}.items():
    add_random(kind, *scales)
add("norm", rng.normal(size=7).astype(np.float32), T.F32)
add("cube", rng.normal(size=(2, 3, 4)).astype(np.float32), T.F32)

w.add_tensor("iq1_s.weight", np.zeros((1, 50), dtype=np.uint8), raw_dtype=T.IQ1_S)
w.write_header_to_file()
w.write_kv_data_to_file()
w.write_tensors_to_file()
w.close()
(here / "golden.json").write_text(json.dumps(want) + "\n")
