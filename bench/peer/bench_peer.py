"""Measures how fast Retort and sentence-transformers encode the same texts: fp32, as many threads, one LibTorch version.

usage: bench_peer.py BENCHPEER MODEL-FOLDER [--texts N] [--pairs N] [--threads N] [--batch-size N]

BENCHPEER is bench/peer, built with LibTorch. Both sides load the model once, encode everything once to warm up,
and then take turns (A B, B A, A B, ...), so that what else the machine does falls on both. "make bench-peer" runs this.
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
    parser.add_argument("model")
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batch-size", type=int, default=32, help="of sentence-transformers; 32 is its own default")
    args = parser.parse_args()
    for name in ("texts", "pairs", "threads", "batch_size"):
        if getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')} is {getattr(args, name)}, want at least 1")
    return args


class Retort:
    def __init__(self, args):
        command = [args.benchpeer, "-model", args.model, "-texts", str(args.texts), "-threads", str(args.threads)]
        env = dict(os.environ, OMP_NUM_THREADS=str(args.threads))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        opening = self.read()
        self.go, self.libtorch, self.texts = opening["go"], opening["libtorch"], opening["texts"]

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("bench_peer.py: benchpeer ended; its message stands above")
        return json.loads(line)

    def ask(self, what):
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    args = arguments()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    os.environ["HF_HUB_OFFLINE"] = "1"
    import numpy
    import sentence_transformers
    import torch

    torch.set_num_threads(args.threads)
    peer = sentence_transformers.SentenceTransformer(args.model, device="cpu")
    retort = Retort(args)
    if retort.libtorch != torch.__version__.split("+")[0]:
        sys.exit(f"bench_peer.py: Retort is built with LibTorch {retort.libtorch}, Python has {torch.__version__}: no comparison")

    def encode():
        return peer.encode(
            retort.texts, batch_size=args.batch_size, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )

    def peer_seconds():
        start = time.perf_counter()
        encode()
        return time.perf_counter() - start

    def retort_seconds():
        return retort.ask("time")

    theirs = encode()
    ours = numpy.asarray(retort.ask("vectors"), dtype=numpy.float32).reshape(theirs.shape)
    n = len(retort.texts)
    tokens = sum(int(peer.preprocess([text])["attention_mask"].sum()) for text in retort.texts)
    print(f"{n} texts of {retort.go}'s documentation, {tokens} tokens, fp32, {args.threads} threads, batch size of the peer {args.batch_size}")
    print(f"LibTorch {retort.libtorch}, sentence-transformers {sentence_transformers.__version__}")
    print(f"largest difference between the two sides' vectors: {numpy.abs(theirs - ours).max():.1e}\n")

    print("pair  Retort texts/s  sentence-transformers texts/s  ratio")
    ratios = []
    for i in range(args.pairs):
        if i % 2 == 0:
            mine, other = retort_seconds(), peer_seconds()
        else:
            other, mine = peer_seconds(), retort_seconds()
        ratios.append(other / mine)
        print(f"{i + 1:4}  {n / mine:14.1f}  {n / other:29.1f}  {other / mine:5.2f}", flush=True)
    print(f"\nratio: min {min(ratios):.2f}  median {statistics.median(ratios):.2f}  max {max(ratios):.2f}")
    retort.close()


if __name__ == "__main__":
    main()
