"""Writes golden.bin (a ZIP archive), golden-stream.bin (the format before PyTorch 1.6) and golden.json (what the tensors
hold, as the bits of float32). Needs torch:

    python3 make_golden.py
"""

import json
import pathlib
from collections import OrderedDict

import torch

here = pathlib.Path(__file__).parent
whole = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 7
tensors = OrderedDict(
    whole=whole,
    tied=whole,
    part=whole[1:3, 2:5],
    turned=whole.t(),
    column=whole[:, 3],
    permuted=(torch.arange(24.0).reshape(2, 3, 4) / 3).permute(2, 0, 1),
    parameter=torch.nn.Parameter(torch.tensor([1.5, -2.25])),
    f16=torch.tensor([[0.0, -0.0, 65504.0], [6.103515625e-05, 5.960464477539063e-08, 0.333251953125]]).half(),
    bf16=torch.tensor([1.0, -3.140625, 1e38, 9.183549615799121e-41], dtype=torch.bfloat16),
    f64=torch.tensor([0.1, -1e300], dtype=torch.float64),
    scalar=torch.tensor(7.0),
    empty=torch.zeros(0, 3),
    ids=torch.arange(5).expand(1, -1),
    mask=torch.tensor([True, False]),
)
tensors._metadata = OrderedDict({"": {"version": 1}})  # as a module's state_dict has
torch.save(tensors, here / "golden.bin")
torch.save(tensors, here / "golden-stream.bin", _use_new_zipfile_serialization=False)
want = {
    name: {"shape": list(t.shape), "bits": t.detach().to(torch.float32).contiguous().flatten().view(torch.int32).tolist()}
    for name, t in tensors.items()
    if t.is_floating_point()
}
(here / "golden.json").write_text(json.dumps(want) + "\n")
