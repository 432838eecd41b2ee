"""Writes golden.safetensors and golden.json (what the tensors hold, as float32) and written.safetensors, the bytes that
safetensors.Write must give. Needs numpy, torch and safetensors:

    python3 make_golden.py
"""

import json
import pathlib

import torch
from safetensors.torch import save_file

here = pathlib.Path(__file__).parent
half = torch.tensor([0.0, -0.0, 1.0, -2.5, 65504.0, 6.103515625e-05, 5.960464477539063e-08, -3.0517578125e-05, 0.333251953125])
tensors = {
    "f32": torch.tensor([[1.5, -2.25, 3.4028234663852886e38], [1e-45, 0.1, -0.0]]),
    "f16": half.to(torch.float16),
    "bf16": torch.tensor([[1.0, -3.140625], [1e38, 9.183549615799121e-41]], dtype=torch.bfloat16),
    "f64": torch.tensor([0.1, -1e300], dtype=torch.float64),
    "scalar": torch.tensor(7.0),
    "empty": torch.zeros(0, 3),
    "ids <&> é": torch.arange(3, dtype=torch.int64),
}
save_file(tensors, here / "golden.safetensors", metadata={"format": "pt"})
want = {
    name: {"shape": list(t.shape), "bits": t.to(torch.float32).flatten().view(torch.int32).tolist()}
    for name, t in tensors.items()
    if t.is_floating_point()
}
(here / "golden.json").write_text(json.dumps(want, indent=1) + "\n")

written = {
    "b.weight": torch.arange(6, dtype=torch.float32).reshape(2, 3),
    "a <&> é": torch.tensor([0.5]),
    "c": torch.tensor(-1.0),
    "d": torch.zeros(0),
}
save_file(written, here / "written.safetensors", metadata={"format": "pt"})
