"""Writes three small random models and what sentence-transformers and PyTorch make of them:

tiny         mean pooling, normalised, prompts, as sentence-transformers 6 saves it
tiny-cls     CLS pooling, not normalised, the prefix bert., vocab.txt, in the layout of sentence-transformers 2
tiny-router  a tower for queries and one for documents, of different depth

NAME.json holds the texts and embeddings of both roles (L2-normalised; the rows of float32 values), and for the first two
an upstream gradient on the passages' embeddings; NAME-gradients.safetensors the gradient of every parameter that it
gives. Needs torch, sentence-transformers, transformers and tokenizers:

    python3 make_golden.py
"""

import json
import os
import pathlib
import shutil
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize
from sentence_transformers.sentence_transformer.modules import Pooling, Router, Transformer
from tokenizers import normalizers
from transformers import BertConfig, BertModel

sys.path.insert(0, str(pathlib.Path(__file__).parents[3] / "internal/tokenizer/testdata/wordpiece"))

from make_tokens import train, write
from texts import QUERIES, SENTENCES

here = pathlib.Path(__file__).parent
LIMIT = 24  # tokens, so that some texts are cut
PIECES = 400


def transformer(folder, seed, tokenizer, **config):
    """A BERT of random weights, biases and LayerNorms included, large enough that every part of it matters."""
    torch.manual_seed(seed)
    values = json.loads((here / "bert_config.json").read_text())
    values |= {"vocab_size": len(tokenizer.get_vocab()), "initializer_range": 0.2} | config
    model = BertModel(BertConfig(**values)).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "LayerNorm.weight" in name:
                p.uniform_(0.5, 1.5)
            elif name.endswith("bias"):
                p.normal_(0, 0.1)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    write(folder, tokenizer, model_max_length=LIMIT)
    return Transformer(str(folder))


def save(model, name):
    shutil.rmtree(here / name, ignore_errors=True)
    model.save(str(here / name), create_model_card=False)


def rows(tensor):
    # The shortest decimal number that is the float32.
    return [[float(str(v)) for v in row] for row in tensor.detach().cpu().numpy()]


def golden(name, gradients=True):
    model = SentenceTransformer(str(here / name), device="cpu")
    out = {}
    for role, texts, encode in (
        ("query", QUERIES + SENTENCES[:10], model.encode_query),
        ("passage", SENTENCES, model.encode_document),
    ):
        out[role] = {
            "texts": texts,
            "embeddings": rows(torch.tensor(encode(texts, normalize_embeddings=True))),
        }
    if gradients:
        out["upstream"] = rows(backward(model, name))
    (here / f"{name}.json").write_text(json.dumps(out, separators=(",", ":")).replace("],[", "],\n[") + "\n")


def backward(model, name):
    """Pushes a fixed gradient on the normalised embeddings of all passages, with their prompt, through the model."""
    model.eval()  # no dropout
    prompt = model.prompts.get("document") or ""
    features = model.preprocess([prompt + text for text in SENTENCES])
    embeddings = torch.nn.functional.normalize(model(features)["sentence_embedding"])
    torch.manual_seed(7)
    upstream = torch.randn_like(embeddings)
    (embeddings * upstream).sum().backward()
    found = {n: p.grad for n, p in model[0].auto_model.named_parameters() if p.grad is not None}
    save_file(found, here / f"{name}-gradients.safetensors")
    return upstream


def old_layout(source, target):
    """The folder that sentence-transformers 2 would have written of a model with a head."""
    shutil.rmtree(target, ignore_errors=True)
    (target / "1_Pooling").mkdir(parents=True)
    shutil.copy(source / "config.json", target)
    weights = {f"bert.{k}": v for k, v in load_file(source / "model.safetensors").items()}
    weights["cls.predictions.bias"] = torch.zeros(weights["bert.embeddings.word_embeddings.weight"].shape[0])
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    vocab = json.loads((source / "tokenizer.json").read_text())["model"]["vocab"]
    (target / "vocab.txt").write_text("".join(piece + "\n" for piece in sorted(vocab, key=vocab.get)))
    kinds = [("", "Transformer"), ("1_Pooling", "Pooling")]
    for path, value in {
        "tokenizer_config.json": {"do_lower_case": True, "model_max_length": 512, "tokenizer_class": "BertTokenizer"},
        "special_tokens_map.json": {"cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]", "unk_token": "[UNK]"},
        "sentence_bert_config.json": {"max_seq_length": LIMIT, "do_lower_case": False},
        "modules.json": [
            {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for i, (path, kind) in enumerate(kinds)
        ],
        "1_Pooling/config.json": {
            "word_embedding_dimension": 32, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False,
            "pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False,
        },
    }.items():
        (target / path).write_text(json.dumps(value, indent=1) + "\n")


def tidy(folder):
    """safetensors makes files that only the owner may read."""
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o644)


def main():
    tokenizer = train(PIECES, normalizers.BertNormalizer(), SENTENCES)
    with tempfile.TemporaryDirectory() as d:
        d = pathlib.Path(d)
        tower = transformer(d / "a", 1, tokenizer)
        save(SentenceTransformer(
            modules=[tower, Pooling(32, "mean"), Normalize()], device="cpu",
            prompts={"query": "query: ", "document": "passage: "},
        ), "tiny")
        golden("tiny")

        transformer(d / "b", 2, tokenizer, hidden_act="gelu_new")
        old_layout(d / "b", here / "tiny-cls")
        golden("tiny-cls")

        routes = [
            [transformer(d / "q", 3, tokenizer, num_hidden_layers=1), Pooling(32, "mean"), Normalize()],
            [transformer(d / "p", 4, tokenizer, hidden_act="relu"), Pooling(32, "mean"), Normalize()],
        ]
        save(SentenceTransformer(
            modules=[Router.for_query_document(*routes)], device="cpu",
            prompts={"query": "find: ", "document": ""},
        ), "tiny-router")
        golden("tiny-router", gradients=False)
    tidy(here)


if __name__ == "__main__":
    main()
