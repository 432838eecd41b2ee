"""Starts llama.cpp's own HTTP server, as the wheel xllamacpp holds it, on a free port.

usage: llamacpp_server.py FOLDER MODEL.gguf THREADS SLOTS CONTEXT

FOLDER is where pip has put xllamacpp (pip install --target). SLOTS texts are written at the same time, each of at most
CONTEXT tokens. Everything else is as the server's own defaults have it: prompts are cached, and a request goes to the
slot whose last prompt begins most alike. Prints the address, and ends when standard input does.
"""

import os
import sys

folder, model, threads, slots, context = sys.argv[1:]
sys.path.insert(0, folder)
import xllamacpp  # noqa: E402

p = xllamacpp.CommonParams()
p.model.path = model
p.hostnames = ["127.0.0.1"]
p.port = 0
p.n_parallel = int(slots)
p.n_ctx = int(slots) * int(context)
p.cpuparams.n_threads = p.cpuparams_batch.n_threads = int(threads)
p.n_gpu_layers = 0
p.fit_params = False

server = xllamacpp.Server(p)
print(server.listening_address, flush=True)
sys.stdin.read()
os._exit(0)
