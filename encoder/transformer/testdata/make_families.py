"""Writes one small random model of each family beside BERT, as sentence-transformers 6 saves it, and what
sentence-transformers and PyTorch make of it:

mpnet        relative positions, MPNetTokenizer (WordPiece), mean pooling
roberta      RobertaTokenizer (byte-level BPE), mean pooling
xlm-roberta  XLMRobertaTokenizer (Unigram), CLS pooling, prompts
distilbert   DistilBertTokenizer (WordPiece), CLS pooling
gte          rotary positions, gated feed-forward, XLMRobertaTokenizer, CLS pooling
new          the same under the names of the models of 2024, with the NTK factor, BertTokenizer, the prefix new. and a head
nomic_bert   rotary positions, SwiGLU, no biases, BertTokenizer, mean pooling, prompts
modernbert   local and global layers, PreTrainedTokenizerFast (byte-level BPE), mean pooling
qwen3        a decoder, Qwen2Tokenizer, the last token, padded on the left, a prompt for queries

families/NAME.json holds the texts and embeddings of both roles (L2-normalised; the rows of float32 values), the
embedding of a long text that long_text makes of so many words, and of the gradient of every weight, by its name in the
file, the L2 norm and the scalar products with the vectors cos(k (i + 1)), k = 1, 2, 3: the loss is the sum of the passages'
embeddings times upstream's values. All of it is computed by the models of transformers 5; that of the folder new, whose
model_type transformers does not know, by a GteModel with the same frequencies: theta 500000 with the NTK factor 2 in heads
of d values is theta 1000000 with linear scaling by 2^(2/d). Needs torch, sentence-transformers, transformers and tokenizers:

    python3 make_families.py [NAME ...]
"""

import json
import os
import pathlib
import shutil
import sys
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
import transformers
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

here = pathlib.Path(__file__).parent
sys.path.insert(0, str(here.parents[2] / "internal/tokenizer/testdata/wordpiece"))

from texts import QUERIES, SENTENCES

LIMIT = 24  # tokens of a learned table of positions, so that some texts are cut
LONG = 1200  # tokens of a text with rotary positions
WIDTH = 32
LEARNED, ROTARY = 40, 1280  # positions

PASSAGES = SENTENCES[:12] + [
    "",
    " ",
    "x",
    "control\x00a tab\tnew\nline\u00a0no break\u3000and a zero\u200bwidth",
    "e\u0301 \u00e9 \ufb01ne \u00bd \U0001f600 \U0001f469\u200d\U0001f469\u200d\U0001f467 \u05e2\u05d1\u05e8\u05d9\u05ea",
    "one [MASK] two <mask> three </s> four [SEP] five <|endoftext|> six",
    "again and " * 20,
]
SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def long_text(words):
    """A text of so many words, by a rule that the tests repeat."""
    known = SENTENCES[12].split(" ") + SENTENCES[19].split(" ")
    return " ".join(known[(i * i + 3 * i) % len(known)] for i in range(words))


def upstream(rows, width):
    """The gradient of the loss with respect to the embeddings, by a rule that the tests repeat."""
    return torch.tensor([[7 * i + j + 1 for j in range(width)] for i in range(rows)], dtype=torch.float64).cos().float()


# Tokenizers. Ties of a trainer depend on the hash of the day: a folder that is not made anew keeps its tokenizer.


def word_piece(specials, unk, template):
    trained = Tokenizer(models.WordPiece(unk_token=unk))
    trained.normalizer = normalizers.BertNormalizer()
    trained.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trained.train_from_iterator(SENTENCES, trainers.WordPieceTrainer(vocab_size=330, show_progress=False))
    # As in MPNet's vocabulary, the unknown piece is not the first special token's neighbour.
    pieces = specials[:-1] + sorted(set(trained.get_vocab()) - set(specials)) + specials[-1:]
    if unk not in pieces:
        pieces.insert(len(specials) + 50, unk)
    vocab = {piece: i for i, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token=unk))
    tokenizer.normalizer, tokenizer.pre_tokenizer = trained.normalizer, trained.pre_tokenizer
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = template(vocab)
    tokenizer.add_special_tokens(specials + [unk])
    return tokenizer


