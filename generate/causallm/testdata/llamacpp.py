"""Writes what llama.cpp writes to 20 prompts, greedily: smollm2.json.

usage: llamacpp.py SmolLM2-135M-Instruct.Q4_1.gguf   (needs xllamacpp, gguf and numpy)

Twice: from the file, whose matrices llama.cpp multiplies with activations that it has rounded to 8 bits, and from a copy with the
same weights as float32 (and keys and values as float32), which is what Retort computes. Of the first the two likeliest tokens
of each place are written down, too.
"""

import json
import os
import sys
import tempfile

import gguf
import numpy
import xllamacpp

HERE = os.path.dirname(os.path.abspath(__file__))
TOKENS = 24

SHOTS = """Passage: Honey keeps for years, since it holds too little water for bacteria to live in.
Question: why does honey not spoil

Passage: A goroutine is a function that runs beside others in one address space.
Question: what is a goroutine

"""

PASSAGES = [
    "Green tea is made of leaves that were steamed soon after the harvest, so that they keep their colour.",
    "The retort is a vessel of glass in which a liquid is heated; its long neck bends down and cools the vapour.",
    "Aspirin thins the blood, so it is stopped a week before most operations.",
    "A lease ends when the term is over, unless both sides agree in writing to extend it.",
    "Sourdough bread rises because wild yeast and bacteria live in the dough.",
    "Shutdown gracefully shuts down the server without interrupting any active connections.",
    "The battery of this phone lasts two days and is charged in forty minutes.",
    "Penguins cannot fly, but they swim faster than most fish.",
    "To reset the router, hold the small button on its back for ten seconds.",
    "The moon turns around itself once a month, so we always see the same side.",
    "Vitamin D is made in the skin when sunlight falls on it.",
    "A mutex lets only one thread at a time into a part of a program.",
    "The Danube flows through ten countries, more than any other river.",
    "Refunds are paid within fourteen days after the goods have come back.",
    "Bees tell each other where flowers are by dancing in the hive.",
]

RAW = [
    "The capital of France is",
    "Once upon a time there was a",
    "def fibonacci(n):\n    ",
    "1, 2, 3, 4, 5,",
    "Water boils at",
]


def prompts():
    return [SHOTS + "Passage: " + p + "\nQuestion:" for p in PASSAGES] + RAW


def as_float32(source, target):
    """Copies a GGUF file with all tensors dequantised."""
    reader = gguf.GGUFReader(source)
    arch = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, arch)
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        kind = field.types[0]
        sub = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(name, field.contents(), kind, sub_type=sub)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for t in reader.tensors:
        values = gguf.quants.dequantize(t.data, t.tensor_type).astype(numpy.float32)
        writer.add_tensor(t.name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def serve(path, exact):
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx = 1024
    params.n_parallel = 1
    params.cpuparams.n_threads = 2
    params.n_gpu_layers = 0
    if exact:
        params.cache_type_k = xllamacpp.ggml_type.GGML_TYPE_F32
        params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    return xllamacpp.Server(params)


def complete(server, prompt):
    answer = server.handle_completions(
        {"prompt": prompt, "max_tokens": TOKENS, "n_predict": TOKENS, "temperature": 0, "logprobs": 2, "cache_prompt": False, "return_tokens": True}
    )
    choice = answer["choices"][0]
    steps = []
    for step in choice["logprobs"]["content"]:
        steps.append([[c["id"], round(c["logprob"], 4)] for c in step["top_logprobs"][:2]])
    return choice["text"], [s["id"] for s in choice["logprobs"]["content"]], steps


def main():
    source = sys.argv[1]
    out = []
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "float32.gguf")
        as_float32(source, copy)
        quantised, exact = serve(source, False), serve(copy, True)
        for prompt in prompts():
            text, tokens, steps = complete(quantised, prompt)
            exact_text, exact_tokens, _ = complete(exact, prompt)
            out.append({"prompt": prompt, "text": text, "tokens": tokens, "best": steps, "float32_text": exact_text, "float32_tokens": exact_tokens})
    with open(os.path.join(HERE, "smollm2.json"), "w") as f:
        json.dump(out, f, ensure_ascii=False, indent=0)


if __name__ == "__main__":
    main()
