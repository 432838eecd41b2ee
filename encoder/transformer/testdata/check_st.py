"""Checks that sentence-transformers loads model folders and makes the same embeddings of them as Retort did:

    python3 check_st.py DIR EMBEDDINGS.json [DIR EMBEDDINGS.json ...]

The JSON file holds {"query": {"texts": [..], "embeddings": [[..], ..]}, "passage": {..}}, L2-normalised; either role may
be left out. A role "encode" is for encode, which knows no roles. The model card is read by huggingface_hub. Ends with status
1 where a value differs by more than 1e-5.
"""

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
from huggingface_hub import ModelCard
from sentence_transformers import SentenceTransformer


def check(folder, embeddings):
    model = SentenceTransformer(folder, device="cpu")
    with open(embeddings) as f:
        given = json.load(f)
    worst = 0.0
    for role, encode in (("query", model.encode_query), ("passage", model.encode_document), ("encode", model.encode)):
        if role not in given:
            continue
        want = np.asarray(given[role]["embeddings"], dtype=np.float32)
        cut = model.truncate_dim is not None  # sentence-transformers cuts after its module Normalize
        got = encode(given[role]["texts"], convert_to_numpy=True, normalize_embeddings=cut)
        if got.shape != want.shape:
            sys.exit(f"{role}: {got.shape} in sentence-transformers, {want.shape} given")
        difference = float(np.abs(got - want).max())
        print(f"{role}: {len(want)} texts, largest difference {difference:.2g}")
        worst = max(worst, difference)
    if not worst <= 1e-5:
        sys.exit(f"{folder}: embeddings differ by {worst:.2g}")
    card = ModelCard.load(os.path.join(folder, "README.md"))
    if card.data.library_name != "sentence-transformers":
        sys.exit(f"{folder}: library_name of the model card is {card.data.library_name}")


def main():
    if len(sys.argv) < 3 or len(sys.argv) % 2 == 0:
        sys.exit(__doc__)
    for i in range(1, len(sys.argv), 2):
        check(sys.argv[i], sys.argv[i + 1])


if __name__ == "__main__":
    main()
