"""Writes holm.json: p-values and what statsmodels 0.15.0 makes of them.

    pip install statsmodels && python make_holm.py
"""

import json
import os
import random

from statsmodels.stats.multitest import multipletests


def main():
    rng = random.Random(11)
    cases = {
        "one": [0.03],
        "ascending": [0.01, 0.02, 0.03, 0.04],
        "descending": [0.04, 0.03, 0.02, 0.01],
        "a later product is smaller": [0.01, 0.011, 0.5, 0.0101],
        "ties": [0.02, 0.02, 0.5, 0.02, 0.5],
        "zeros and ones": [0.0, 1.0, 0.0, 1.0],
        "the smallest a randomisation test gives": [1 / 100_001] * 3 + [0.2],
        "thirty": [rng.random() ** 3 for _ in range(30)],
    }
    golden = [{"name": n, "p": p, "adjusted": multipletests(p, method="holm")[1].tolist()} for n, p in cases.items()]
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "holm.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(golden, f, indent=0)
        f.write("\n")


if __name__ == "__main__":
    main()
