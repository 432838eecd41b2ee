"""Measures how fast Retort and faiss find the nearest of all passages exactly: same vectors, same threads.

usage: bench_peer_search.py BENCHPEER FOLDER [--passages N] [--queries N] [--dimensions N] [--k N] [--pairs N] [--threads N]

BENCHPEER is bench/peer/search. FOLDER gets the vectors, normal and scaled to length 1. Both sides keep their vectors in
memory and search all queries at once for the k largest inner products, faiss by IndexFlatIP, in alternation. A time is
nanoseconds for each pair of a query and a passage. At the end both say what they found; where the passages differ, the
scores at the ranks where they do must be equal to rounding, in float64. "make bench-peer" runs this.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("benchpeer")
    parser.add_argument("folder")
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    for name in ("passages", "queries", "dimensions", "k", "pairs", "threads"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} is {getattr(args, name)}, want at least 1")
    args.k = min(args.k, args.passages)
    return args


class Retort:
    def __init__(self, args, passages, queries):
        command = [args.benchpeer, "-passages", passages, "-queries", queries, "-k", str(args.k)]
        env = dict(os.environ, GOMAXPROCS=str(args.threads))
        self.name = "Retort"
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def ask(self, request):
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit("bench_peer_search.py: benchpeer ended; its message stands above")
        return json.loads(line)

    def time(self):
        return self.ask("time")

    def hits(self):
        return self.ask("hits")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Faiss:
    def __init__(self, args, passages, queries):
        import faiss

        faiss.omp_set_num_threads(args.threads)
        self.name = f"faiss-cpu {faiss.__version__}"
        self.index, self.queries, self.k = faiss.IndexFlatIP(args.dimensions), queries, args.k
        self.index.add(passages)

    def time(self):
        start = time.perf_counter()
        self.index.search(self.queries, self.k)
        return time.perf_counter() - start

    def hits(self):
        return self.index.search(self.queries, self.k)[1].tolist()

    def close(self):
        pass


def unit(np, rows, columns, seed):
    vectors = np.random.default_rng(seed).standard_normal((rows, columns), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def differences(np, passages, queries, a, b):
    """Counts the ranks at which different passages stand, and returns the largest difference of their scores."""
    ranks, largest = 0, 0.0
    for query, x, y in zip(queries.astype(np.float64), np.array(a), np.array(b)):
        other = x != y
        ranks += int(other.sum())
        if other.any():
            gap = passages[x[other]].astype(np.float64) @ query - passages[y[other]].astype(np.float64) @ query
            largest = max(largest, float(np.abs(gap).max()))
    return ranks, largest


def main():
    args = arguments()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    import numpy as np

    os.makedirs(args.folder, exist_ok=True)
    passages, queries = unit(np, args.passages, args.dimensions, 1), unit(np, args.queries, args.dimensions, 2)
    files = [os.path.join(args.folder, name) for name in ("passages.npy", "queries.npy")]
    for file, vectors in zip(files, (passages, queries)):
        np.save(file, vectors)
    sides = [Retort(args, *files), Faiss(args, passages, queries)]
    print(f"{args.passages} passages, {args.queries} queries, {args.dimensions} dimensions, k {args.k}, {args.threads} threads\n")
    for side in sides:
        side.time()  # the first search reads the vectors in
    print("round  Retort, ns a pair  faiss, ns a pair  ratio of speeds")
    ratios = []
    for i in range(args.pairs):
        seconds = {side: side.time() for side in (sides if i % 2 == 0 else sides[::-1])}
        retort, faiss = (seconds[side] for side in sides)
        ratios.append(faiss / retort)
        scale = 1e9 / (args.passages * args.queries)
        print(f"{i + 1:5}  {retort * scale:17.2f}  {faiss * scale:16.2f}  {ratios[-1]:15.2f}", flush=True)
    ranks, largest = differences(np, passages, queries, sides[0].hits(), sides[1].hits())
    for side in sides:
        side.close()
    print(f"\nRetort's speed as a multiple of {sides[1].name}'s: min {min(ratios):.2f}, median {statistics.median(ratios):.2f}, max {max(ratios):.2f}")
    print(f"other passages at {ranks} of {args.queries * args.k} ranks, whose scores differ by at most {largest:.1g}")
    if largest > 1e-6:
        sys.exit("bench_peer_search.py: the two sides found different passages")


if __name__ == "__main__":
    main()
