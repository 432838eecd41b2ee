"""Checks that folders that Train saved score the same in Retort, in sentence-transformers' CrossEncoder and in transformers.

usage: check_st.py MODEL-FOLDER SCORES.json [MODEL-FOLDER SCORES.json ...]

SCORES.json is {"pairs": [[query, passage], ...], "scores": [...]}, which TestATrainedModelForSentenceTransformers writes.
"""

import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy
import torch
from sentence_transformers import CrossEncoder
from transformers import AutoModelForSequenceClassification, AutoTokenizer



def check(folder, given):
    with open(given) as f:
        ours = json.load(f)
    pairs = [tuple(pair) for pair in ours["pairs"]]
    predicted = CrossEncoder(folder, device="cpu").predict(pairs, show_progress_bar=False)

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    assert model.config.num_labels == 1, model.config.num_labels
    inputs = tokenizer(
        [q for q, _ in pairs], [p for _, p in pairs], truncation=True, padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        logits = model(**inputs).logits[:, 0].numpy()

    failed = False
    for name, theirs in (("sentence-transformers", predicted), ("transformers", logits)):
        difference = float(numpy.abs(theirs - numpy.array(ours["scores"])).max())
        failed |= not difference <= 1e-4
        print(f"{name}: {type(model).__name__}, {len(pairs)} pairs, largest difference {difference:.1e}")
    return failed


if len(sys.argv) < 3 or len(sys.argv) % 2 == 0:
    sys.exit(__doc__)
sys.exit(any([check(sys.argv[i], sys.argv[i + 1]) for i in range(1, len(sys.argv), 2)]))
