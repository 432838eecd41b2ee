"""Writes what sentence-transformers and PyTorch make of the folder tiny with modules after the pooling: dense/ holds the
files that differ from tiny, dense.json the embeddings of both roles and a gradient on those of the passages, and
dense-gradients.safetensors the gradient of every parameter that it gives, by its name in Retort. Needs torch and
sentence-transformers:

    python3 make_dense.py
"""

import json
import pathlib
import shutil
import tempfile

import make_golden
import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize
from sentence_transformers.sentence_transformer.modules import LayerNorm, Pooling

here = pathlib.Path(__file__).parent


def main():
    torch.manual_seed(5)
    tiny = SentenceTransformer(str(here / "tiny"), device="cpu")
    norm = LayerNorm(24)
    with torch.no_grad():
        norm.norm.weight.uniform_(0.5, 1.5)
        norm.norm.bias.normal_(0, 0.1)
    modules = [
        tiny[0],
        Pooling(32, ("mean", "max")),
        Dense(64, 24),  # Tanh
        Normalize(),
        Dense(24, 24, activation_function=torch.nn.GELU()),
        norm,
        Dense(24, 20, activation_function=torch.nn.Sigmoid()),
        Dense(20, 20, activation_function=torch.nn.SiLU()),
        Dense(20, 18, activation_function=torch.nn.ReLU()),
        Dense(18, 16, bias=False, activation_function=None),
        Normalize(),
    ]
    model = SentenceTransformer(modules=modules, device="cpu", prompts=tiny.prompts)
    with tempfile.TemporaryDirectory() as d:
        model.save(d, create_model_card=False)
        shutil.rmtree(here / "dense", ignore_errors=True)
        for path in sorted(pathlib.Path(d).rglob("*")):
            name = path.relative_to(d)
            same = here / "tiny" / name
            if path.is_file() and not (same.exists() and same.read_bytes() == path.read_bytes()):
                (here / "dense" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, here / "dense" / name)
        out = {
            role: {"texts": texts, "embeddings": make_golden.rows(torch.tensor(encode(texts)))}
            for role, texts, encode in (
                ("query", make_golden.QUERIES, model.encode_query), ("passage", make_golden.SENTENCES, model.encode_document),
            )
        }
    model.eval()
    features = model.preprocess([model.prompts["document"] + text for text in make_golden.SENTENCES])
    embeddings = model(features)["sentence_embedding"]
    upstream = torch.randn_like(embeddings)
    (embeddings * upstream).sum().backward()
    found = {n: p.grad for n, p in model[0].auto_model.named_parameters() if p.grad is not None}
    for i, module in enumerate(modules[2:], 2):
        found |= {f"{i}_{type(module).__name__}.{n}": p.grad for n, p in module.named_parameters()}
    save_file(found, here / "dense-gradients.safetensors")
    out["upstream"] = make_golden.rows(upstream)
    (here / "dense.json").write_text(json.dumps(out, separators=(",", ":")).replace("],[", "],\n[") + "\n")
    make_golden.tidy(here)


if __name__ == "__main__":
    main()
