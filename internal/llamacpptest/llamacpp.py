"""Starts llama.cpp's own HTTP server, as the wheel xllamacpp holds it, on a free port: llamacpp.py FOLDER MODEL.gguf MODE.

FOLDER is where pip has put xllamacpp (pip install --target). MODE is "complete", or "rerank", which pools the model's output
to one score a document: no sense in the scores of a model that was not trained for it, but the real protocol. Prints the
address and ends when standard input does, so that it dies with the test that has started it.
"""

import os
import sys

folder, model, mode = sys.argv[1:]
sys.path.insert(0, folder)
import xllamacpp  # noqa: E402

p = xllamacpp.CommonParams()
p.model.path = model
p.model_alias = ["smollm2"]
p.hostnames = ["127.0.0.1"]
p.port = 0
p.n_ctx = 4096
p.n_parallel = 2
# More threads than idle cores wait for each other in loops.
p.cpuparams.n_threads = 1
p.cpuparams_batch.n_threads = 1
p.fit_params = False
p.warmup = False
p.cache_ram_mib = 0
if os.environ.get("LLAMACPP_TEST_KEY"):
    p.api_keys = [os.environ["LLAMACPP_TEST_KEY"]]
if mode == "rerank":
    p.embedding = True
    p.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_RANK

server = xllamacpp.Server(p)
print(server.listening_address, flush=True)
sys.stdin.read()
os._exit(0)
