"""Writes golden.json: what trec_eval (pytrec_eval-terrier 0.5.11) and scipy 1.17 say of generated runs.

    pip install pytrec_eval-terrier scipy && python make_golden.py

Runs hold ties (also scores that differ only beyond single precision), unjudged passages, ids beyond ASCII, missing and
unjudged queries and misleading ranks; qrels hold grades from -2 to 4 and queries without relevant passages.
"""

import json
import os
import random

import numpy as np
import pytrec_eval
import scipy.stats

CUTS = [1, 3, 5, 10, 100]
IDS = ["d%d", "D%d", "doc-%d", "é%d", "\U0001f600%d", "net/http.Server%d"]


def passage(i):
    return IDS[i % len(IDS)] % i


def score(rng, style):
    if style == "ties":
        return str(rng.choice([0, 1, 1.5, 2, -1]))
    if style == "near ties":  # equal in single precision, not in double
        return repr(rng.choice([1.0, 3.0, 16777216.0]) + rng.choice([0, 1e-9, 2e-9]))
    if style == "exponents":
        return "%.6e" % (rng.gauss(0, 1) * 10 ** rng.randint(-30, 30))
    return repr(rng.gauss(0, 3))


def make_run(rng, style, queries, depth, pool):
    lines = []
    for query in queries:
        hits = rng.sample(range(pool), rng.randint(1, depth))
        for hit in hits:
            lines.append(f"{query} Q0 {passage(hit)} {rng.randint(0, 99)} {score(rng, style)} tag")
    rng.shuffle(lines)
    return "\n".join(lines) + "\n"


def make_qrels(rng, grades, queries, pool):
    lines = []
    for query in queries:
        for hit in rng.sample(range(pool), rng.randint(1, 25)):
            lines.append(f"{query} 0 {passage(hit)} {rng.choice(grades)}")
    return "\n".join(lines) + "\n"


def evaluate(qrels_text, run_text):
    """Values of trec_eval for every judged query; 0 for those that the run lacks (option -c)."""
    qrels = pytrec_eval.parse_qrel(qrels_text.splitlines())
    run = pytrec_eval.parse_run(run_text.splitlines())
    cuts = ",".join(map(str, CUTS))
    measures = {"map", "recip_rank"} | {f"{m}.{cuts}" for m in ("ndcg_cut", "P", "recall")}
    got = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)
    values = {}
    for query in sorted(qrels):
        v = got.get(query, {})
        reciprocal = v.get("recip_rank", 0.0)
        values[query] = {"map": v.get("map", 0.0)}
        for k in CUTS:
            values[query][f"ndcg@{k}"] = v.get(f"ndcg_cut_{k}", 0.0)
            values[query][f"precision@{k}"] = v.get(f"P_{k}", 0.0)
            values[query][f"recall@{k}"] = v.get(f"recall_{k}", 0.0)
            values[query][f"mrr@{k}"] = reciprocal if reciprocal >= 1 / k else 0.0
    means = {m: sum(v[m] for v in values.values()) / len(values) for m in next(iter(values.values()))}
    return {"queries": values, "means": means}


def make_case(name, seed, style, grades, depth, pool):
    rng = random.Random(seed)
    judged = [f"q{i}" for i in range(12)]
    answered = judged[2:] + ["unjudged"]
    qrels = make_qrels(rng, grades, judged, pool) + f"q-none 0 {passage(0)} 0\nq-none 0 {passage(1)} -1\n"
    run = make_run(rng, style, answered + ["q-none"], depth, pool)
    return {"name": name, "qrels": qrels, "run": run, **evaluate(qrels, run)}


def make_comparison(name, before, after):
    """Exact p-value where n is small, scipy's approximations with many samples where it is not."""
    before, after = np.round(before, 4), np.round(after, 4)
    diff = after - before
    test = scipy.stats.permutation_test(
        (after, before), lambda a, b, axis: np.mean(a - b, axis=axis), permutation_type="samples", vectorized=True,
        n_resamples=np.inf if len(diff) <= 12 else 200_000, batch=2000, random_state=1)
    ci = scipy.stats.bootstrap((diff,), np.mean, n_resamples=200_000, batch=2000, method="percentile", random_state=1)
    return {"name": name, "before": before.tolist(), "after": after.tolist(), "delta": float(diff.mean()),
            "p": float(test.pvalue), "exact": len(diff) <= 12,
            "low": float(ci.confidence_interval.low), "high": float(ci.confidence_interval.high)}


def main():
    rng = np.random.default_rng(7)
    golden = {
        "evaluations": [
            make_case("distinct scores, graded", 1, "gauss", [0, 1, 2, 3, 4], 45, 50),
            make_case("ties, graded", 2, "ties", [0, 1, 1, 2], 45, 50),
            make_case("ties only beyond single precision", 3, "near ties", [0, 1], 30, 32),
            make_case("negative grades", 4, "ties", [-2, -1, 0, 1, 2], 30, 40),
            make_case("scores from 1e-30 to 1e30", 5, "exponents", [1, 2, 3], 30, 40),
            make_case("more than a hundred hits, short lists too", 6, "ties", [0, 1, 3], 200, 260),
        ],
        "comparisons": [
            make_comparison("small difference, n = 12", b := rng.random(12), b + rng.normal(0.03, 0.1, 12)),
            make_comparison("equal differences tie, n = 9", np.zeros(9), np.array([1, 1, 1, 0, 1, -1, 1, 1, 1.0])),
            make_comparison("equal steps tie but for rounding, n = 12", b := rng.integers(0, 9, 12) / 10,
                            b + np.array([1, 3, -2, 1, 1, 2, -1, 0, 3, 1, -2, 1]) / 10),
            make_comparison("two queries", np.array([0.2, 0.1]), np.array([0.7, 0.4])),
            make_comparison("n = 60, no difference to speak of", b := rng.random(60), b + rng.normal(0.01, 0.2, 60)),
            make_comparison("n = 150, p near .05", b := rng.random(150), b + rng.normal(0.03, 0.15, 150)),
        ],
    }
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(golden, f, ensure_ascii=False, indent=0)
        f.write("\n")


if __name__ == "__main__":
    main()
