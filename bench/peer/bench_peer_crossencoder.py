"""Measures how fast Retort and sentence-transformers' CrossEncoder score the same pairs: fp32, as many threads, one LibTorch
version, the same weights (the model folder's network under a random head, which costs the same as a trained one).

usage: bench_peer_crossencoder.py BENCHPEER DRIVER MODEL-FOLDER WORK-FOLDER [--queries N] [--passages N] [--pairs N] [--threads N]
       [--batch-size N]

BENCHPEER is bench/peer, which knows the texts and its LibTorch, DRIVER is bench/peer/crossencoder, both built
with LibTorch. Both sides load the model once, score everything once to warm up, and then take turns (A B, B A, A B, ...), so
that what else the machine does falls on both. "make bench-peer" runs this.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import bench_peer


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("benchpeer")
    parser.add_argument("driver")
    parser.add_argument("model")
    parser.add_argument("work")
    parser.add_argument("--queries", type=int, default=16)
    parser.add_argument("--passages", type=int, default=16, help="of a query")
    parser.add_argument("--pairs", type=int, default=5, help="of measurements")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batch-size", type=int, default=32, help="of sentence-transformers; 32 is its own default")
    args = parser.parse_args()
    for name in ("queries", "passages", "pairs", "threads", "batch_size"):
        if getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')} is {getattr(args, name)}, want at least 1")
    args.texts = args.queries * args.passages
    return args


class Driver:
    def __init__(self, args, folder, lists):
        env = dict(os.environ, OMP_NUM_THREADS=str(args.threads))
        command = [args.driver, "-model", folder, "-threads", str(args.threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.write(json.dumps(lists))

    def write(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def ask(self, what):
        self.write(what)
        line = self.process.stdout.readline()
        if not line:
            sys.exit("bench_peer_crossencoder.py: the driver ended; its message stands above")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def make_model(start, folder):
    """A cross-encoder of the start's network and a random head."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(start, num_labels=1)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(start, model_max_length=512).save_pretrained(folder)


def main():
    args = arguments()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    os.environ["HF_HUB_OFFLINE"] = "1"
    import numpy
    import sentence_transformers
    import torch

    torch.set_num_threads(args.threads)
    retort = bench_peer.Retort(args)
    retort.close()
    if retort.libtorch != torch.__version__.split("+")[0]:
        sys.exit(
            f"bench_peer_crossencoder.py: Retort is built with LibTorch {retort.libtorch}, Python has {torch.__version__}: no comparison"
        )
    folder = os.path.join(args.work, "crossencoder")
    make_model(args.model, folder)
    peer = sentence_transformers.CrossEncoder(folder, device="cpu", activation_fn=torch.nn.Identity())
    # A query is how a passage begins; its list is passages from all over the documentation.
    lists = []
    for i in range(args.queries):
        passages = retort.texts[i :: args.queries][: args.passages]
        lists.append([" ".join(passages[0].split()[:8])] + passages)
    pairs = [(texts[0], passage) for texts in lists for passage in texts[1:]]
    driver = Driver(args, folder, lists)

    def predict():
        return peer.predict(pairs, batch_size=args.batch_size, show_progress_bar=False)

    def peer_seconds():
        start = time.perf_counter()
        predict()
        return time.perf_counter() - start

    theirs = predict()
    ours = numpy.asarray(driver.ask("scores"))
    n = len(pairs)
    encoded = peer.tokenizer([q for q, _ in pairs], [p for _, p in pairs], truncation=True, max_length=512)
    tokens = sum(len(ids) for ids in encoded["input_ids"])
    print(f"{n} pairs of {retort.go}'s documentation, {tokens} tokens, fp32, {args.threads} threads, batch size of the peer {args.batch_size}")
    print(f"LibTorch {retort.libtorch}, sentence-transformers {sentence_transformers.__version__}")
    print(f"largest difference between the two sides' scores: {numpy.abs(theirs - ours).max():.1e}\n")

    print("pair  Retort pairs/s  CrossEncoder.predict pairs/s  ratio")
    ratios = []
    for i in range(args.pairs):
        if i % 2 == 0:
            mine, other = driver.ask("time"), peer_seconds()
        else:
            other, mine = peer_seconds(), driver.ask("time")
        ratios.append(other / mine)
        print(f"{i + 1:4}  {n / mine:14.1f}  {n / other:28.1f}  {other / mine:5.2f}", flush=True)
    print(f"\nratio: min {min(ratios):.2f}  median {statistics.median(ratios):.2f}  max {max(ratios):.2f}")
    driver.close()


if __name__ == "__main__":
    main()
