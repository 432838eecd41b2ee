"""Writes tiny.onnx: the network of encoder/transformer/testdata/tiny as PyTorch's TorchScript exporter writes it. Needs torch,
transformers and onnx:

    python3 make_golden.py
"""

import pathlib

import torch
from transformers import BertModel

here = pathlib.Path(__file__).parent
source = here.parent.parent.parent / "encoder/transformer/testdata/tiny"
model = BertModel.from_pretrained(source, add_pooling_layer=False, attn_implementation="eager").eval()


class Network(torch.nn.Module):
    """The embeddings and layers under the names that BertModel gives them, without the masks that the exporter cannot do."""

    def __init__(self):
        super().__init__()
        self.embeddings, self.encoder = model.embeddings, model.encoder

    def forward(self, input_ids, token_type_ids):
        x = self.embeddings(input_ids=input_ids, token_type_ids=token_type_ids)
        for layer in self.encoder.layer:
            x = layer(x)
            x = x[0] if isinstance(x, tuple) else x
        return x


ids = torch.ones(1, 5, dtype=torch.long)
torch.onnx.export(
    Network().eval(), (ids, torch.zeros_like(ids)), here / "tiny.onnx", dynamo=False, opset_version=14,
    input_names=["input_ids", "token_type_ids"], dynamic_axes={"input_ids": {0: "batch", 1: "length"}, "token_type_ids": {0: "batch", 1: "length"}},
)
