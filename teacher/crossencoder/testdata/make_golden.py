"""Writes four small random rerankers and the logits that transformers computes with them:

bert     BertForSequenceClassification, one label
bert2    the same with two labels and vocab.txt; the golden is logit 1 - logit 0
roberta  RobertaForSequenceClassification with a byte-level BPE
xlmr     XLMRobertaForSequenceClassification with a Unigram tokenizer

golden.json holds the pairs, and for each model and length limit the ids and logits; gradients.safetensors the gradients that
PyTorch's autograd gives bert's weights for the mean loss of the first two queries (softmax cross entropy of the second passage,
plus the KL divergence from the softmax of SCORES), and golden.json that loss. Needs torch, transformers and
tokenizers:

    python3 make_golden.py
"""

import json
import os
import pathlib
import shutil

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

here = pathlib.Path(__file__).parent
POSITIONS = 48
LIMITS = [0, 21, 16]  # tokens a pair; 0: the model's own. An odd and an even number of tokens are left for the texts

QUERIES = [
    "how does a retort work",
    "naïve café résumé",
    "x",
    "which of these many words in a rather long query about boats and kettles and lamps will be the first to be cut away",
]
PASSAGES = [
    "A retort is a vessel in which a liquid is heated until it boils.",
    "",
    "Crème brûlée, señor? Straße, Ωμέγα, Привет; 中文也可以。",
    "Short.",
    "  The lighthouse keeper wrote down the wind, the tide, and every boat that passed, day after day, year after year, until the "
    "last book was full and the lamp was lit by a clock; nobody came to read what he had written.  ",
    "Tea kettles whistle.\nBoats drift.\tLamps burn (slowly) at 3.5 volts: isn't that odd?",
]
PAIRS = [(q, p) for q in QUERIES for p in PASSAGES]
TEXTS = QUERIES + [p for p in PASSAGES if p]


def save_tokenizer(folder, tokenizer, config, vocab_only=False):
    folder.mkdir(parents=True, exist_ok=True)
    if vocab_only:
        pieces = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        (folder / "vocab.txt").write_text("".join(piece + "\n" for piece, _ in pieces))
    else:
        tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"model_max_length": POSITIONS - 8}, indent=1) + "\n")


def word_piece():
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(TEXTS, trainers.WordPieceTrainer(vocab_size=260, special_tokens=specials, show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=340, special_tokens=SPECIALS, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        ),
    )
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=False)
    return tokenizer


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("  ", " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(
        TEXTS, trainers.UnigramTrainer(vocab_size=260, special_tokens=SPECIALS, unk_token="<unk>", show_progress=False)
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def save_model(folder, kind, config):
    """A model of random weights, biases and LayerNorms included, large enough that every part of it matters."""
    model = kind(config).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "LayerNorm.weight" in name:
                p.uniform_(0.5, 1.5)
            elif name.endswith("bias"):
                p.normal_(0, 0.1)
    model.save_pretrained(folder)


def make():
    small = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, initializer_range=0.2)
    bert = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
    general = {"tokenizer_class": "PreTrainedTokenizerFast"} | {
        "bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>",
    }
    for seed, (name, kind, config, tokenizer, tokenizer_config, more) in enumerate(
        [
            ("bert", BertForSequenceClassification, BertConfig, word_piece(), bert, dict(num_labels=1, max_position_embeddings=POSITIONS)),
            ("bert2", BertForSequenceClassification, BertConfig, word_piece(), bert, dict(num_labels=2, max_position_embeddings=POSITIONS)),
            ("roberta", RobertaForSequenceClassification, RobertaConfig, byte_level(), general, {}),
            ("xlmr", XLMRobertaForSequenceClassification, XLMRobertaConfig, unigram(), general, {}),
        ]
    ):
        torch.manual_seed(seed)
        folder = here / name
        shutil.rmtree(folder, ignore_errors=True)
        save_tokenizer(folder, tokenizer, tokenizer_config, vocab_only=name == "bert2")
        if not more:
            more = dict(
                num_labels=1, type_vocab_size=1, pad_token_id=1, bos_token_id=0, eos_token_id=2,
                max_position_embeddings=POSITIONS + 2, layer_norm_eps=1e-5,
            )
        save_model(folder, kind, config(vocab_size=len(tokenizer.get_vocab()), **small, **more))


def golden(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    out = []
    for limit in LIMITS:
        ids, scores = [], []
        for query, passage in PAIRS:
            passage = passage.strip()  # what Passage.Content makes of it
            # In lists, as CrossEncoder.predict does: alone, an empty passage would count as none.
            inputs = tokenizer([query], [passage], truncation="longest_first", max_length=limit or tokenizer.model_max_length, return_tensors="pt")
            with torch.no_grad():
                logits = model(**inputs).logits[0]
            ids.append(inputs["input_ids"][0].tolist())
            scores.append(float(logits[0] if len(logits) == 1 else logits[1] - logits[0]))
        out.append({"limit": limit, "ids": ids, "scores": scores})
    return out


SCORES = [0.5, 2.0, -1.0, 0.0, 1.5, -0.5]


def training_loss(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    target = torch.softmax(torch.tensor(SCORES, dtype=torch.float64), 0).float()
    losses = []
    for query in QUERIES[:2]:
        inputs = tokenizer(
            [query] * len(PASSAGES), [p.strip() for p in PASSAGES], truncation="longest_first", max_length=tokenizer.model_max_length,
            padding=True, return_tensors="pt",
        )
        log_q = torch.log_softmax(model(**inputs).logits[:, 0], 0)
        losses.append(-log_q[1] + torch.sum(target * (target.log() - log_q)))
    loss = torch.stack(losses).mean()
    loss.backward()
    save_file({name: p.grad for name, p in model.named_parameters()}, folder.parent / "gradients.safetensors")
    return float(loss)


if __name__ == "__main__":
    make()
    result = {"scores": SCORES, "loss": training_loss(here / "bert"), "pairs": PAIRS, "models": {name: golden(here / name) for name in ("bert", "bert2", "roberta", "xlmr")}}
    (here / "golden.json").write_text(json.dumps(result, separators=(",", ":")).replace("],[", "],\n[") + "\n")