def bert_template(vocab):
    return processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(piece, vocab[piece]) for piece in ("[CLS]", "[SEP]")],
    )


def roberta_template(vocab):
    return processors.RobertaProcessing(("</s>", vocab["</s>"]), ("<s>", vocab["<s>"]), trim_offsets=True, add_prefix_space=False)


def byte_level(specials, template, pre_tokenizer, normalizer=None, behind=()):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer, tokenizer.pre_tokenizer, tokenizer.decoder = normalizer, pre_tokenizer, decoders.ByteLevel()
    tokenizer.train_from_iterator(
        SENTENCES,
        trainers.BpeTrainer(
            vocab_size=330, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        ),
    )
    tokenizer.add_special_tokens(list(behind))
    tokenizer.post_processor = template(tokenizer.get_vocab())
    return tokenizer


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.train_from_iterator(
        SENTENCES, trainers.UnigramTrainer(vocab_size=330, special_tokens=SPECIALS, unk_token="<unk>", show_progress=False)
    )
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def roberta_bpe():
    return byte_level(SPECIALS, roberta_template, pre_tokenizers.ByteLevel(add_prefix_space=False))


def modern_bpe():
    return byte_level(
        [], bert_template, pre_tokenizers.ByteLevel(add_prefix_space=False), normalizers.NFC(),
        behind=[AddedToken(piece, lstrip=piece == "[MASK]") for piece in BERT_SPECIALS],
    )


QWEN_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def qwen_bpe():
    def template(vocab):
        end = "<|endoftext|>"
        return processors.Sequence([
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single=f"$A {end}", pair=f"$A {end} $B:1 {end}:1", special_tokens=[(end, vocab[end])]),
        ])

    return byte_level(
        [], template,
        pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(QWEN_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]),
        normalizers.NFC(), behind=["<|endoftext|>", "<|im_end|>"],
    )


