"""Measures what encodes: Retort in pure Go and on LibTorch, onnxruntime, sentence-transformers. One table, one run.

usage: bench_engines.py PURE LIBTORCH MODEL ONNX [--rounds N] [--queries N] [--passages N] [--threads N ...] [--docs FILE]

PURE and LIBTORCH are bench/peer/engines, built without LibTorch and with it; ONNX is MODEL by "retort export -onnx".
Each engine is a process of its own that stays open. The engines are asked in turn, in another order each round, and
all compute the same texts from their characters to unit vectors: queries of 12 tokens, one a call, and passages of 128
tokens, all in one call. --threads repeats the table for each number. "make bench-engines" runs this.
"""

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

QUERY, PASSAGE = 12, 128  # tokens, special ones included
WORDS = "how do i close a file that another process reads while the server stops and waits for all of them".split()


def arguments():
    parser = argparse.ArgumentParser()
    for name in ("pure", "libtorch", "model", "onnx"):
        parser.add_argument(name)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--queries", type=int, default=100, help="calls a round, by one caller and by eight")
    parser.add_argument("--passages", type=int, default=32)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, os.cpu_count()])
    parser.add_argument("--docs", help="a file whose lines between the markers of this table are replaced")
    return parser.parse_args()


# The engines in Python, which answer the requests of bench/peer/engines.


class ONNXRuntime:
    def __init__(self, model, threads):
        import numpy
        import onnxruntime
        from tokenizers import Tokenizer

        self.name = f"onnxruntime {onnxruntime.__version__} (Python)"
        self.numpy = numpy
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        path = os.path.join(model, "onnx", "model.onnx")
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.inputs = [i.name for i in self.session.get_inputs()]
        self.tokenizer = Tokenizer.from_file(os.path.join(model, "tokenizer.json"))
        self.tokenizer.enable_truncation(PASSAGE)
        self.tokenizer.enable_padding()

    def encode(self, texts):
        coded = self.tokenizer.encode_batch(texts)
        feeds = {
            "input_ids": self.numpy.array([c.ids for c in coded], dtype="int64"),
            "attention_mask": self.numpy.array([c.attention_mask for c in coded], dtype="int64"),
            "token_type_ids": self.numpy.array([c.type_ids for c in coded], dtype="int64"),
        }
        return self.session.run(["sentence_embedding"], {name: feeds[name] for name in self.inputs})[0]


class SentenceTransformers:
    def __init__(self, model, threads):
        import sentence_transformers
        import torch

        torch.set_num_threads(threads)
        self.name = f"sentence-transformers {sentence_transformers.__version__}"
        self.model = sentence_transformers.SentenceTransformer(model, device="cpu")
        self.model.max_seq_length = PASSAGE

    def encode(self, texts):
        return self.model.encode(texts, normalize_embeddings=True, show_progress_bar=False)


