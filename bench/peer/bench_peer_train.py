"""Measures a step of training beside sentence-transformers: the same lists in the same steps, the same weights, losses,
threads, precision and version of LibTorch.

usage: bench_peer_train.py DRIVER MODEL-FOLDER WORK-FOLDER [--corpus FILE] [--lists FILE] [--queries N] [--list N] [--tokens N]
       [--pairs N] [--threads N] [--precision fp32|bf16] [--peer-mode auto|plain|accumulate|cached] [--peer-batch N]
       [--peer-memory GIB] [--graph-budget BYTES]

DRIVER is bench/peer/train, built with LibTorch. --corpus and --lists are corpus.jsonl and filter.jsonl of a run's
folder (docs/run-folder.md), or other lists with scores; without --lists the driver makes lists for the corpus by BM25, and
without --corpus of Go's own documentation. A list is cut to its source, the positive, and the teacher's best others.

Both sides make one step to warm up, and then take turns (A B, B A, ...), step by step: Retort by distill.Train, the peer by
its SentenceTransformerTrainer. The loss is DistillKLDivLoss / temperature^2 + 0.1 MultipleNegativesRankingLoss over one
embedding of the texts; dropout is off, since Retort has none. What the peer may do:

  plain       the whole step at once: memory for the graph of every list's passages, padded to the longest
  accumulate  --peer-batch queries at a time, gradients accumulated: less memory, as much work, fewer in-batch negatives
  cached      CachedMultipleNegativesRankingLoss with mini-batches of --peer-batch texts: less memory, as many negatives, two
              forward passes; there is no cached KL, so both sides go without
  auto        plain where it should fit into --peer-memory, else accumulate with as many queries as should

The peer's process cannot take more than --peer-memory (RLIMIT_DATA), so that it cannot bring the machine down. The last
line is a row of a Markdown table: Retort's share of the peer's time.
"make bench-peer" runs this.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import bench_peer

NAME = "bench_peer_train.py"
TEACHER_TEMPERATURE, STUDENT_TEMPERATURE = 0.3, 0.05
INFONCE_WEIGHT, INFONCE_TEMPERATURE = 0.1, 0.01
LEARNING_RATE = 2e-5
GIB = 1 << 30


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("driver")
    parser.add_argument("model")
    parser.add_argument("work")
    parser.add_argument("--corpus")
    parser.add_argument("--lists")
    parser.add_argument("--queries", type=int, default=32, help="of a step")
    parser.add_argument("--list", type=int, default=20, help="passages of a list")
    parser.add_argument("--tokens", type=int, default=256, help="of the longest text")
    parser.add_argument("--pairs", type=int, default=5, help="of steps that are measured")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--peer-mode", choices=["auto", "plain", "accumulate", "cached"], default="auto")
    parser.add_argument("--peer-batch", type=int, help="queries (accumulate: must divide --queries) or texts (cached: 32)")
    parser.add_argument("--peer-memory", type=float, help="GiB; three quarters of what is free")
    parser.add_argument("--graph-budget", type=int, default=0, help="Retort's, in bytes; 0: its own choice")
    args = parser.parse_args()
    for name, least in (("queries", 1), ("list", 2), ("tokens", 3), ("pairs", 1), ("threads", 1)):
        if getattr(args, name) < least:
            parser.error(f"--{name} is {getattr(args, name)}, want at least {least}")
    if args.lists and not args.corpus:
        parser.error("--lists needs --corpus")
    if args.peer_batch is not None and args.peer_batch < 1:
        parser.error(f"--peer-batch is {args.peer_batch}, want at least 1")
    if args.peer_mode == "accumulate" and args.queries % (args.peer_batch or args.queries):
        parser.error(f"--peer-batch is {args.peer_batch}, which does not divide --queries {args.queries}")
    if args.peer_memory is None:
        args.peer_memory = 0.75 * available() / GIB
    return args


def available():
    """Bytes that can be taken without swapping; infinite where the system does not tell."""
    try:
        with open("/proc/meminfo") as lines:
            return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except OSError:
        return float("inf")


def peak():
    """The highest resident memory of this process so far, in bytes; 0 where the system does not tell."""
    try:
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:"))
    except OSError:
        return 0


def limit_memory(gib):
    if gib == float("inf"):
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = int(gib * GIB)
    resource.setrlimit(resource.RLIMIT_DATA, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


class Driver:
    def __init__(self, args, corpus, lists):
        env = dict(os.environ, OMP_NUM_THREADS=str(args.threads))
        command = [args.driver, "-model", args.model, "-corpus", corpus, "-lists", lists, "-precision", args.precision]
        command += ["-loss", "infonce" if args.peer_mode == "cached" else "joint", "-lr", str(LEARNING_RATE)]
        command += ["-steps", str(args.pairs + 2), "-queries", str(args.queries), "-list", str(args.list)]
        command += ["-tokens", str(args.tokens), "-threads", str(args.threads), "-graph-budget", str(args.graph_budget)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.opening = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{NAME}: the driver ended; its message stands above")
        return json.loads(line)

    def step(self):
        self.process.stdin.write("step\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def files(args):
    """The corpus and the lists, which are made where none are given."""
    if args.lists:
        return args.corpus, args.lists
    folder = os.path.join(args.work, "train-lists")
    # A little more than is needed: a short corpus, or a query of rare words, gives shorter lists.
    count = 2 * (args.pairs + 2) * args.queries
    command = [args.driver, "-make", folder, "-count", str(max(1024, count)), "-list", str(args.list)]
    if args.corpus:
        command += ["-corpus", args.corpus]
    subprocess.run(command, check=True)
    return os.path.join(folder, "corpus.jsonl"), os.path.join(folder, "lists.jsonl")


def graph_bytes(config, tokens):
    """About what the graph of a BERT's forward pass over padded tokens holds until the backward, in fp32: for each layer the
    inputs and outputs of its matrices, activations and normalisations."""
    h, f = config.hidden_size, config.intermediate_size
    return 4 * tokens * (3 * h + config.num_hidden_layers * (9 * h + 2 * f))


def choose_mode(args, model, steps, passages):
    """Decides what auto means. It is only an estimate; the limit on memory is what holds."""
    if args.peer_mode == "accumulate" and not args.peer_batch:
        args.peer_batch = args.queries
    if args.peer_mode == "cached" and not args.peer_batch:
        args.peer_batch = 32
    lengths = [len(ids) for ids in model.tokenizer(passages, truncation=True, max_length=args.tokens)["input_ids"]]
    longest = max(lengths)
    config = model[0].auto_model.config

    def needs(queries):
        return graph_bytes(config, queries * args.list * longest) / GIB

    estimate = f"plain losses should need {needs(args.queries):.1f} GiB for the graph"
    print(f"{estimate}, and may take {args.peer_memory:.1f} GiB in all", flush=True)
    if args.peer_mode != "auto":
        return
    args.peer_mode, args.peer_batch = "plain", args.queries
    while args.peer_batch % 2 == 0 and needs(args.peer_batch) + 2 > args.peer_memory:
        args.peer_mode, args.peer_batch = "accumulate", args.peer_batch // 2


def expected_loss(queries, passages, step, batch, mask_copies, with_kl):
    """The mean loss of a step from its vectors, in float64, in batches of that many queries. mask_copies takes other copies of
    a query's positive out of its negatives, as Retort does and MultipleNegativesRankingLoss does not."""
    import numpy
    from scipy.special import log_softmax, logsumexp

    losses = []
    for start in range(0, len(step), batch):
        rows = range(start, min(start + batch, len(step)))
        columns = [p for i in rows for p in step[i]["passages"]]
        for at, i in enumerate(rows):
            sims = numpy.array([queries[i] @ passages[p] for p in columns])
            own = at * len(step[i]["passages"])
            kept = [c for c in range(len(columns)) if c == own or not mask_copies or columns[c] != columns[own]]
            infonce = logsumexp(sims[kept] / INFONCE_TEMPERATURE) - sims[own] / INFONCE_TEMPERATURE
            if not with_kl:
                losses.append(infonce)
                continue
            target = log_softmax(numpy.array(step[i]["scores"]) / TEACHER_TEMPERATURE)
            student = log_softmax(sims[own : own + len(target)] / STUDENT_TEMPERATURE)
            losses.append((numpy.exp(target) * (target - student)).sum() + INFONCE_WEIGHT * infonce)
    return float(numpy.mean(losses))


