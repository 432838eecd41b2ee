"""Writes small random static embeddings and what sentence-transformers and model2vec make of them:

st         sentence-transformers' StaticEmbedding in a folder of its own, prompts, vectors that are cut, truncation
model2vec  float16, as model2vec saves it, with Normalize
mapped     a vocabulary that shares rows, with weights, ranked by dot product
int8       quantised, without modules.json; sentence-transformers cannot compute it, and the vectors are model2vec's

NAME.json holds the texts and embeddings of both roles. Needs torch, sentence-transformers and model2vec:

    python3 make_golden.py
"""

import json
import os
import pathlib
import shutil
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
from model2vec import StaticModel
from model2vec.quantization import quantize_embeddings
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize
from sentence_transformers.sentence_transformer.modules import StaticEmbedding
from tokenizers import Tokenizer

here = pathlib.Path(__file__).parent
root = here.parents[2]
sys.path.insert(0, str(root / "internal/tokenizer/testdata/wordpiece"))

from texts import QUERIES, SENTENCES

TOKENIZER = root / "encoder/transformer/testdata/tiny/tokenizer.json"
WIDTH = 12


def folder(name):
    shutil.rmtree(here / name, ignore_errors=True)
    (here / name).mkdir()
    return here / name


def rows(array):
    return [[float(str(v)) for v in row] for row in np.asarray(array, dtype=np.float32)]


def golden(name, query, passage):
    out = {
        "query": {"texts": QUERIES, "embeddings": rows(query(QUERIES))},
        "passage": {"texts": SENTENCES, "embeddings": rows(passage(SENTENCES))},
    }
    (here / f"{name}.json").write_text(json.dumps(out, separators=(",", ":")).replace("],[", "],\n[") + "\n")


def from_sentence_transformers(name, normalize):
    model = SentenceTransformer(str(here / name), device="cpu")
    golden(
        name, lambda t: model.encode_query(t, normalize_embeddings=normalize),
        lambda t: model.encode_document(t, normalize_embeddings=normalize),
    )


def main():
    random = np.random.default_rng(3)
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    size = tokenizer.get_vocab_size()
    table = random.normal(size=(size, WIDTH)).astype(np.float32)

    cut = Tokenizer.from_file(str(TOKENIZER))
    cut.enable_truncation(9)
    model = SentenceTransformer(
        modules=[StaticEmbedding(cut, embedding_weights=table), Normalize()], device="cpu",
        prompts={"query": "find: ", "document": "text: "}, truncate_dim=10,
    )
    model.save(str(folder("st")), create_model_card=False)
    from_sentence_transformers("st", True)

    StaticModel(table.astype(np.float16), tokenizer, normalize=True, config={"model_type": "model2vec"}).save_pretrained(
        folder("model2vec"))
    # In float32, as Retort computes: sentence-transformers would compute in float16.
    model = SentenceTransformer(str(here / "model2vec"), device="cpu").float()
    golden("model2vec", model.encode_query, model.encode_document)

    mapping = random.integers(0, 50, size=size)
    StaticModel(
        table[:50], tokenizer, normalize=False, config={"model_type": "model2vec"}, token_mapping=mapping,
        weights=random.uniform(0.1, 2, size=size),
    ).save_pretrained(folder("mapped"))
    (here / "mapped/config_sentence_transformers.json").write_text('{"similarity_fn_name": "dot"}\n')
    from_sentence_transformers("mapped", False)

    model = StaticModel(quantize_embeddings(table, "int8"), tokenizer, normalize=True, config={"model_type": "model2vec"})
    model.save_pretrained(folder("int8"))
    (here / "int8/modules.json").unlink()
    unknown = model.unk_token_id
    model.unk_token_id = None  # which sentence-transformers keeps
    golden("int8", model.encode, model.encode)
    assert unknown is not None
    for path in here.rglob("*"):
        if path.name == "README.md":
            path.unlink()
        elif path.is_file():
            path.chmod(0o644)


if __name__ == "__main__":
    main()
