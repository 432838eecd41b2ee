"""Trains one or both towers, by the default loss and by the paper's, on the same lists, and writes a table of what that brings.

usage: towers.py RETORT MODEL FOLDER COLLECTION... [--lists N] [--tokens N] [--precision P] [--table-only] [--docs FILE]

RETORT is the command, MODEL an encoder, each COLLECTION a folder in BEIR's layout with qrels/test.tsv; one that is called
godoc is searched by BM25's analyzer for code. Everything is kept under FOLDER: a cell whose result is there is not made
again, and one that was cut off goes on. The table goes to standard output, or between the lines "<!-- towers:begin -->" and
"<!-- towers:end -->" of a Markdown file. "make towers" runs this.

Every cell is one "retort distill -keep last", so that the last model is measured, whatever the test of "-keep best" would
say. What that would say is measured the same way: 1,000 generated queries of a type that is not trained on, each of
which should find its passage among 1,000, by MRR@10.
"""

import argparse
import hashlib
import json
import os
import random
import re
import subprocess
import sys

# What a cell's name stands for: towers, loss, lists of one step, learning rate. Those of "query" and "both" are the command's own;
# "query, small steps" has as many steps as "both".
KINDS = {"query": ("query", 64, 1e-4), "query-small-steps": ("query", 16, 5e-5), "both": ("both", 16, 5e-5)}
# The generated queries are extractive. Such have no positive, so that of the paper's loss its KL is left; the third loss is the
# whole of it: the same lists are given back as if the queries were the user's, and the teacher's first passage is the positive.
LOSSES = {"default": ["-loss", "kl", "-target", "student-scale"], "paper-kl": ["-loss", "paper"], "paper": ["-loss", "paper", "-lists", "LISTS"]}
LOSS_TITLES = {"default": "default", "paper-kl": "paper, KL only", "paper": "paper"}
CELLS = [(kind, loss) for loss in LOSSES for kind in KINDS]
PASSAGES = 8  # of a list: the first 5 of the ranking, and 3 drawn from those after them
KNOWN = 1000
GUARD_P = 0.05


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("retort")
    parser.add_argument("model")
    parser.add_argument("folder")
    parser.add_argument("collections", nargs="+")
    parser.add_argument("--lists", type=int, default=1000)
    parser.add_argument("--tokens", type=int, default=128, help="of a passage")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default=best_precision())
    parser.add_argument("--table-only", action="store_true", help="of the results that are there")
    parser.add_argument("--docs", metavar="FILE", help="write the table into this Markdown file")
    return parser.parse_args()


def best_precision():
    try:
        with open("/proc/cpuinfo") as f:
            return "bf16" if re.search(r"amx_bf16|avx512_bf16", f.read()) else "fp32"
    except OSError:
        return "fp32"


