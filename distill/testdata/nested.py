"""Writes nested.json, the values that nested_test.go compares with: MatryoshkaLoss of sentence-transformers over two
inner losses, with autograd of PyTorch in float64. The model is a Normalize module over given vectors, so that the
gradients are those of the vectors before they are normalised, which is what a student's encoder is given.

    python3 nested.py > nested.json        (made with sentence-transformers 6.2.0 and torch 2.15.0)
"""

import json

import torch
import torch.nn.functional as F
from sentence_transformers.sentence_transformer.losses import (
    DistillKLDivLoss,
    MatryoshkaLoss,
    MultipleNegativesRankingLoss,
)

torch.manual_seed(11)
torch.set_default_dtype(torch.float64)

DIM = 12


class Normalize(torch.nn.Module):
    def forward(self, features):
        return {"sentence_embedding": F.normalize(features["vectors"], p=2, dim=-1)}

    def get_embedding_dimension(self):
        return DIM


def vectors(n):
    """What Go reads from the JSON as float32, in float64. Passages resemble queries, so that no loss is saturated."""
    return (torch.ones(n, DIM) + torch.randn(n, DIM)).to(torch.float32).to(torch.float64).requires_grad_()


def rounded(grad):
    return [[float(f"{x:.8g}") for x in row] for row in grad.tolist()]


def case(name, inner, widths, n, columns, labels):
    queries = vectors(n)
    passages = [vectors(n) for _ in range(columns)]
    loss = MatryoshkaLoss(inner.model, inner, widths)([{"vectors": v} for v in [queries, *passages]], labels)
    loss.backward()
    return {
        "name": name, "widths": widths, "teacher": labels.tolist(), "loss": loss.item(), "queries": queries.tolist(),
        # column by column: the first passages of all queries, then the second ones
        "passages": torch.cat(passages).tolist(),
        "queries_grad": rounded(queries.grad), "passages_grad": rounded(torch.cat([p.grad for p in passages])),
    }


def main():
    model = Normalize()
    cases = []
    for widths in [[12], [12, 8, 4], [5, 3]]:
        infonce = MultipleNegativesRankingLoss(model, scale=20)
        cases.append(case("infonce", infonce, widths, 5, 2, torch.zeros(5)))
        kl = DistillKLDivLoss(model, student_temperature=0.05, teacher_temperature=0.3)
        cases.append(case("kl", kl, widths, 4, 6, torch.rand(4, 6).to(torch.float32).to(torch.float64)))
    print(json.dumps(cases))


if __name__ == "__main__":
    main()
