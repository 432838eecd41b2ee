"""Checks that sentence-transformers loads a model folder and makes the same embeddings of it as Retort did:

    python3 check_st.py DIR EMBEDDINGS.json

The JSON file holds {"query": {"texts": [..], "embeddings": [[..], ..]}, "passage": {..}}, L2-normalised; either role may
be left out. Ends with status 1 where a value differs by more than 1e-5.
"""

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
from sentence_transformers import SentenceTransformer


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    model = SentenceTransformer(sys.argv[1], device="cpu")
    with open(sys.argv[2]) as f:
        given = json.load(f)
    worst = 0.0
    for role, encode in (("query", model.encode_query), ("passage", model.encode_document)):
        if role not in given:
            continue
        want = np.asarray(given[role]["embeddings"], dtype=np.float32)
        got = encode(given[role]["texts"], convert_to_numpy=True)
        if got.shape != want.shape:
            sys.exit(f"{role}: {got.shape} in sentence-transformers, {want.shape} given")
        difference = float(np.abs(got - want).max())
        print(f"{role}: {len(want)} texts, largest difference {difference:.2g}")
        worst = max(worst, difference)
    if not worst <= 1e-5:
        sys.exit(f"{sys.argv[1]}: embeddings differ by {worst:.2g}")


if __name__ == "__main__":
    main()
