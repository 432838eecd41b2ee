"""Writes the goldens of the tokenizer: tokenizer/ (a small vocabulary of our own, trained on the texts below),
tokens.json (its ids of tricky texts, with each setting), and with an argument, the folder of a real model with BERT's
English vocabulary, tokens_minilm.json (its ids of the same texts). Needs tokenizers and transformers:

    python3 make_tokens.py [MODEL]
"""

import json
import os
import pathlib
import shutil
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer

from texts import SENTENCES, TRICKY

here = pathlib.Path(__file__).parent
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def train(size, normalizer, texts):
    """A WordPiece tokenizer as Hugging Face saves BERT's."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=SPECIALS, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    # The trainer's ties depend on the hash of the day; sorted, the file is the same each time it is not retrained.
    pieces = SPECIALS + sorted(set(tokenizer.get_vocab()) - set(SPECIALS))
    vocab = {piece: i for i, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", vocab["[CLS]"]), ("[SEP]", vocab["[SEP]"])],
    )
    tokenizer.add_special_tokens(SPECIALS)
    return tokenizer


def write(folder, tokenizer, lower=True, **config):
    folder.mkdir(exist_ok=True, parents=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    config = {"tokenizer_class": "BertTokenizer", "do_lower_case": lower, "model_max_length": 512} | config
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")


def encode(folder, limit=64):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return [tokenizer(t, truncation=True, max_length=limit)["input_ids"] for t in TRICKY]


def dump(path, value):
    path.write_text(json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace("],[", "],\n[") + "\n")


def main():
    folder = here / "tokenizer"
    if not (folder / "tokenizer.json").exists():
        normalizer = normalizers.BertNormalizer(strip_accents=False, lowercase=False)
        cased = train(1500, normalizer, SENTENCES + [t for t in TRICKY if len(t) < 300])
        # Both cases in one vocabulary, so that every setting finds pieces.
        cased.normalizer = normalizers.BertNormalizer()
        write(folder, cased)
    base = json.loads((folder / "tokenizer.json").read_text())
    cases = []

    def case(name, config=None, added=None, vocab_only=False, limit=64):
        with tempfile.TemporaryDirectory() as d:
            d = pathlib.Path(d)
            files = {"tokenizer_config.json": {"tokenizer_class": "BertTokenizer"} | (config or {})}
            if vocab_only:
                pieces = sorted(base["model"]["vocab"], key=base["model"]["vocab"].get)
                (d / "vocab.txt").write_text("".join(p + "\n" for p in pieces))
            else:
                spec = json.loads(json.dumps(base))
                spec["added_tokens"] += added or []
                files["tokenizer.json"] = spec
            for file, value in files.items():
                (d / file).write_text(json.dumps(value))
            shutil.copy(here.parents[3] / "encoder/transformer/testdata/bert_config.json", d / "config.json")
            cases.append({
                "name": name, "config": config or {}, "added": added or [], "vocab_only": vocab_only, "limit": limit,
                "ids": encode(d, limit),
            })

    size = len(base["model"]["vocab"])
    word = {"special": False, "lstrip": False, "rstrip": False, "normalized": True, "single_word": False}
    case("uncased", {"do_lower_case": True})
    case("uncased from vocab.txt", vocab_only=True)
    case("cased", {"do_lower_case": False})
    case("cased without accents", {"do_lower_case": False, "strip_accents": True})
    case("uncased with accents", {"do_lower_case": True, "strip_accents": False})
    case("Chinese characters left together", {"do_lower_case": True, "tokenize_chinese_chars": False})
    case("cut to three", {"do_lower_case": True}, limit=3)
    case("added tokens", {"do_lower_case": True}, added=[
        word | {"id": size, "content": "New York"},
        word | {"id": size + 1, "content": "zwrd", "single_word": True},
        word | {"id": size + 2, "content": "ὈΔΥΣ", "normalized": False, "lstrip": True, "rstrip": True},
        word | {"id": size + 3, "content": "afé"},
        word | {"id": size + 4, "content": "[MASK]]", "normalized": False, "special": True},
    ])
    dump(here / "tokens.json", {"texts": TRICKY, "cases": cases})
    if len(sys.argv) > 1:
        dump(here / "tokens_minilm.json", {"texts": TRICKY, "limit": 256, "ids": encode(sys.argv[1], 256)})


if __name__ == "__main__":
    main()
