"""Prints how far float32 gradients of a listwise loss are from those in float64, for the model tiny, and how far they are
apart when the texts go through the network in batches of other sizes: the bounds of TestTheCachedGradientIsThatOfOneBatch.
Each figure is relative to the gradient's norm, by parameter at least to a thousandth of that of all. Needs
sentence-transformers:

    python3 gradient_rounding.py
"""

import json
import pathlib

import torch
from sentence_transformers import SentenceTransformer

here = pathlib.Path(__file__).parent
TEMPERATURE = .05
golden = json.loads((here / "tiny.json").read_text())
passages = golden["passage"]["texts"]
queries = ["query " + golden["query"]["texts"][i % len(golden["query"]["texts"])] for i in range(6)]
lists = [[(i + j * j) % len(passages) for j in range(4)] for i in range(6)]


def gradient(dtype, batch=1000):
    model = SentenceTransformer(str(here / "tiny"), device="cpu", model_kwargs={"dtype": dtype}).eval()

    def embed(texts, prompt):
        parts = (texts[i : i + batch] for i in range(0, len(texts), batch))
        return torch.cat([model(model.preprocess(part, prompt=prompt))["sentence_embedding"] for part in parts])

    sims = embed(queries, "query: ") @ embed(passages, "passage: ").T / TEMPERATURE
    teacher = torch.softmax(torch.tensor([1 - j / 5 for j in range(4)], dtype=dtype) / .3, 0)
    loss = 0
    for row, ids in zip(sims, lists):
        loss = loss - (teacher * torch.log_softmax(row[ids], 0)).sum() - .1 * torch.log_softmax(row, 0)[ids[0]]
    (loss / len(queries)).backward()
    return {name: p.grad.double() for name, p in model.named_parameters() if p.grad is not None}


def report(what, got, want):
    norm = sum(g.norm() ** 2 for g in want.values()) ** .5
    apart = {name: got[name] - want[name] for name in want}
    by_name = {name: d.norm() / max(want[name].norm(), norm / 1000) for name, d in apart.items()}
    biases = {name: d for name, d in by_name.items() if name.endswith("key.bias")}
    worst = max(by_name.keys() - biases.keys(), key=by_name.get)
    whole = sum(d.norm() ** 2 for d in apart.values()) ** .5 / norm
    print(f"{what}: {whole:.1e}; {worst} {by_name[worst]:.1e}; key.bias {max(biases.values()):.1e}")


exact, single = gradient(torch.float64), gradient(torch.float32)
report("float64, batches of 1", gradient(torch.float64, 1), exact)
report("float32, one batch, against float64", single, exact)
for size in (1, 2, 3):
    report(f"float32, batches of {size}, against one batch", gradient(torch.float32, size), single)