NAMES = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"}
BERT_NAMES = {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]"}
MPNET = (
    lambda: word_piece(SPECIALS, "[UNK]", roberta_template),
    NAMES | {"tokenizer_class": "MPNetTokenizer", "unk_token": "[UNK]", "do_lower_case": True},
)
BERT = (
    lambda: word_piece(BERT_SPECIALS, "[UNK]", bert_template),
    BERT_NAMES | {"tokenizer_class": "BertTokenizer", "do_lower_case": True},
)
DISTILBERT = (BERT[0], BERT[1] | {"tokenizer_class": "DistilBertTokenizer"})
ROBERTA = (roberta_bpe, NAMES | {"tokenizer_class": "RobertaTokenizer", "add_prefix_space": False})
XLMR = (unigram, NAMES | {"tokenizer_class": "XLMRobertaTokenizer"})
MODERN = (
    modern_bpe,
    BERT_NAMES | {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": ["input_ids", "attention_mask"]},
)
QWEN = (
    qwen_bpe,
    {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "padding_side": "left"},
)

BASE = dict(hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, initializer_range=0.2)
AFTER_PADDING = BASE | dict(max_position_embeddings=LEARNED + 2, pad_token_id=1, bos_token_id=0, eos_token_id=2, layer_norm_eps=1e-5)
SEARCH = {"query": "search_query: ", "document": "search_document: "}
QUESTION = {"query": "query: ", "document": "passage: "}

# name: tokenizer, model class, configuration, pooling, prompts
FAMILIES = {
    "mpnet": (MPNET, "MPNet", AFTER_PADDING, "mean", {}),
    "roberta": (ROBERTA, "Roberta", AFTER_PADDING | dict(type_vocab_size=1), "mean", {}),
    "xlm-roberta": (XLMR, "XLMRoberta", AFTER_PADDING | dict(type_vocab_size=1), "cls", QUESTION),
    "distilbert": (
        DISTILBERT, "DistilBert",
        dict(dim=WIDTH, n_layers=2, n_heads=4, hidden_dim=48, initializer_range=0.2, max_position_embeddings=LEARNED, pad_token_id=0),
        "cls", {},
    ),
    "gte": (
        XLMR, "Gte",
        BASE | dict(max_position_embeddings=ROTARY, type_vocab_size=1, pad_token_id=1, rope_parameters={"rope_type": "default", "rope_theta": 20000.0}),
        "cls", {},
    ),
    "new": (
        BERT, "Gte",
        BASE | dict(
            max_position_embeddings=ROTARY, type_vocab_size=0, pad_token_id=0,
            rope_parameters={"rope_type": "linear", "rope_theta": 1e6, "factor": 2 ** (2 / (WIDTH / 4))},
        ),
        "cls", {},
    ),
    "nomic_bert": (
        BERT, "NomicBert",
        BASE | dict(max_position_embeddings=ROTARY, pad_token_id=0, rope_parameters={"rope_type": "default", "rope_theta": 1000.0}),
        "mean", SEARCH,
    ),
    "modernbert": (
        MODERN, "ModernBert",
        BASE | dict(num_hidden_layers=4, max_position_embeddings=ROTARY, local_attention=8),
        "mean", {},
    ),
    "qwen3": (
        QWEN, "Qwen3",
        BASE | dict(
            max_position_embeddings=ROTARY, num_key_value_heads=2, head_dim=16, rms_norm_eps=1e-6,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        ),
        "lasttoken", {"query": "Instruct: Given a web search query, retrieve passages that answer it\nQuery:", "document": ""},
    ),
}


def tokenizer_of(kind, folder, limit):
    """Writes the tokenizer into the folder, anew or as it was, and returns it."""
    make, config = kind
    kept = here / "families" / folder.name / "tokenizer.json"
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_file(str(kept)) if kept.exists() else make()
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"model_max_length": limit}, indent=1) + "\n")
    return tokenizer


