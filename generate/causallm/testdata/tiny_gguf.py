"""Writes tiny GGUF files, as llama.cpp's converter does, of models that tiny.py wrote, all F32; and quantised.gguf, of random weights in
each type of block that Retort reads.

usage: tiny_gguf.py   (needs gguf, numpy and safetensors)

The rows of Llama's query and key matrices are put in the order in which llama.cpp's converter puts them, and the scales of Gemma's
normalisations get their one.
"""

import glob
import json
import math
import os

import gguf
import numpy
from gguf import GGMLQuantizationType as T
from safetensors.numpy import load_file

HERE = os.path.dirname(os.path.abspath(__file__))

# The files by the folders whose weights they hold.
FILES = {"llama-tied": "llama-tied", "qwen2": "qwen2", "llama3-sharded": "llama3", "qwen3": "qwen3", "gemma": "gemma", "gemma2": "gemma2", "gemma3": "gemma3"}

NAMES = [
    ("model.embed_tokens", "token_embd"), ("model.norm", "output_norm"), ("lm_head", "output"), ("model.layers.", "blk."),
    ("post_attention_layernorm", "ffn_norm"), ("input_layernorm", "attn_norm"), ("self_attn.q_proj", "attn_q"), ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"), ("self_attn.o_proj", "attn_output"), ("mlp.gate_proj", "ffn_gate"), ("mlp.up_proj", "ffn_up"), ("mlp.down_proj", "ffn_down"),
    ("self_attn.q_norm", "attn_q_norm"), ("self_attn.k_norm", "attn_k_norm"),
]
SANDWICH = [
    ("post_attention_layernorm", "post_attention_norm"), ("pre_feedforward_layernorm", "ffn_norm"), ("post_feedforward_layernorm", "post_ffw_norm"),
]


def permute(rows, heads):
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def rope_freqs(rope, width):
    """The divisors of the frequencies of rope_type llama3."""
    freqs = 1.0 / rope["rope_theta"] ** (numpy.arange(0, width, 2, dtype=numpy.float32) / width)
    low = rope["original_max_position_embeddings"] / rope["low_freq_factor"]
    high = rope["original_max_position_embeddings"] / rope["high_freq_factor"]
    out = []
    for f in freqs:
        length = 2 * math.pi / f
        if length < high:
            out.append(1)
        elif length > low:
            out.append(rope["factor"])
        else:
            smooth = (rope["original_max_position_embeddings"] / length - rope["low_freq_factor"]) / (rope["high_freq_factor"] - rope["low_freq_factor"])
            out.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return numpy.array(out, dtype=numpy.float32)


def read_json(*path):
    with open(os.path.join(HERE, *path)) as f:
        return json.load(f)


def writer(file, arch, c, folder):
    """Begins a file with the configuration c and the tokenizer of a folder."""
    w = gguf.GGUFWriter(os.path.join(HERE, file + ".gguf"), arch)
    w.add_context_length(c["max_position_embeddings"])
    w.add_embedding_length(c["hidden_size"])
    w.add_block_count(c["num_hidden_layers"])
    w.add_feed_forward_length(c["intermediate_size"])
    w.add_head_count(c["num_attention_heads"])
    w.add_head_count_kv(c["num_key_value_heads"])
    w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    rope = c["rope_parameters"].get("full_attention", c["rope_parameters"])
    w.add_rope_freq_base(rope["rope_theta"])
    if rope["rope_type"] == "linear":
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        w.add_rope_scaling_factor(rope["factor"])
    if c.get("head_dim"):
        w.add_key_length(c["head_dim"])
        w.add_value_length(c["head_dim"])
        if arch == "llama":
            w.add_rope_dimension_count(c["head_dim"])
    if c.get("attn_logit_softcapping"):
        w.add_attn_logit_softcapping(c["attn_logit_softcapping"])
        w.add_final_logit_softcapping(c["final_logit_softcapping"])
    if arch in ("gemma2", "gemma3"):
        w.add_sliding_window(c["sliding_window"])
    tokenizer = read_json(folder, "tokenizer.json")
    vocab = sorted(tokenizer["model"]["vocab"].items(), key=lambda item: item[1])
    special = {t["id"] for t in tokenizer["added_tokens"]}
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("gpt-2")
    w.add_token_list([t for t, _ in vocab])
    w.add_token_types([3 if i in special else 1 for _, i in vocab])
    w.add_token_merges([" ".join(m) for m in tokenizer["model"]["merges"]])
    w.add_bos_token_id(0)
    w.add_eos_token_id(1)
    w.add_add_bos_token(False)
    with open(os.path.join(HERE, folder, "chat_template.jinja")) as f:
        w.add_chat_template(f.read())
    return w


