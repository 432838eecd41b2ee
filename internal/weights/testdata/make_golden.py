"""Writes the same tensors in the four forms of a model folder: one/ and shards/ (safetensors), bin/ and bin-shards/
(torch.save). Needs torch and safetensors:

    python3 make_golden.py
"""

import json
import pathlib

import torch
from safetensors.torch import save_file

here = pathlib.Path(__file__).parent
tensors = {
    "a.weight": torch.arange(6.0).reshape(2, 3) / 7,
    "a.bias": torch.tensor([0.5, -0.25], dtype=torch.float16),
    "b.weight": torch.tensor([[1.5]], dtype=torch.bfloat16),
    "b.ids": torch.arange(3),
}


def write(folder, name, save):
    (here / folder).mkdir(exist_ok=True)
    save(tensors, here / folder / name)


def shards(folder, name, save):
    (here / folder).mkdir(exist_ok=True)
    stem, dot, end = name.partition(".")
    where = {}
    for i, part in enumerate((["a.weight"], ["a.bias", "b.weight", "b.ids"])):
        shard = f"{stem}-{i + 1:05}-of-00002{dot}{end}"
        save({key: tensors[key] for key in part}, here / folder / shard)
        where |= {key: shard for key in part}
    index = {"metadata": {"total_size": 54}, "weight_map": where}
    (here / folder / f"{name}.index.json").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")


write("one", "model.safetensors", save_file)
shards("shards", "model.safetensors", save_file)
write("bin", "pytorch_model.bin", torch.save)
shards("bin-shards", "pytorch_model.bin", torch.save)
