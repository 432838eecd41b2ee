"""Measures how fast Retort and transformers write a query to each of 64 passages: same weights, threads and LibTorch version.

usage: bench_peer_generate.py BENCHPEER MODEL.gguf [--passages N] [--pairs N] [--threads N] [--batch-size N] [--precision fp32|bf16]

BENCHPEER is bench/peer/generate, built with LibTorch. Both sides get the same few-shot prompts, take the likeliest token
each time, and stop at a line break or after 50 tokens. transformers' generate gets them sorted by length, in batches of
--batch-size, and stops a row at every token with a line break in it. Retort begins each time with a newly opened model, which has
kept nothing of the prompts. The two take turns (A B, B A, A B, ...). "make bench-peer" runs this.
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
    parser.add_argument("--passages", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batch-size", type=int, default=32, help="of transformers")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    args = parser.parse_args()
    for name in ("passages", "pairs", "threads", "batch_size"):
        if getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')} is {getattr(args, name)}, want at least 1")
    return args


class Retort:
    def __init__(self, args):
        command = [args.benchpeer, "-model", args.model, "-passages", str(args.passages), "-threads", str(args.threads), "-precision", args.precision]
        env = dict(os.environ, OMP_NUM_THREADS=str(args.threads))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.opening = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("bench_peer_generate.py: benchpeer ended; its message stands above")
        return json.loads(line)

    def time(self):
        self.process.stdin.write("time\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Peer:
    def __init__(self, args, prompts, max_tokens):
        import torch
        import transformers

        self.torch, self.batch_size, self.max_tokens = torch, args.batch_size, max_tokens
        folder, file = os.path.split(os.path.abspath(args.model))
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[args.precision]
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=file, padding_side="left")
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=dtype).eval()
        self.prompts = sorted(enumerate(prompts), key=lambda item: len(item[1]))
        self.stops = [i for i in range(len(self.tokenizer)) if "\n" in self.tokenizer.decode([i])]
        self.stops.append(self.tokenizer.eos_token_id)

    def time(self):
        texts, tokens = [None] * len(self.prompts), 0
        start = time.perf_counter()
        for first in range(0, len(self.prompts), self.batch_size):
            batch = self.prompts[first : first + self.batch_size]
            inputs = self.tokenizer([p for _, p in batch], return_tensors="pt", padding=True, add_special_tokens=False)
            with self.torch.inference_mode():
                out = self.model.generate(
                    input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], max_new_tokens=self.max_tokens, do_sample=False,
                    eos_token_id=self.stops, pad_token_id=self.tokenizer.eos_token_id,
                )
            for (i, _), row in zip(batch, out[:, inputs["input_ids"].shape[1] :].tolist()):
                end = next((j for j, t in enumerate(row) if t in self.stops), len(row))
                tokens += min(end + 1, len(row))
                texts[i] = self.tokenizer.decode(row[: end + 1], skip_special_tokens=True).split("\n")[0]
        return {"seconds": time.perf_counter() - start, "texts": texts, "tokens": tokens}


def main():
    args = arguments()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    import transformers

    torch.set_num_threads(args.threads)
    retort = Retort(args)
    o = retort.opening
    if o["libtorch"] != torch.__version__.split("+")[0]:
        sys.exit(f"bench_peer_generate.py: Retort is built with LibTorch {o['libtorch']}, Python has {torch.__version__}: no comparison")
    peer = Peer(args, o["prompts"], o["max_tokens"])
    n = len(o["prompts"])
    print(f"{n} passages of {o['go']}'s documentation, one greedy query each, {args.precision}, {args.threads} threads, batch size of the peer {args.batch_size}")
    print(f"LibTorch {o['libtorch']}, transformers {transformers.__version__}\n")
    print("pair  Retort queries/s  transformers queries/s  ratio  same queries  tokens written")
    ratios = []
    for i in range(args.pairs):
        if i % 2 == 0:
            mine, other = retort.time(), peer.time()
        else:
            other, mine = peer.time(), retort.time()
        ratios.append(other["seconds"] / mine["seconds"])
        same = sum(a == b for a, b in zip(mine["texts"], other["texts"]))
        print(
            f"{i + 1:4}  {n / mine['seconds']:16.2f}  {n / other['seconds']:22.2f}  {ratios[-1]:5.2f}  {same:5} of {n:3}  {mine['tokens']:6} {other['tokens']:6}",
            flush=True,
        )
    print(f"\nratio: min {min(ratios):.2f}  median {statistics.median(ratios):.2f}  max {max(ratios):.2f}")
    retort.close()


if __name__ == "__main__":
    main()
