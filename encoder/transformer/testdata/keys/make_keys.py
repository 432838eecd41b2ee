"""Writes vectors.safetensors: what sentence-transformers makes of each folder of rows.json that is not refused, as the
tensors "NUMBER/query" and "NUMBER/passage", by the number of the row; "base/NAME/..." are those of the unchanged folders.
Writes ranking.json too: the order of passages, best first, by the similarity of a model that ranks by dot product.
The vectors are those of encode_query and encode_document; where the model ranks by cosine they are L2-normalised. With
--refused it prints in place of that which refused rows change nothing in sentence-transformers. Needs
sentence-transformers:

    python3 make_keys.py [--refused]
"""

import json
import os
import pathlib
import shutil
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import numpy as np
import torch
from safetensors.numpy import save_file
from sentence_transformers import SentenceTransformer

here = pathlib.Path(__file__).parent


def merge(target, patch):
    """A merge patch (RFC 7386): objects are merged, null removes a member."""
    if not isinstance(patch, dict) or not isinstance(target, dict):
        return patch
    out = dict(target)
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merge(out.get(key), value)
    return out


def build(row, folder):
    shutil.copytree(here.parent / row.get("base", "tiny"), folder)
    for name in row.get("remove", []):
        (folder / name).unlink()
    for name, patch in row.get("set", {}).items():
        path = folder / name
        path.write_text(json.dumps(merge(json.loads(path.read_text()), patch)))
    for name, value in row.get("replace", {}).items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(value))


def vectors(row, texts):
    with tempfile.TemporaryDirectory() as d:
        folder = pathlib.Path(d) / "model"
        build(row, folder)
        # Retort computes in float32 whatever config.json says.
        model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
        normalize = model.similarity_fn_name == "cosine"
        return {
            "query": model.encode_query(texts["query"], normalize_embeddings=normalize),
            "passage": model.encode_document(texts["passage"], normalize_embeddings=normalize),
        }


DOT = {
    "set": {"config_sentence_transformers.json": {"similarity_fn_name": "dot"}},
    "replace": {"modules.json": [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]},
}


def write_ranking():
    sys.path.insert(0, str(here.parents[3] / "internal/tokenizer/testdata/wordpiece"))
    from texts import QUERIES, SENTENCES

    queries = [q for q in QUERIES if q]
    with tempfile.TemporaryDirectory() as d:
        folder = pathlib.Path(d) / "model"
        build(DOT, folder)
        model = SentenceTransformer(str(folder), device="cpu")
        q, p = model.encode_query(queries), model.encode_document(SENTENCES)
    order = model.similarity(q, p).argsort(descending=True).tolist()
    by_cosine = (q / np.linalg.norm(q, axis=1, keepdims=True)) @ (p / np.linalg.norm(p, axis=1, keepdims=True)).T
    assert order != (-by_cosine).argsort(axis=1).tolist()
    out = {"files": DOT, "queries": queries, "passages": SENTENCES, "order": order}
    (here / "ranking.json").write_text(json.dumps(out, ensure_ascii=False) + "\n")


def main():
    if "--refused" not in sys.argv:
        write_ranking()
    texts = json.loads((here / "texts.json").read_text())
    rows = json.loads((here / "rows.json").read_text())
    out = {}
    for base in sorted({row.get("base", "tiny") for row in rows}):
        for role, values in vectors({"base": base}, texts).items():
            out[f"base/{base}/{role}"] = values
    if "--refused" in sys.argv:
        for number, row in enumerate(rows):
            if "error" in row:
                report(number, row, texts, out)
        return
    for number, row in enumerate(rows):
        if "error" in row:
            continue
        try:
            got = vectors(row, texts)
        except Exception as e:
            sys.exit(f"row {number}, {row['key']} of {row['file']}: {e}")
        for role, values in got.items():
            out[f"{number}/{role}"] = np.ascontiguousarray(values)
    save_file(out, here / "vectors.safetensors")
    (here / "vectors.safetensors").chmod(0o644)


def report(number, row, texts, out):
    try:
        got = vectors(row, texts)
    except Exception:
        return
    base = row.get("base", "tiny")
    if all(values.shape == out[f"base/{base}/{role}"].shape and np.allclose(values, out[f"base/{base}/{role}"], atol=1e-6)
           for role, values in got.items()):
        print(f"row {number}, {row['key']} of {row['file']}: refused, and the same in sentence-transformers")


if __name__ == "__main__":
    main()
