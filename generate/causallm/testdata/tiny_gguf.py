"""Writes tiny GGUF files of two of the models that tiny.py wrote: llama-tied.gguf and qwen2.gguf, both F32.

usage: tiny_gguf.py   (needs gguf, numpy and safetensors)

The rows of Llama's query and key matrices are put in the order in which llama.cpp's converter puts them.
"""

import json
import os

import gguf
import numpy
from safetensors.numpy import load_file

HERE = os.path.dirname(os.path.abspath(__file__))

NAMES = [
    ("model.embed_tokens", "token_embd"), ("model.norm", "output_norm"), ("lm_head", "output"), ("model.layers.", "blk."),
    ("post_attention_layernorm", "ffn_norm"), ("input_layernorm", "attn_norm"), ("self_attn.q_proj", "attn_q"), ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"), ("self_attn.o_proj", "attn_output"), ("mlp.gate_proj", "ffn_gate"), ("mlp.up_proj", "ffn_up"), ("mlp.down_proj", "ffn_down"),
]


def permute(rows, heads):
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def write(name):
    folder = os.path.join(HERE, name)
    with open(os.path.join(folder, "config.json")) as f:
        c = json.load(f)
    with open(os.path.join(folder, "tokenizer.json")) as f:
        tokenizer = json.load(f)
    with open(os.path.join(folder, "chat_template.jinja")) as f:
        template = f.read()
    arch = c["model_type"]
    w = gguf.GGUFWriter(os.path.join(HERE, name + ".gguf"), arch)
    w.add_context_length(c["max_position_embeddings"])
    w.add_embedding_length(c["hidden_size"])
    w.add_block_count(c["num_hidden_layers"])
    w.add_feed_forward_length(c["intermediate_size"])
    w.add_head_count(c["num_attention_heads"])
    w.add_head_count_kv(c["num_key_value_heads"])
    w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    w.add_rope_freq_base(c["rope_parameters"]["rope_theta"])
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
    w.add_chat_template(template)
    for key, values in load_file(os.path.join(folder, "model.safetensors")).items():
        if arch == "llama" and "q_proj" in key:
            values = permute(values, c["num_attention_heads"])
        if arch == "llama" and "k_proj" in key:
            values = permute(values, c["num_key_value_heads"])
        for ours, theirs in NAMES:
            key = key.replace(ours, theirs)
        w.add_tensor(key, values)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


if __name__ == "__main__":
    write("llama-tied")
    write("qwen2")
