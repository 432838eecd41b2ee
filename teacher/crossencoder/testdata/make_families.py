"""Writes families.json and heads.safetensors: for each family of encoder/transformer/testdata/families that can be a
reranker, a random head for the network there, and what transformers computes with both:

heads.safetensors   the head's weights, as FAMILY/NAME by their names in the file
families.json       by family the members of config.json that differ, and for each length limit the ids and logits of the
                    pairs of make_golden.py; the mean loss of the first two queries (as there), and of the gradient of
                    every weight the norm and the scalar products with cos(k (i + 1)), k = 1, 2, 3

modernbert-mean is modernbert with classifier_pooling mean, new is computed as gte (see make_families.py there). Needs torch
and transformers:

    python3 make_families.py
"""

import json
import os
import pathlib
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer, BertTokenizer, GteConfig, GteForSequenceClassification

from make_golden import PAIRS, PASSAGES, QUERIES, SCORES

here = pathlib.Path(__file__).parent
bodies = here.parents[2] / "encoder/transformer/testdata/families"
LIMITS = [0, 21]
FAMILIES = {
    "mpnet": {}, "distilbert": {}, "gte": {}, "new": {}, "nomic_bert": {}, "modernbert": {},
    "modernbert-mean": {"classifier_pooling": "mean"},
}


def body_of(name):
    return bodies / name.removesuffix("-mean")


def load(name, config):
    """The reranker, its head drawn by chance, and its tokenizer."""
    torch.manual_seed(3 + list(FAMILIES).index(name))
    folder = body_of(name)
    if name == "new":
        values = json.loads((folder / "config.json").read_text())
        for key in ("architectures", "auto_map", "model_type", "rope_scaling", "rope_theta", "torch_dtype", "transformers_version"):
            del values[key]
        width = values["hidden_size"] / values["num_attention_heads"]
        values["rope_parameters"] = {"rope_type": "linear", "rope_theta": 1e6, "factor": 2 ** (2 / width)}
        with tempfile.TemporaryDirectory() as d:
            weights = {k.removeprefix("new."): v for k, v in load_file(folder / "model.safetensors").items() if k.startswith("new.")}
            save_file(weights, pathlib.Path(d) / "model.safetensors", metadata={"format": "pt"})
            (pathlib.Path(d) / "config.json").write_text(json.dumps(GteConfig(**values, num_labels=1).to_dict()))
            model = GteForSequenceClassification.from_pretrained(d)
        tokenizer = BertTokenizer.from_pretrained(folder)
    else:
        model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, **config)
        tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        for key in head_keys(model):
            p = dict(model.named_parameters())[key]
            if "norm" in key and key.endswith("weight"):
                p.uniform_(0.5, 1.5)
            else:
                p.normal_(0, 0.2)
    return model.eval(), tokenizer


def head_keys(model):
    base = model.base_model_prefix + "."
    return [k for k, _ in model.named_parameters() if not k.startswith(base) or ".pooler." in k]


def stored(model):
    """The model's weights by their names in a file."""
    with tempfile.TemporaryDirectory() as d:
        model.save_pretrained(d)
        return load_file(pathlib.Path(d) / "model.safetensors"), json.loads((pathlib.Path(d) / "config.json").read_text())


def renamed(family, key):
    return key.replace("gte.", "new.", 1) if family == "new" else key


def encode(tokenizer, pairs, limit):
    return tokenizer(
        [q for q, _ in pairs], [p.strip() for _, p in pairs], truncation="longest_first", max_length=limit, padding=True,
        return_tensors="pt",
    )


def score(model, tokenizer):
    out = []
    for limit in LIMITS:
        ids, scores = [], []
        for pair in PAIRS:
            inputs = encode(tokenizer, [pair], limit or min(512, tokenizer.model_max_length))
            with torch.no_grad():
                scores.append(float(model(**inputs).logits[0, 0]))
            ids.append(inputs["input_ids"][0].tolist())
        out.append({"limit": limit, "ids": ids, "scores": scores})
    return out


def backward(family, model, tokenizer):
    """The loss, and of the gradient of each weight, by its name in the file, the norm and projections."""
    target = torch.softmax(torch.tensor(SCORES, dtype=torch.float64), 0).float()
    losses = []
    for query in QUERIES[:2]:
        inputs = encode(tokenizer, [(query, p) for p in PASSAGES], min(512, tokenizer.model_max_length))
        log_q = torch.log_softmax(model(**inputs).logits[:, 0], 0)
        losses.append(-log_q[1] + torch.sum(target * (target.log() - log_q)))
    loss = torch.stack(losses).mean()
    loss.backward()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.zeros_like(p) if p.grad is None else p.grad)
    out = {}
    for name, g in stored(model)[0].items():
        g = g.double().flatten()
        i = torch.arange(1, len(g) + 1, dtype=torch.float64)
        out[renamed(family, name)] = [float(g.norm())] + [float((g * torch.cos(k * i)).sum()) for k in (1, 2, 3)]
    return float(loss.detach()), out


def main():
    heads, result = {}, {}
    for name, config in FAMILIES.items():
        model, tokenizer = load(name, config)
        weights, _ = stored(model)
        for key in head_keys(model):
            heads[f"{name}/{renamed(name, key)}"] = weights[key].clone()
        cases = score(model, tokenizer)
        loss, gradients = backward(name, model, tokenizer)
        result[name] = {"config": config, "cases": cases, "loss": loss, "gradients": gradients}
    save_file(heads, here / "heads.safetensors")
    (here / "heads.safetensors").chmod(0o644)
    text = json.dumps(result, separators=(",", ":")).replace("],[", "],\n[").replace('],"', '],\n"')
    (here / "families.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