def vectors_of(model, step, passages):
    """Vectors of the step's queries, and those of its passages by their numbers."""
    numbers = sorted({p for l in step for p in l["passages"]})
    queries = model.encode([l["query"] for l in step], batch_size=8).astype("float64")
    encoded = model.encode([passages[p] for p in numbers], batch_size=8).astype("float64")
    return queries, dict(zip(numbers, encoded))


def make_dataset(steps, passages):
    import datasets

    datasets.disable_progress_bars()
    lists = [l for step in steps for l in step]
    columns = {"query": [l["query"] for l in lists]}
    for i in range(len(lists[0]["passages"])):
        columns[f"negative_{i}" if i else "positive"] = [passages[l["passages"][i]] for l in lists]
    columns["label"] = [l["scores"] for l in lists]
    return datasets.Dataset.from_dict(columns)


def make_loss(args, model):
    """The peer's loss, with a list of the values that it had."""
    import torch
    from sentence_transformers.base.losses.merged_forward import embed_columns
    from sentence_transformers.sentence_transformer import losses

    scale = 1 / INFONCE_TEMPERATURE

    class Joint(torch.nn.Module):
        """Both losses over one embedding of the texts: what is quickest with the peer's own parts."""

        def __init__(self):
            super().__init__()
            self.model = model
            self.kl = losses.DistillKLDivLoss(
                model, student_temperature=STUDENT_TEMPERATURE, teacher_temperature=TEACHER_TEMPERATURE
            )
            self.infonce = losses.MultipleNegativesRankingLoss(model, scale=scale)
            self.values = []

        def forward(self, features, labels):
            embeddings = embed_columns(self.model, features)
            # It multiplies by the temperature squared, which Retort does not.
            kl = self.kl.compute_loss_from_embeddings(embeddings, labels) / STUDENT_TEMPERATURE**2
            infonce = INFONCE_WEIGHT * self.infonce.compute_loss_from_embeddings(embeddings, labels)
            self.values.append((kl + infonce).item())
            return {"kl": kl, "infonce": infonce}

    class Cached(losses.CachedMultipleNegativesRankingLoss):
        def __init__(self):
            super().__init__(model, scale=scale, mini_batch_size=args.peer_batch)
            self.values = []

        def forward(self, features, labels):
            loss = super().forward(features, labels)
            self.values.append(loss.item())
            return loss

    return Cached() if args.peer_mode == "cached" else Joint()


