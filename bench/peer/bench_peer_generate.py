"""Measures how fast Retort, transformers and llama.cpp's server write a query to each passage: same model file, threads and prompts.

usage: bench_peer_generate.py BENCHPEER MODEL.gguf [--passages N] [--pairs N] [--threads N] [--precision fp32|bf16]
           [--peers transformers,llama.cpp] [--batch-size N] [--llamacpp FOLDER] [--slots N,N]

BENCHPEER is bench/peer/generate, built with LibTorch. All sides get the same few-shot prompts, take the likeliest token
each time, and stop at a line break or after 50 tokens. They take turns, each with a round of passages of its own:

- Retort begins each round with a newly opened model, which has kept nothing of the prompts.
- transformers' generate, of the dequantised weights, gets the prompts sorted by length, in batches of --batch-size.
- llama.cpp's server, of the package xllamacpp in the folder --llamacpp, is measured with each number of --slots, as many
  requests under way, and the prompt cache of the rounds before. Its best number of slots counts.

Memory is the highest that was seen, 20 times a second: resident in all, of which files (the model's, mapped), and
anonymous. "make bench-peer" runs this.
"""

import argparse
import concurrent.futures
import json
import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = ("transformers", "llama.cpp")


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("benchpeer")
    parser.add_argument("model")
    parser.add_argument("--passages", type=int, default=64)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batch-size", type=int, default=32, help="of transformers")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--llamacpp", default=".cache/xllamacpp", help="folder of the package xllamacpp")
    parser.add_argument("--slots", default="8,16", help="of llama.cpp's server")
    args = parser.parse_args()
    for name in ("passages", "pairs", "threads", "batch_size"):
        if getattr(args, name) < 1:
            parser.error(f"--{name.replace('_', '-')} is {getattr(args, name)}, want at least 1")
    args.peers = [p for p in args.peers.split(",") if p]
    for peer in args.peers:
        if peer not in PEERS:
            parser.error(f"--peers has {peer}; {' and '.join(PEERS)} are known")
    args.slots = [int(n) for n in args.slots.split(",")]
    return args


class Memory:
    """The highest memory of a process in MiB, from now on."""

    def __init__(self, pid):
        self.pid, self.peak, self.stopped = pid, {}, False
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        while not self.stopped:
            try:
                with open(f"/proc/{self.pid}/status") as f:
                    values = dict(line.split(":", 1) for line in f)
            except OSError:
                return
            for key in ("VmRSS", "RssFile", "RssAnon"):
                self.peak[key] = max(self.peak.get(key, 0), int(values.get(key, "0 kB").split()[0]) / 1024)
            time.sleep(0.05)

    def __str__(self):
        return " ".join(f"{self.peak.get(key, 0):9.0f}" for key in ("VmRSS", "RssFile", "RssAnon"))


class Retort:
    def __init__(self, args):
        self.name = "Retort"
        command = [
            args.benchpeer, "-model", args.model, "-passages", str(args.passages), "-rounds", str(args.pairs), "-threads", str(args.threads),
            "-precision", args.precision,
        ]
        env = dict(os.environ, OMP_NUM_THREADS=str(args.threads))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        self.memory = Memory(self.process.pid)
        self.opening = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit("bench_peer_generate.py: benchpeer ended; its message stands above")
        return json.loads(line)

    def time(self, number, _):
        self.process.stdin.write(f"time {number}\n")
        self.process.stdin.flush()
        return self.read()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Transformers:
    def __init__(self, args, opening):
        import torch
        import transformers

        if opening["libtorch"] != torch.__version__.split("+")[0]:
            sys.exit(f"bench_peer_generate.py: Retort is built with LibTorch {opening['libtorch']}, Python has {torch.__version__}: no comparison")
        torch.set_num_threads(args.threads)
        self.name, self.memory = f"transformers {transformers.__version__}", Memory(os.getpid())
        self.torch, self.batch_size, self.max_tokens = torch, args.batch_size, opening["max_tokens"]
        folder, file = os.path.split(os.path.abspath(args.model))
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[args.precision]
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=file, padding_side="left")
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=dtype).eval()
        self.stops = [i for i in range(len(self.tokenizer)) if "\n" in self.tokenizer.decode([i])]
        self.stops.append(self.tokenizer.eos_token_id)

    def time(self, _, prompts):
        prompts = sorted(enumerate(prompts), key=lambda item: len(item[1]))
        texts, tokens = [None] * len(prompts), 0
        start = time.perf_counter()
        for first in range(0, len(prompts), self.batch_size):
            batch = prompts[first : first + self.batch_size]
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

    def close(self):
        self.memory.stopped = True


class LlamaCpp:
    def __init__(self, args, opening, slots):
        self.name, self.slots, self.max_tokens = f"llama.cpp, {slots} slots", slots, opening["max_tokens"]
        command = [sys.executable, os.path.join(HERE, "llamacpp_server.py"), args.llamacpp, args.model, str(args.threads), str(slots), "1024"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.memory = Memory(self.process.pid)
        self.address = next((line.strip() for line in self.process.stdout if line.startswith("http://")), None)
        if not self.address:
            sys.exit(f"bench_peer_generate.py: llama.cpp's server did not start; is xllamacpp in {args.llamacpp} (make {args.llamacpp})?")
        threading.Thread(target=self.process.stdout.read, daemon=True).start()  # the server would block without a reader

    def ask(self, prompt):
        body = {"prompt": prompt, "n_predict": self.max_tokens, "temperature": 0, "stop": ["\n"], "cache_prompt": True}
        request = urllib.request.Request(self.address + "/completion", json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def time(self, _, prompts):
        start = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(self.slots) as pool:
            answers = list(pool.map(self.ask, prompts))
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "texts": [a["content"] for a in answers], "tokens": sum(a["tokens_predicted"] for a in answers)}

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def main():
    args = arguments()
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    os.environ["HF_HUB_OFFLINE"] = "1"
    retort = Retort(args)
    opening = retort.opening
    sides = [retort]
    if "transformers" in args.peers:
        sides.append(Transformers(args, opening))
    if "llama.cpp" in args.peers:
        sides += [LlamaCpp(args, opening, n) for n in args.slots]
    print(f"{os.path.basename(args.model)}: {len(opening['rounds'][0])} passages a round of {opening['go']}'s documentation, one greedy query each,")
    print(f"{args.threads} threads, {args.precision}, LibTorch {opening['libtorch']}\n")
    print("round  side                     queries/s  tokens written  texts as Retort's  ratio")
    ratios = {side: [] for side in sides}
    for i, prompts in enumerate(opening["rounds"]):
        order = sides if i % 2 == 0 else sides[::-1]
        answers = {side: side.time(i, prompts) for side in order}
        mine = answers[retort]
        for side in sides:
            a = answers[side]
            ratios[side].append(a["seconds"] / mine["seconds"])
            same = sum(x == y for x, y in zip(mine["texts"], a["texts"]))
            print(f"{i + 1:5}  {side.name:23}  {len(prompts) / a['seconds']:9.2f}  {a['tokens']:14}  {same:17}  {ratios[side][-1]:5.2f}", flush=True)
    for side in sides:
        side.close()
    print("\nRetort's queries a second as a multiple of          min  median     max")
    for side in sides[1:]:
        r = ratios[side]
        print(f"{side.name:48} {min(r):6.2f}  {statistics.median(r):6.2f}  {max(r):6.2f}")
    print("\nhighest memory, MiB      resident     files  anonymous")
    for side in sides:
        print(f"{side.name:23} {side.memory}")


if __name__ == "__main__":
    main()