def randomise(model):
    """Every part of the model matters: biases and normalisations too."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "norm" in name.lower() and name.endswith("weight") or name.endswith("_ln.weight"):
                p.uniform_(0.5, 1.5)
            elif name.endswith("bias"):
                p.normal_(0, 0.1)
            elif "relative_attention_bias" in name:
                p.normal_(0, 1)
            elif "modernbert" in type(model).__module__:
                p.normal_(0, 0.2)


def make(name, seed, folder):
    kind, architecture, config, pooling, prompts = FAMILIES[name]
    limit = LONG if config["max_position_embeddings"] == ROTARY else LIMIT
    tokenizer = tokenizer_of(kind, folder, limit)
    vocab = tokenizer.get_vocab()
    names = kind[1]
    ids = {
        key + "_id": vocab[names[key]] for key in ("pad_token", "cls_token", "sep_token", "bos_token", "eos_token") if key in names
    }
    if architecture == "ModernBert":
        ids |= {"bos_token_id": ids["cls_token_id"], "eos_token_id": ids["sep_token_id"]}
    elif architecture == "Qwen3":
        del ids["pad_token_id"]  # it closes every text, and PyTorch gives a padding token no gradient
    else:
        ids = {key: id for key, id in ids.items() if key == "pad_token_id" or key in config}
    torch.manual_seed(seed)
    values = getattr(transformers, architecture + "Config")(**config | ids | {"vocab_size": len(vocab)})
    model = getattr(transformers, architecture + "Model")(values).eval()
    randomise(model)
    model.save_pretrained(folder)
    model = SentenceTransformer(
        modules=[Transformer(str(folder)), Pooling(WIDTH, pooling), Normalize()], device="cpu", prompts=prompts
    )
    target = here / "families" / name
    shutil.rmtree(target, ignore_errors=True)
    model.save(str(target), create_model_card=False)
    return SentenceTransformer(str(target), device="cpu")


def rows(tensor):
    # The shortest decimal number that is the float32.
    return [[float(str(v)) for v in row] for row in tensor.detach().cpu().numpy()]


def golden(model, name):
    queries = QUERIES + SENTENCES[12:16]
    out = {
        "query": {"texts": queries, "embeddings": rows(torch.tensor(model.encode_query(queries, normalize_embeddings=True)))},
        "passage": {"texts": PASSAGES, "embeddings": rows(torch.tensor(model.encode_document(PASSAGES, normalize_embeddings=True)))},
    }
    if FAMILIES[name][2]["max_position_embeddings"] == ROTARY:
        out["long"] = []
        words = next(n for n in range(2000) if len(model.tokenizer(long_text(n))["input_ids"]) > 1050)
        for n in (words, 2 * words):  # the second one is cut
            rows_of = rows(torch.tensor(model.encode_document([long_text(n)], normalize_embeddings=True)))
            out["long"].append({"words": n, "embedding": rows_of[0]})
    out["gradients"] = gradients(model)
    text = json.dumps(out, separators=(",", ":")).replace("],[", "],\n[").replace('],"', '],\n"')
    (here / "families" / f"{name}.json").write_text(text + "\n")


def gradients(model):
    """The norm and three projections of each weight's gradient, by its name in the file."""
    prompt = model.prompts.get("document") or ""
    features = model.preprocess([prompt + text for text in PASSAGES])
    embeddings = torch.nn.functional.normalize(model(features)["sentence_embedding"])
    (embeddings * upstream(*embeddings.shape)).sum().backward()
    network = model[0].auto_model
    with torch.no_grad():
        for p in network.parameters():
            p.copy_(torch.zeros_like(p) if p.grad is None else p.grad)
    out = {}
    with tempfile.TemporaryDirectory() as d:
        network.save_pretrained(d)  # which gives them their names in the file
        for name, g in load_file(pathlib.Path(d) / "model.safetensors").items():
            if name.startswith("pooler."):
                continue
            g = g.double().flatten()
            i = torch.arange(1, len(g) + 1, dtype=torch.float64)
            out[name] = [float(g.norm())] + [float((g * torch.cos(k * i)).sum()) for k in (1, 2, 3)]
    return out


def as_new(folder):
    """The folder as the models of model_type new come, with the head of a token classifier."""
    weights = {f"new.{k}": v for k, v in load_file(folder / "model.safetensors").items()}
    weights["classifier.weight"], weights["classifier.bias"] = torch.zeros(1, WIDTH), torch.zeros(1)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    del config["rope_parameters"]
    config |= {
        "architectures": ["NewModel"], "model_type": "new", "rope_theta": 500000, "rope_scaling": {"factor": 2.0, "type": "ntk"},
        "auto_map": {
            "AutoConfig": "Alibaba-NLP/new-impl--configuration.NewConfig", "AutoModel": "Alibaba-NLP/new-impl--modeling.NewModel",
        },
        "layer_norm_type": "layer_norm", "logn_attention_clip1": False, "logn_attention_scale": False, "pack_qkv": True,
        "position_embedding_type": "rope", "unpad_inputs": False, "use_memory_efficient_attention": False,
        "torch_dtype": "float32", "transformers_version": "4.41.2",
    }
    del config["dtype"]
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def main():
    names = sys.argv[1:] or list(FAMILIES)
    for name in names:
        with tempfile.TemporaryDirectory() as d:
            model = make(name, 10 + list(FAMILIES).index(name), pathlib.Path(d) / name)
        golden(model, name)
        if name == "new":
            as_new(here / "families" / name)
    for path in (here / "families").rglob("*"):  # safetensors makes files that only the owner may read
        if path.is_file():
            path.chmod(0o644)


if __name__ == "__main__":
    main()
