"""Measures how fast Retort and sentence-transformers encode the same texts: fp32, as many threads, one LibTorch version.

usage: bench_peer.py BENCHPEER MODEL-FOLDER [--texts N] [--pairs N] [--threads N] [--batch-size N]

BENCHPEER is bench/peer, built with LibTorch. Both sides load the model once, encode everything once to warm up,
and then take turns (A B, B A, A B, ...), so that what else the machine does falls on both. The peer sorts the texts by
length itself; without --batch-size it warms up with several batch sizes and keeps the quickest. Vectors that differ by
more than 1e-4 end the run. The last line is a row of a Markdown table. "make bench-peer" runs this.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

BATCH_SIZES = [8, 16, 32, 64]  # 32 is the peer's default
TOLERANCE = 1e-4


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("benchpeer")
    parser.add_argument("model")
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batch-size", type=int, help=f"of sentence-transformers; the quickest of {BATCH_SIZES}")
    args = parser.parse_args()
    for name in ("texts", "pairs", "threads", "batch_size"):
        value = getattr(args, name)
        if value is not None and value < 1:
            parser.error(f"--{name.replace('_', '-')} is {value}, want at least 1")
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

    def peer_pass(batch_size):
        start = time.perf_counter()
        vectors = peer.encode(
            retort.texts, batch_size=batch_size, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True
        )
        return time.perf_counter() - start, vectors

    _, theirs = peer_pass(args.batch_size or BATCH_SIZES[-1])
    batch_size = args.batch_size or min(BATCH_SIZES, key=lambda size: peer_pass(size)[0])
    ours = numpy.asarray(retort.ask("vectors"), dtype=numpy.float32).reshape(theirs.shape)
    difference = numpy.abs(theirs - ours).max()
    n = len(retort.texts)
    tokens = sum(int(peer.preprocess([text])["attention_mask"].sum()) for text in retort.texts)
    print(f"{n} texts of {retort.go}'s documentation, {tokens} tokens, fp32, {args.threads} threads, batch size of the peer {batch_size}")
    print(f"LibTorch {retort.libtorch}, sentence-transformers {sentence_transformers.__version__}")
    print(f"largest difference between the two sides' vectors: {difference:.1e}")
    print(f"mean cosine of different texts' vectors: {mean_cosine(theirs):.2f}\n")
    if not difference < TOLERANCE:
        sys.exit(f"bench_peer.py: the two sides' vectors differ by more than {TOLERANCE}: no comparison")

    print("pair  Retort texts/s  sentence-transformers texts/s  ratio")
    ratios = []
    for i in range(args.pairs):
        if i % 2 == 0:
            mine, other = retort.ask("time"), peer_pass(batch_size)[0]
        else:
            other, mine = peer_pass(batch_size)[0], retort.ask("time")
        ratios.append(other / mine)
        print(f"{i + 1:4}  {n / mine:14.1f}  {n / other:29.1f}  {other / mine:5.2f}", flush=True)
    median = statistics.median(ratios)
    print(f"\nratio: min {min(ratios):.2f}  median {median:.2f}  max {max(ratios):.2f}")
    print(f"| {family(peer)} | encoding | {min(ratios):.2f} | {median:.2f} | {max(ratios):.2f} |")
    retort.close()


def family(model):
    """The model_type of the peer's network."""
    return model[0].auto_model.config.model_type


def mean_cosine(vectors):
    """Near 1 the vectors of a model without training would agree whatever the two sides compute."""
    n = len(vectors)
    sums = vectors.sum(axis=0)
    return (sums @ sums - n) / (n * (n - 1)) if n > 1 else 0.0


if __name__ == "__main__":
    main()