class Collection:
    """A collection with what its cells share: the run folder, and how the untouched model does."""

    def __init__(self, args, path):
        self.args, self.path = args, path
        self.name = os.path.basename(os.path.normpath(path))
        self.folder = os.path.join(args.folder, self.name)
        self.known = self.file("known")
        self.run = self.file("run")

    def file(self, name):
        return os.path.join(self.folder, name)

    def retort(self, *words):
        command = [self.args.retort, *words, "-quiet"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            sys.exit(f"towers.py: {' '.join(command)} ended with {done.returncode}")
        return done.stdout

    def encoder(self, model):
        return ["-model", model, "-passage-tokens", str(self.args.tokens), "-precision", self.args.precision]

    def distill(self, kind, loss):
        towers, batch, rate = KINDS[kind]
        losses = [self.file("lists.jsonl") if word == "LISTS" else word for word in LOSSES[loss]]
        return self.retort(
            "distill", "-corpus", os.path.join(self.path, "corpus.jsonl"), "-out", self.run, *self.encoder(self.args.model),
            "-towers", towers, *losses, "-batch", str(batch), "-lr", str(rate), "-epochs", "1", "-keep", "last",
            "-max-lists", str(self.args.lists), "-top", "5", "-sample", "3", "-min-list", str(PASSAGES), "-check-queries", "0",
            "-analyzer", "code" if self.name == "godoc" else "english", "-json",
        )

    def judge(self, collection, model, run, *more):
        return json.loads(self.retort(
            "eval", "-collection", collection, *self.encoder(model), "-metrics", "ndcg@10,recall@100,mrr@10", "-run", run, "-json", *more))

    def prepare(self):
        """Writes the held-out items and measures the untouched model."""
        settings = {"model": os.path.abspath(self.args.model), "lists": self.args.lists, "tokens": self.args.tokens, "precision": self.args.precision}
        if not os.path.exists(self.file("settings.json")):
            write(self.file("settings.json"), json.dumps(settings))
        if read(self.file("settings.json")) != settings:
            sys.exit(f"towers.py: {self.folder} was made with other settings than {settings}: remove it, or name another folder")
        if not os.path.exists(self.file("known.done")):
            self.hold_out()
            write(self.file("known.done"), "")
        for name, collection in (("test", self.path), ("known", self.known)):
            vectors = self.file(name + ".npy")
            if not os.path.exists(self.file(f"before-{name}.json")):
                self.retort("embed", *self.encoder(self.args.model), "-role", "passage", os.path.join(collection, "corpus.jsonl"), "-out", vectors)
                before = self.judge(collection, self.args.model, self.file(f"before-{name}.trec"), "-vectors", vectors)
                write(self.file(f"before-{name}.json"), json.dumps(before))

    def hold_out(self):
        """Makes a collection of held-out items: queries of one passage each, and among those passages."""
        generated = self.file("keywords.jsonl")
        self.retort("generate", "-corpus", os.path.join(self.path, "corpus.jsonl"), "-types", "keywords", "-out", generated)
        by_source = {q["source"]: q for q in map(json.loads, open(generated))}
        chosen = random.Random(1).sample(sorted(by_source), min(KNOWN, len(by_source)))
        with open(os.path.join(self.path, "corpus.jsonl")) as f:
            corpus = [p for p in map(json.loads, f) if p["_id"] in set(chosen)]
        write(os.path.join(self.known, "corpus.jsonl"), "".join(json.dumps(p) + "\n" for p in corpus))
        write(os.path.join(self.known, "queries.jsonl"),
              "".join(json.dumps({"_id": f"known-{i}", "text": by_source[s]["text"]}) + "\n" for i, s in enumerate(chosen)))
        write(os.path.join(self.known, "qrels", "test.tsv"),
              "query-id\tcorpus-id\tscore\n" + "".join(f"known-{i}\t{s}\t1\n" for i, s in enumerate(chosen)))

    def cell(self, kind, loss):
        path = self.file(f"{kind}-{loss}.json")
        if os.path.exists(path):
            return
        print(f"{self.name}: {kind}, {loss} loss", file=sys.stderr, flush=True)
        result = json.loads(self.distill(kind, loss))
        stages = {s["name"]: s for s in read(os.path.join(self.run, "manifest.json"))["stages"]}
        if loss == "paper-kl":
            self.keep_lists()
        model = os.path.join(self.run, "model")
        cell = {"steps": result["steps"], "lists": result["lists"], "seconds": stages["train"]["seconds"], "lists_hash": self.lists_hash()}
        for name, collection in (("test", self.path), ("known", self.known)):
            same = ["-vectors", self.file(name + ".npy")] if KINDS[kind][0] == "query" else []  # its passage tower has not changed
            cell[name] = self.judge(collection, model, self.file(f"{kind}-{loss}-{name}.trec"), "-compare", self.file(f"before-{name}.trec"), *same)
        write(path, json.dumps(cell))

    def keep_lists(self):
        """Writes the lists of the run, with the paper's targets, without saying where their queries are from."""
        lists = []
        with open(os.path.join(self.run, "filter.jsonl")) as f:
            for record in map(json.loads, f):
                query = {name: record["query"][name] for name in ("_id", "text")}
                lists.append(json.dumps({"query": query, "ids": record["ids"], "scores": record["scores"]}) + "\n")
        write(self.file("lists.jsonl"), "".join(lists))

    def lists_hash(self):
        """Stands for the queries and passages of the lists, whatever their targets."""
        h = hashlib.sha256()
        for line in open(os.path.join(self.run, "filter.jsonl")):
            record = json.loads(line)
            h.update(json.dumps([record["query"]["_id"], record["ids"]]).encode())
        return h.hexdigest()

    def rows(self):
        done = {}
        for kind, loss in CELLS:
            if os.path.exists(self.file(f"{kind}-{loss}.json")):
                done[kind, loss] = read(self.file(f"{kind}-{loss}.json"))
        if not done:
            return []
        if len({cell["lists_hash"] for cell in done.values()}) > 1:
            sys.exit(f"towers.py: the cells of {self.name} were trained on different lists; remove {self.folder}")
        before, known = read(self.file("before-test.json")), read(self.file("before-known.json"))
        rows = [["untouched", "", "", figure(before["ndcg@10"]), "", "", "", figure(known["mrr@10"]), "", ""]]
        for (kind, loss), cell in done.items():
            towers, batch, rate = KINDS[kind]
            test, items = cell["test"]["compare"]["differences"]["ndcg@10"], cell["known"]["compare"]["differences"]["mrr@10"]
            kept = items["delta"] > 0 and items["p"] < GUARD_P
            rows.append([towers, LOSS_TITLES[loss], f"{cell['steps']} of {batch}, {rate:g}", figure(cell["test"]["ndcg@10"]), signed(test["delta"]),
                         f"{signed(test['low'])} to {signed(test['high'])}", p_value(test["p"]),
                         f"{signed(items['delta'])} (p {p_value(items['p'])})", "trained" if kept else "untouched", f"{cell['seconds']:.0f}"])
        title = f"{self.name} ({before['queries']} test queries)"
        return [[title if i == 0 else ""] + row for i, row in enumerate(rows)]


HEAD = ["collection", "towers", "loss", "steps, rate", "nDCG@10", "difference", "95% interval", "p", "held-out items, MRR@10", "the test keeps", "training, s"]


def table(collections):
    lines = [HEAD, ["---"] * len(HEAD)] + [row for c in collections for row in c.rows()]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def splice(path, text):
    """Puts the table between the marker lines."""
    with open(path) as f:
        document = f.read()
    parts = re.fullmatch(r"(.*<!-- towers:begin -->\n).*(<!-- towers:end -->\n.*)", document, re.DOTALL)
    if not parts:
        sys.exit(f"towers.py: {path} has no lines <!-- towers:begin --> and <!-- towers:end --> in this order")
    write(path, parts[1] + text + parts[2])


def figure(x):
    return f"{x:.4f}".replace("0.", ".", 1)


def signed(x):
    return f"{x:+.4f}".replace("0.", ".", 1)


def p_value(p):
    return "< .0001" if p < 0.0001 else f"{p:.2g}".replace("0.", ".", 1)


def read(path):
    with open(path) as f:
        return json.load(f)


def write(path, text):
    """Writes a file that appears whole or not at all."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path + ".new", "w") as f:
        f.write(text)
    os.replace(path + ".new", path)


def main():
    args = arguments()
    collections = [Collection(args, path) for path in args.collections]
    if not args.table_only:
        for c in collections:
            c.prepare()
            for kind, loss in sorted(CELLS, key=lambda cell: KINDS[cell[0]][0] == "both"):  # which take longest
                c.cell(kind, loss)
    if args.docs:
        splice(args.docs, table(collections))
    else:
        print(table(collections), end="")


main()