def finish(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def write(folder, file):
    c = read_json(folder, "config.json")
    arch = c["model_type"].removesuffix("_text")
    w = writer(file, arch, c, folder)
    if c["rope_parameters"].get("rope_type") == "llama3":
        w.add_tensor("rope_freqs.weight", rope_freqs(c["rope_parameters"], c["head_dim"]))
    weights = {}
    for shard in sorted(glob.glob(os.path.join(HERE, folder, "*.safetensors"))):
        weights.update(load_file(shard))
    for key, values in weights.items():
        if arch == "llama" and "q_proj" in key:
            values = permute(values, c["num_attention_heads"])
        if arch == "llama" and "k_proj" in key:
            values = permute(values, c["num_key_value_heads"])
        if arch.startswith("gemma") and "norm" in key:
            values = values + 1
        for ours, theirs in (SANDWICH if arch in ("gemma2", "gemma3") else []) + NAMES:
            key = key.replace(ours, theirs)
        w.add_tensor(key, values)
    finish(w)


# Where the blocks that the package cannot write have their scale, where their minima's, and how many times the first the second is for a
# mean near zero.
SCALES = {T.Q2_K: (80, 82, 1.5), T.Q3_K: (108, None, 0), T.Q4_K: (0, 2, 7.5), T.Q5_K: (0, 2, 15.5), T.Q6_K: (208, None, 0), T.IQ4_NL: (0, None, 0), T.IQ4_XS: (0, None, 0)}


def quantised(rng, kind, rows, columns, deviation=0.15):
    """Returns blocks of random weights of about this standard deviation."""
    if kind not in SCALES:
        return gguf.quants.quantize(rng.normal(size=(rows, columns), scale=deviation).astype(numpy.float32), kind)
    values, size = gguf.GGML_QUANT_SIZES[kind]
    at, least_at, times = SCALES[kind]
    blocks = rng.integers(0, 256, size=(rows, columns // values, size), dtype=numpy.uint8)

    def scaled(scale):
        for place, value in ((at, scale), (least_at, scale * times)):
            if place is not None:
                blocks[..., place : place + 2] = numpy.array([value], dtype=numpy.float16).view(numpy.uint8)
        return blocks.reshape(rows, -1)

    return scaled(0.01 * deviation / gguf.quants.dequantize(scaled(0.01), kind).std())


def write_quantised():
    rng = numpy.random.default_rng(3)
    c = dict(read_json("llama-tied", "config.json"), hidden_size=256, intermediate_size=64, num_attention_heads=4, num_key_value_heads=2, head_dim=16)
    w = writer("quantised", "llama", c, "llama-tied")
    w.add_tensor("token_embd.weight", quantised(rng, T.Q5_0, 384, 256), raw_dtype=T.Q5_0)
    w.add_tensor("output_norm.weight", rng.normal(1, 0.3, size=256).astype(numpy.float32))
    kinds = [
        dict(attn_q=T.Q2_K, attn_k=T.Q3_K, attn_v=T.Q4_K, attn_output=T.Q4_0, ffn_gate=T.Q5_K, ffn_up=T.Q6_K, ffn_down=T.Q4_1),
        dict(attn_q=T.Q8_0, attn_k=T.Q4_K, attn_v=T.IQ4_NL, attn_output=T.Q5_1, ffn_gate=T.IQ4_XS, ffn_up=T.F16, ffn_down=T.IQ4_NL),
    ]
    shapes = dict(attn_q=(64, 256), attn_k=(32, 256), attn_v=(32, 256), attn_output=(256, 64), ffn_gate=(64, 256), ffn_up=(64, 256), ffn_down=(256, 64))
    for i, layer in enumerate(kinds):
        for name in ("attn_norm", "ffn_norm"):
            w.add_tensor(f"blk.{i}.{name}.weight", rng.normal(1, 0.3, size=256).astype(numpy.float32))
        for name, kind in layer.items():
            w.add_tensor(f"blk.{i}.{name}.weight", quantised(rng, kind, *shapes[name]), raw_dtype=kind)
    finish(w)


if __name__ == "__main__":
    for folder, file in FILES.items():
        write(folder, file)
    write_quantised()
