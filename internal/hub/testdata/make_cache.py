"""Writes python_cache.txt: what Python's huggingface_hub 2.4.0 keeps in its cache of the repository org/model that
hub_test.go describes. RETORT_PYTHON=python go test -run Python ./internal/hub runs it against the hub of the test:

    make_cache.py download   downloads the repository's files to the cache of the environment
    make_cache.py offline    opens them in the cache, without the hub, and prints where they are
"""

import os
import sys

from huggingface_hub import hf_hub_download

os.environ["HF_HUB_DISABLE_XET"] = "1"
FILES = ["config.json", "modules.json", "tokenizer.json", "1_Pooling/config.json", "README.md", "model.safetensors"]

for file in FILES:
    print(hf_hub_download("org/model", file, local_files_only=sys.argv[1] == "offline"))