def serve(kind, model, threads):
    """Answers requests until the input ends."""
    begun = time.perf_counter()
    engine = {"onnxruntime": ONNXRuntime, "sentence-transformers": SentenceTransformers}[kind](model, threads)
    answer({"engine": engine.name, "seconds": time.perf_counter() - begun, "resident": resident()})
    for line in sys.stdin:
        r = json.loads(line)
        if r["do"] == "calls":
            answer(calls(engine, r))
        elif r["do"] == "batch":
            begun = time.perf_counter()
            engine.encode(r["texts"])
            answer(time.perf_counter() - begun)
        elif r["do"] == "vectors":
            answer(engine.encode(r["texts"]).ravel().tolist())
        elif r["do"] == "memory":
            answer(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
        else:
            sys.exit(f"bench_engines.py: request to do {r['do']!r}")


def answer(value):
    print(json.dumps(value), flush=True)


def resident():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def calls(engine, r):
    def one(i):
        start = time.perf_counter()
        engine.encode([r["texts"][i % len(r["texts"])]])
        return time.perf_counter() - start

    begun = time.perf_counter()
    if r["callers"] == 1:
        took = [one(i) for i in range(r["calls"])]
    else:
        with ThreadPoolExecutor(r["callers"]) as callers:
            took = list(callers.map(one, range(r["calls"])))
    return took + [time.perf_counter() - begun]


# The side that asks.


class Engine:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        opened = self.read()
        self.name, self.opening, self.resident = opened["engine"], opened["seconds"], opened["resident"]
        self.one, self.rates, self.speeds, self.p50s = [], [], [], []

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("bench_engines.py: an engine ended; its message stands above")
        return json.loads(line)

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self.read()

    def round(self, queries, passages, n):
        *took, _ = self.ask(do="calls", texts=queries, calls=n, callers=1)
        self.one += took
        self.p50s.append(statistics.median(took))
        *_, whole = self.ask(do="calls", texts=queries, calls=n, callers=8)
        self.rates.append(n / whole)
        self.speeds.append(len(passages) * PASSAGE / self.ask(do="batch", texts=passages))

    def close(self):
        self.memory = self.ask(do="memory")
        self.process.stdin.close()
        self.process.wait()


def texts(engine, args):
    """Texts that have as many tokens as they should."""
    chosen = random.Random(1)
    words = [" ".join(chosen.choices(WORDS, k=QUERY - 2)) for _ in range(args.queries)]
    long = [" ".join(chosen.choices(WORDS, k=PASSAGE + 20)) for _ in range(args.passages)]
    tokens = engine.ask(do="tokens", texts=words + long)
    if set(tokens[: len(words)]) != {QUERY} or set(tokens[len(words) :]) != {PASSAGE}:
        sys.exit(f"bench_engines.py: texts of {sorted(set(tokens))} tokens")
    return words, long


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def compare(args, threads):
    here = [sys.executable, "-B", os.path.abspath(__file__), "--serve"]
    engines = [
        Engine([args.pure, "-model", args.model, "-threads", str(threads)]),
        Engine([args.libtorch, "-model", args.model, "-threads", str(threads)]),
        Engine([*here, "onnxruntime", args.onnx, str(threads)]),
        Engine([*here, "sentence-transformers", args.model, str(threads)]),
    ]
    queries, passages = texts(engines[0], args)
    for e in engines:  # warm
        e.round(queries, passages[:4], 10)
        e.one, e.rates, e.speeds, e.p50s = [], [], [], []
    order = list(engines)
    for i in range(args.rounds):
        order = order[1:] + order[:1]
        for e in order:
            e.round(queries, passages, args.queries)
    want = engines[3].ask(do="vectors", texts=queries + passages)
    lines = [
        f"{threads} thread{'s' if threads > 1 else ''}",
        "",
        "| engine | query p50, ms | p99, ms | queries/s, 8 callers | passages, tokens/s | opening, ms | memory open, MiB "
        "| memory peak, MiB | largest difference |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for e in engines:
        got = e.ask(do="vectors", texts=queries + passages)
        difference = max(abs(a - b) for a, b in zip(got, want, strict=True))
        e.close()
        lines.append(
            f"| {e.name} | {1e3 * statistics.median(e.one):.2f} | {1e3 * percentile(e.one, 0.99):.2f} "
            f"| {statistics.median(e.rates):.0f} | {statistics.median(e.speeds):,.0f} | {1e3 * e.opening:.0f} "
            f"| {e.resident >> 20} | {e.memory >> 20} | {difference:.1e} |"
        )
    pure, _, onnx, _ = engines
    time_share = statistics.median(a / b for a, b in zip(pure.p50s, onnx.p50s))
    speed = statistics.median(a / b for a, b in zip(pure.speeds, onnx.speeds))
    lines += [
        "",
        f"Pure Go takes {time_share:.2f} of onnxruntime's time for a query and encodes {speed:.2f} times its tokens a "
        f"second (medians of {args.rounds} rounds).",
        "",
    ]
    return lines


def main():
    args = arguments()
    lines = []
    for threads in args.threads:
        lines += compare(args, threads)
    print("\n".join(lines))
    if args.docs:
        begin, end = "<!-- bench-engines -->\n", "<!-- /bench-engines -->"
        with open(args.docs) as f:
            before, rest = f.read().split(begin)
        _, after = rest.split(end)
        with open(args.docs, "w") as f:
            f.write(before + begin + "\n".join(lines) + end + after)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main()
