"""Writes what llama.cpp computes from the GGUF files of tiny_gguf.py: tiny_llamacpp.json.

usage: tiny_llamacpp.py   (needs xllamacpp, gguf and numpy)

For each file the logarithms of the probabilities of all tokens, behind the beginnings of a text. Keys and values are float32. "exact" is from a copy with the same weights as float32; from blocks llama.cpp computes with activations that it has
rounded to 8 bits.
"""

import json
import os
import tempfile

import gguf
import xllamacpp
from llamacpp import as_float32
from tiny_gguf import FILES, HERE, read_json

PLACES = 3


def serve(path):
    p = xllamacpp.CommonParams()
    p.model.path = path
    p.n_ctx = 256
    p.n_parallel = 1
    p.cpuparams.n_threads = 1
    p.cpuparams_batch.n_threads = 1
    p.n_gpu_layers = 0
    p.fit_params = False
    p.warmup = False
    p.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    p.cache_type_k = xllamacpp.ggml_type.GGML_TYPE_F32
    p.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    return xllamacpp.Server(p)


def places(path, ids, vocab):
    server, out = serve(path), []
    for length in range(len(ids), 0, -5):
        request = {"prompt": ids[:length], "max_tokens": 1, "n_predict": 1, "temperature": 0, "logprobs": vocab, "cache_prompt": False}
        choice = server.handle_completions(request)["choices"][0]
        if not choice["logprobs"] or not choice["logprobs"]["content"]:
            continue  # the likeliest token is a part of a character
        logprobs = [None] * vocab
        for c in choice["logprobs"]["content"][0]["top_logprobs"]:
            logprobs[c["id"]] = round(c["logprob"], 4)
        assert None not in logprobs
        out.append({"length": length, "logprobs": logprobs})
        if len(out) == PLACES:
            return out
    raise SystemExit(f"{path}: only {len(out)} places")


def main():
    ids = read_json("tiny.json")["qwen3"]["texts"][1]["ids"]
    out = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in [*FILES.values(), "quantised"]:
            path = os.path.join(HERE, name + ".gguf")
            vocab = len(gguf.GGUFReader(path).fields["tokenizer.ggml.tokens"].data)
            out[name] = {"ids": ids, "places": places(path, ids, vocab)}
            if name == "quantised":
                copy = os.path.join(folder, "copy.gguf")
                as_float32(path, copy)
                out[name]["exact"] = places(copy, ids, vocab)
    with open(os.path.join(HERE, "tiny_llamacpp.json"), "w") as f:
        json.dump(out, f)


if __name__ == "__main__":
    main()
