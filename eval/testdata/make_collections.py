"""Writes collections.json: what trec_eval (pytrec_eval-terrier 0.5.11) says of small collections with gaps.

    pip install pytrec_eval-terrier && python make_collections.py

The collections have queries that are passages themselves, judged passages that the corpus lacks, queries that are judged with 0
or negative grades only, and judged queries without a text. The runs rank the whole corpus at random. As BEIR's evaluation does,
a hit whose id is the query's is taken out of the run before it is measured. Judged queries without a text are in no run, and
pytrec_eval leaves out what the run lacks.
"""

import json
import os
import random

import pytrec_eval

MEASURES = {"ndcg_cut_10": "ndcg@10", "recall_100": "recall@100", "map": "map", "P_5": "precision@5", "recip_rank": "mrr@1000"}


def collection(seed):
    rng = random.Random(seed)
    passages = {f"p{i}": f"text number {i}" for i in range(30)}
    queries = {}
    for i in range(12):
        if i % 3 == 0:  # a passage itself
            queries[f"p{i}"] = passages[f"p{i}"]
        else:
            queries[f"q{i}"] = f"query number {i}"
    qrels = {}
    for i, query in enumerate(queries):
        others = [p for p in passages if p != query]
        grades = {p: rng.choice([-2, 0, 1, 1, 2, 3]) for p in rng.sample(others, 6)}
        if i == 4:
            grades = {p: rng.choice([-1, 0]) for p in grades}
        if i % 4 == 1:  # beyond the corpus
            grades[f"gone{i}"] = rng.choice([0, 1, 2])
        qrels[query] = grades
    qrels["unasked"] = {"p1": 1, "p2": 2}
    run = {q: {p: round(rng.random(), 6) for p in passages} for q in queries}
    stripped = {q: {p: s for p, s in hits.items() if p != q} for q, hits in run.items()}
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "recall.100", "map", "P.5", "recip_rank"})
    values = evaluator.evaluate(stripped)
    return {
        "passages": passages,
        "queries": queries,
        "qrels": qrels,
        "run": run,
        "values": {q: {MEASURES[m]: v[m] for m in MEASURES} for q, v in values.items()},
        "itself": sorted(q for q in queries if q in passages),
        "unreachable": sorted({p for g in qrels.values() for p in g if p not in passages}),
    }


path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "collections.json")
with open(path, "w") as f:
    json.dump([collection(seed) for seed in range(4)], f, indent=1)
    f.write("\n")
