"""Writes golden.json, the values that golden_test.go compares with: autograd of PyTorch in float64, InfoNCE over the
batch in which every passage stands as often as in the lists.

    python3 golden.py > golden.json        (made with torch 2.15.0)
"""

import json

import torch
import torch.nn.functional as F

torch.manual_seed(7)
torch.set_default_dtype(torch.float64)


def rounded(x):
    """What Go reads from the JSON as float32, in float64."""
    return x.to(torch.float32).to(torch.float64)


def gradient(loss, leaf):
    (g,) = torch.autograd.grad(loss, leaf)
    return {"loss": loss.item(), "grad": g.tolist()}


def kl_cases():
    for n, tau_t, tau_s in [(2, 0.3, 0.05), (20, 0.3, 0.05), (20, 0.05, 0.05), (7, 1.0, 0.02)]:
        teacher = torch.rand(n)
        sim = rounded(0.6 + 0.1 * torch.randn(n)).requires_grad_()
        log_q = F.log_softmax(sim / tau_s, dim=-1)
        loss = F.kl_div(log_q, F.softmax(teacher / tau_t, dim=-1), reduction="sum")
        yield {"tau_teacher": tau_t, "tau_student": tau_s, "teacher": teacher.tolist(), "sim": sim.tolist(), **gradient(loss, sim)}


def margin_mse_cases():
    for n, scale in [(2, 1.0), (9, 20.0)]:
        teacher = torch.rand(n) * scale
        sim = rounded(0.6 + 0.1 * torch.randn(n)).requires_grad_()
        loss = F.mse_loss(scale * (sim[0] - sim[1:]), teacher[0] - teacher[1:])
        yield {"scale": scale, "teacher": teacher.tolist(), "sim": sim.tolist(), **gradient(loss, sim)}


def paper_step(queries=6, k=5, passages=14, weight=0.1, tau_t=0.3, tau_s=0.05, tau=0.01, ratio=0.6):
    """The joint loss over a whole step, from its description: the batch holds queries x k passages, with repeats. Query i
    is at [i*k, (i+1)*k), its positive the teacher's first. Of the whole batch, every other copy of the positive and every
    copy of a passage that scores above ratio x the top in the query's list is masked."""
    lists = [torch.randperm(passages)[:k].tolist() for _ in range(queries)]
    scores = [torch.rand(k).tolist() for _ in range(queries)]
    batch = [p for l in lists for p in l]
    distinct = sorted(set(batch))
    column = {p: c for c, p in enumerate(distinct)}
    sim = rounded(0.7 + 0.03 * torch.randn(queries, len(distinct))).requires_grad_()
    wide = sim[:, [column[p] for p in batch]]
    rows, total = [], 0
    for i in range(queries):
        teacher = torch.tensor(scores[i])
        own = wide[i, i * k : (i + 1) * k]
        kl = F.kl_div(F.log_softmax(own / tau_s, dim=-1), F.softmax(teacher / tau_t, dim=-1), reduction="sum")
        first = int(teacher.argmax())
        masked = {p for p, s in zip(lists[i], scores[i]) if s > ratio * max(scores[i])}
        mask = torch.tensor([p in masked and j != i * k + first for j, p in enumerate(batch)])
        logits = (wide[i] / tau).masked_fill(mask, float("-inf"))
        nce = F.cross_entropy(logits[None], torch.tensor([i * k + first]))
        rows.append({
            "list": [column[p] for p in lists[i]],
            "teacher": scores[i],
            "positive": column[lists[i][first]],
            "sim": sim[i].tolist(),
            "kl": kl.item(),
            "infonce": nce.item(),
        })
        total = total + kl + weight * nce
    (grad,) = torch.autograd.grad(total, sim)
    for row, g in zip(rows, grad.tolist()):
        row["grad"] = g
    return {"count": [batch.count(p) for p in distinct], "rows": rows}


def main():
    golden = {"kl": list(kl_cases()), "margin_mse": list(margin_mse_cases()), "paper": paper_step()}
    print(json.dumps(golden, indent=1))


main()