class Tokens:
    """Counts what goes through the model's network: tokens, and the same with padding."""

    def __init__(self, model):
        self.tokens = self.padded = 0
        model[0].register_forward_pre_hook(self.count)

    def count(self, module, inputs):
        mask = inputs[0]["attention_mask"]
        self.tokens += int(mask.sum())
        self.padded += mask.numel()

    def take(self):
        counted = (self.tokens, self.padded)
        self.tokens = self.padded = 0
        return counted


def make_turns(args, driver, loss, tokens):
    """A callback of the peer's trainer that lets Retort make its steps in between."""
    import transformers

    class Turns(transformers.TrainerCallback):
        def __init__(self):
            self.ours, self.theirs, self.released = [], [], None

        def on_step_end(self, arguments, state, control, **kwargs):
            seconds = time.perf_counter() - (self.released or time.perf_counter())
            values, loss.values = loss.values, []
            counted = tokens.take()
            self.theirs.append(
                {"seconds": seconds, "loss": statistics.mean(values), "tokens": counted[0], "padded": counted[1]}
            )
            done = len(self.theirs) == args.pairs + 1
            # The warm-up has the number 0. Retort comes last in pairs of even numbers and first in the others.
            if len(self.theirs) % 2 == 1:
                self.ours.append(driver.step())
                if not done:
                    self.ours.append(driver.step())
            control.should_training_stop = done
            self.released = time.perf_counter()

    return Turns()


def sequential(dataset, batch_size, drop_last, **kwargs):
    """The lists in the order of the dataset."""
    from sentence_transformers.base.sampler import DefaultBatchSampler
    from torch.utils.data import SequentialSampler

    return DefaultBatchSampler(SequentialSampler(dataset), batch_size=batch_size, drop_last=drop_last, **kwargs)


def train(args, model, loss, dataset, turns):
    from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments

    batch = args.peer_batch if args.peer_mode == "accumulate" else args.queries
    settings = SentenceTransformerTrainingArguments(
        output_dir=os.path.join(args.work, "train-peer"),
        max_steps=args.pairs + 2,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=args.queries // batch,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="linear",
        warmup_steps=0,
        weight_decay=0.0,
        max_grad_norm=1.0,
        bf16=args.precision == "bf16",
        use_cpu=True,
        batch_sampler=sequential,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = SentenceTransformerTrainer(
        model=model, args=settings, train_dataset=dataset, loss=loss, callbacks=[turns]
    )
    trainer.train()
    return settings.optim


def share(part, whole):
    return f"{part / whole:.2f}" if whole else "unknown"


def main():
    args = arguments()
    try:
        compare(args)
    except (MemoryError, RuntimeError) as e:
        if not isinstance(e, MemoryError) and "allocate" not in str(e):
            raise
        sys.exit(
            f"{NAME}: the peer needs more than {args.peer_memory:.1f} GiB (--peer-mode {args.peer_mode}): "
            "give it --peer-memory, or a way out: --peer-mode accumulate --peer-batch N, --peer-mode cached"
        )


def compare(args):
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.makedirs(args.work, exist_ok=True)
    import sentence_transformers
    import torch

    torch.set_num_threads(args.threads)
    corpus, lists = files(args)
    driver = Driver(args, corpus, lists)
    limit_memory(args.peer_memory)
    opening = driver.opening
    if opening["libtorch"] != torch.__version__.split("+")[0]:
        sys.exit(f"{NAME}: Retort is built with LibTorch {opening['libtorch']}, Python has {torch.__version__}: no comparison")
    model = sentence_transformers.SentenceTransformer(
        args.model, device="cpu", config_kwargs={"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    )
    model.max_seq_length = args.tokens
    steps, passages = opening["steps"], opening["passages"]
    choose_mode(args, model, steps, passages)
    batch = args.peer_batch if args.peer_mode == "accumulate" else args.queries
    with_kl = args.peer_mode != "cached"
    first = (*vectors_of(model, steps[0], passages), steps[0])
    should_peer = expected_loss(*first, batch, False, with_kl)
    should_retort = expected_loss(*first, args.queries, True, with_kl)

    loss = make_loss(args, model)
    tokens = Tokens(model)
    turns = make_turns(args, driver, loss, tokens)
    dataset = make_dataset(steps, passages)
    peak_before = peak()
    way = {
        "plain": "at once",
        "accumulate": f"{batch} queries at a time",
        "cached": f"in mini-batches of {args.peer_batch} texts",
    }
    print(
        f"{args.corpus or 'documentation of Go'}: {args.queries} queries x lists of {args.list}, {args.tokens} tokens, "
        f"{args.precision}, {args.threads} threads\n"
        f"LibTorch {opening['libtorch']}, sentence-transformers {sentence_transformers.__version__} "
        f"({args.peer_mode}: {way[args.peer_mode]}), loss {'KL + 0.1 InfoNCE' if with_kl else 'InfoNCE'}\n"
        "the first step warms up and is not counted\n",
        flush=True,
    )
    optimizer = train(args, model, loss, dataset, turns)
    driver.close()
    print_report(args, turns, opening, steps, peak_before, should_peer, should_retort, optimizer)
    shares = [a["seconds"] / b["seconds"] for a, b in zip(turns.ours[1:], turns.theirs[1:])]
    median = statistics.median(shares)
    print(f"| {bench_peer.family(model)} | training step | {min(shares):.2f} | {median:.2f} | {max(shares):.2f} |")


def print_report(args, turns, opening, steps, peak_before, should_peer, should_retort, optimizer):
    ours, theirs = turns.ours, turns.theirs
    for step, answer in zip(steps, ours):
        if sorted(l["id"] for l in step) != answer["queries"]:
            sys.exit(f"{NAME}: the two sides did not take the same lists in the same steps: the driver's inOrder is wrong")
    print("pair  Retort s/step  sentence-transformers s/step  ratio  Retort's share  losses")
    ratios = []
    for i, (a, b) in enumerate(list(zip(ours, theirs))[1:], start=1):
        ratios.append(b["seconds"] / a["seconds"])
        print(
            f"{i:4}  {a['seconds']:13.2f}  {b['seconds']:28.2f}  {ratios[-1]:5.2f}  {1 / ratios[-1]:14.3f}"
            f"  {a['loss']:.5f} {b['loss']:.5f}"
        )
    median = statistics.median(ratios)
    print(f"\nratio (above 1, Retort is faster): min {min(ratios):.2f}  median {median:.2f}  max {max(ratios):.2f}")
    print(f"Retort's share of the peer's step time: median {1 / median:.3f}")
    mine, other = ours[-1]["peak"], peak()
    print(f"Retort's share of the peer's peak memory: {share(mine, other)}\n")

    def total(side, key):
        return sum(step[key] for step in side[1:])

    rows = [("Retort", ours, mine, opening["peak"]), ("sentence-transformers", theirs, other, peak_before)]
    print("                       peak GiB  before training  tokens/step  padding  with it, tokens/s")
    for name, side, most, before in rows:
        kept, padded = total(side, "tokens"), total(side, "padded")
        print(
            f"{name:21}  {most / GIB:8.2f}  {before / GIB:15.2f}  {kept / len(side[1:]):11.0f}  {1 - kept / padded:7.3f}"
            f"  {padded / total(side, 'seconds'):17.0f}"
        )
    distinct = total(ours, "passages") / total(ours, "listed")
    again = total(ours, "recomputed") / total(ours, "padded")
    print(
        f"\ndistinct share of the passages: {distinct:.3f}; Retort computes each once a step, the peer each time;\n"
        f"second forward passes of Retort: {again:.2f} of the first's tokens, which are those counted above; the peer's are of\n"
        f"all its forward passes; the peer's optimiser: {optimizer.value}"
    )
    print(
        f"loss of the first step: Retort {ours[0]['loss']:.6f}, from the peer's vectors by Retort's rule {should_retort:.6f}\n"
        f"                        the peer {theirs[0]['loss']:.6f}, from its vectors by its rule {should_peer:.6f}\n"
        "The rules differ in copies of the positive in other lists, which the peer takes for negatives"
        + (", and in the smaller batches, which have fewer negatives" if args.peer_mode == "accumulate" else "")
    )


if __name__ == "__main__":
    main()
