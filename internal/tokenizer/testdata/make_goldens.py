"""Writes the goldens of the tokenizers: for each kind below a tokenizer.json with a small vocabulary of our own
(tokenizers/NAME.json) and the ids that Hugging Face's tokenizers package gives (ids/NAME.json); and with sentencepiece
the vocabulary and the ids of a Llama-2 style model (ids/sentencepiece.json). Needs tokenizers and sentencepiece.
Tokenizers that are there are not trained again, so that ids alone can be made anew:

    python3 make_goldens.py
"""

import base64
import io
import json
import pathlib
import struct
import unicodedata

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from texts import PAIRS, TRAINING, TRICKY

here = pathlib.Path(__file__).parent
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
MODERN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT4O = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+",
])
BYTES = [f"<0x{b:02X}>" for b in range(256)]
XLMR = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def byte_level(pre, specials, normalizer=None, size=700, drop=(), **options):
    """BPE over bytes. drop: bytes (as the alphabet writes them) that the vocabulary is to lack."""
    t = Tokenizer(models.BPE())
    if normalizer:
        t.normalizer = normalizer
    t.pre_tokenizer = pre
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    t.train_from_iterator(TRAINING, trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=alphabet, special_tokens=specials, show_progress=False))
    model = json.loads(t.to_str())["model"]
    vocab = {k: v for k, v in model["vocab"].items() if k not in drop}
    merges = [tuple(m) for m in model["merges"] if not set(drop) & set("".join(m))]
    t.model = models.BPE(vocab, merges, **options)
    t.decoder = decoders.ByteLevel()
    return t


def sequence(*parts):
    return pre_tokenizers.Sequence(list(parts))


def level(prefix=False, regex=True):
    return pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=regex)


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def gpt2():
    t = byte_level(level(), ["<|endoftext|>"])
    t.post_processor = processors.ByteLevel(trim_offsets=False)
    return t


def smollm():
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    return byte_level(sequence(pre_tokenizers.Digits(individual_digits=True), level()), specials)


def llama3():
    specials = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"]
    t = byte_level(sequence(split(MODERN % "{1,3}"), level(regex=False)), specials, ignore_merges=True)
    t.add_tokens(["reader", "untokenizable"])  # words that no merge makes
    model = json.loads(t.to_str())["model"]
    vocab = model["vocab"] | {"Ġuntokenizable": len(model["vocab"]), "readers": len(model["vocab"]) + 1}
    t = Tokenizer.from_str(json.dumps(json.loads(t.to_str()) | {"added_tokens": json.loads(t.to_str())["added_tokens"][:4]}))
    t.model = models.BPE(vocab, [tuple(m) for m in model["merges"]], ignore_merges=True)
    t.post_processor = processors.Sequence([processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", t.token_to_id("<s>"))])])
    return t


def qwen2():
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    t = byte_level(sequence(split(MODERN % ""), level(regex=False)), specials, normalizers.NFC())
    t.add_tokens([AddedToken("<tool>", special=False, normalized=False), AddedToken("</tool>", special=False, normalized=False)])
    return t


def gpt4o():
    return byte_level(sequence(split(GPT4O, "removed", True), level(regex=False)), ["<|endoftext|>"])


def roberta():
    t = byte_level(level(prefix=True), ["<s>", "<pad>", "</s>", "<unk>", "<mask>"], unk_token="<unk>")
    t.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=True)
    return t


def missing_bytes():
    """A vocabulary without some bytes: unknown tokens, fused or not, or nothing at all."""
    out = {}
    drop = {"!", "é", "Ã", "å", "ð"}
    out["missing-fused"] = byte_level(level(), ["<unk>"], drop=drop, unk_token="<unk>", fuse_unk=True)
    out["missing-single"] = byte_level(level(), ["<unk>"], drop=drop, unk_token="<unk>", fuse_unk=False)
    out["missing-none"] = byte_level(level(), ["<unk>"], drop=drop)
    return out


def llama2():
    """BPE over characters with byte fallback, Llama 2's tokenizer.json as transformers converts it."""
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trainer = trainers.BpeTrainer(vocab_size=1000, special_tokens=["<unk>", "<s>", "</s>"] + BYTES, show_progress=False,
                                  max_token_length=12, limit_alphabet=90)
    t.train_from_iterator([w for s in TRAINING for w in s.replace(" ", " \0").split("\0")], trainer)
    model = json.loads(t.to_str())["model"]
    t = Tokenizer(models.BPE(model["vocab"], [tuple(m) for m in model["merges"]], unk_token="<unk>", fuse_unk=True,
                             byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.add_special_tokens(["<unk>", "<s>", "</s>"])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    t.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", t.token_to_id("<s>"))])
    return t


def double_array(entries):
    """A darts-clone double array of {bytes: value}, as sentencepiece writes it."""
    root = {}
    for key, value in sorted(entries.items()):
        node = root
        for b in key:
            node = node.setdefault(b, {})
        node[-1] = value
    units, used = {0: 0}, {0}

    def place(node, at, label, is_root):
        children = sorted(c for c in node if c >= 0)
        slots = [0] * (-1 in node) + children
        base = 1
        while any((base ^ s) in used for s in slots) or (base ^ at) >= 1 << 21:
            base += 1
        used.update(base ^ s for s in slots)
        offset = base ^ at
        units[at] = (0 if is_root else label) | (offset << 10) | ((-1 in node) << 8)
        if -1 in node:
            units[base] = node[-1] | 1 << 31
        for c in children:
            place(node[c], base ^ c, c, False)

    place(root, 0, 0, True)
    return [units.get(i, 0) for i in range((max(units) | 255) + 1)]


def charsmap():
    """A precompiled_charsmap of our own: NFKC of some blocks, control characters to nothing, odd spaces to a space."""
    rules = {}
    blocks = [(0xA0, 0x180), (0x2000, 0x2070), (0x2100, 0x2190), (0x2460, 0x24FF), (0x3300, 0x3380), (0xFB00, 0xFB07),
              (0xFDFA, 0xFDFB), (0xFF01, 0xFFA0), (0x1D400, 0x1D5A0)]
    for first, end in blocks:
        for c in range(first, end):
            to = unicodedata.normalize("NFKC", chr(c))
            if to != chr(c):
                rules[chr(c)] = to
    for base in "aeioucnAEIOUCN":  # two characters that become one
        for mark in "\u0300\u0301\u0302\u0303\u0308\u0327":
            to = unicodedata.normalize("NFKC", base + mark)
            if len(to) == 1:
                rules[base + mark] = to
    rules["ﾊﾟ"] = "パ"
    for c in [*range(1, 9), 0xB, *range(0xE, 0x20), 0x7F, 0xAD, 0x200B, 0x2060, 0xFEFF]:
        rules[chr(c)] = ""
    for c in [9, 10, 12, 13, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000]:
        rules[chr(c)] = " "
    text, at, entries = b"", {}, {}
    for key, to in rules.items():
        if to not in at:
            at[to] = len(text)
            text += to.encode() + b"\0"
        entries[key.encode()] = at[to]
    units = double_array(entries)
    return struct.pack("<I", 4 * len(units)) + struct.pack(f"<{len(units)}I", *units) + text


def unigram(normalizer, pre, specials=XLMR, size=600, **options):
    t = Tokenizer(models.Unigram())
    t.normalizer, t.pre_tokenizer = normalizer, pre
    t.train_from_iterator(TRAINING, trainers.UnigramTrainer(
        vocab_size=size, special_tokens=specials, unk_token="<unk>", show_progress=False))
    model = json.loads(t.to_str())["model"]
    vocab = [(token, round(score, 4)) for token, score in model["vocab"]]
    if options.get("byte_fallback"):
        vocab += [(b, 0.0) for b in BYTES]
    # Not every character may be known, or nothing would be unknown.
    vocab = [(token, score) for token, score in vocab if token in XLMR or not set(token) & set("ქ中🎉€ж")]
    t.model = models.Unigram(vocab, [token for token, _ in vocab].index("<unk>"), options.get("byte_fallback", False))
    t.add_special_tokens([s for s in specials if s != "<mask>"] + [AddedToken("<mask>", lstrip=True, special=True)])
    t.decoder = decoders.Metaspace()
    ids = {s: t.token_to_id(s) for s in specials}
    t.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", ids["<s>"]), ("</s>", ids["</s>"])])
    return t


def precompiled():
    spec = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(charsmap()).decode()}
    t = Tokenizer(models.BPE())
    return Tokenizer.from_str(json.dumps(json.loads(t.to_str()) | {"normalizer": spec})).normalizer


def xlmr():
    return unigram(precompiled(), sequence(pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()))


def bge_m3():
    normalizer = normalizers.Sequence([precompiled(), normalizers.Replace(Regex(" {2,}"), " ")])
    return unigram(normalizer, pre_tokenizers.Metaspace(prepend_scheme="always"))


def unigram_bytes():
    normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Strip(left=True, right=True)])
    return unigram(normalizer, pre_tokenizers.Metaspace(prepend_scheme="first", split=False), byte_fallback=True)


def added():
    """Every setting of an added token, and normalizers in front of byte-level BPE; pairs as BERT's."""
    normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()])
    pre = sequence(pre_tokenizers.Punctuation(), level())
    t = byte_level(pre, ["<s>", "</s>", "<unk>"], normalizer)
    t.add_tokens([
        AddedToken("word", single_word=True), AddedToken("New York"), AddedToken("Éclair"),
        AddedToken("<tool>", lstrip=True, rstrip=True, normalized=False), AddedToken("<mask>", rstrip=True, special=True),
    ])
    t.post_processor = processors.BertProcessing(("</s>", t.token_to_id("</s>")), ("<s>", t.token_to_id("<s>")))
    return t


def splits():
    """Split with each behaviour, of a regular expression or of a string."""
    out = {}
    for behavior in ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]:
        for invert in [False, True]:
            pre = sequence(split(r"[aeiou ]", behavior, invert), pre_tokenizers.Digits(individual_digits=False), level(regex=False))
            out[f"split-{behavior}-{invert}"] = pre
    out["split-string"] = sequence(pre_tokenizers.Split("re", "merged_with_next"), level(regex=False))
    return out


def ids(t):
    plain = []
    t.encode_special_tokens = True
    for text in TRICKY:
        plain.append(t.encode(text, add_special_tokens=False).ids)
    t.encode_special_tokens = False
    pairs = []
    for a, b, limit in PAIRS:
        if limit:
            t.enable_truncation(limit)
        else:
            t.no_truncation()
        e = t.encode(a, b)
        pairs.append([e.ids, e.type_ids])
    t.no_truncation()
    specials = [t.encode(text, add_special_tokens=False).ids for text in TRICKY]
    decoded = [t.decode(i, skip_special_tokens=False) for i in specials]
    return {"plain": plain, "specials": specials, "pairs": pairs, "decoded": decoded}


def dump(path, value):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=True, separators=(",", ":")).replace("],[", "],\n[") + "\n")


def sentencepiece_bpe():
    """What llama.cpp calls a llama tokenizer: sentencepiece's BPE, merged by scores."""
    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TRAINING), model_writer=model, model_type="bpe", vocab_size=700, byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, character_coverage=0.98, minloglevel=2,
        allow_whitespace_only_pieces=True, split_digits=True)
    sp = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    size = sp.vocab_size()
    kind = lambda i: 2 if sp.is_unknown(i) else 3 if sp.is_control(i) else 6 if sp.is_byte(i) else 1
    texts = [t for t in TRICKY if "\0" not in t]
    return {
        "tokens": [sp.id_to_piece(i) for i in range(size)], "scores": [sp.get_score(i) for i in range(size)],
        "types": [kind(i) for i in range(size)], "texts": texts, "ids": [sp.encode(t) for t in texts],
    }


def main():
    kinds = {
        "gpt2": gpt2, "smollm": smollm, "llama3": llama3, "qwen2": qwen2, "gpt4o": gpt4o, "roberta": roberta, "llama2": llama2,
        "xlmr": xlmr, "bge-m3": bge_m3, "unigram-bytes": unigram_bytes, "added": added,
    }
    folder = here / "tokenizers"
    folder.mkdir(exist_ok=True)
    for name, make in kinds.items():
        if not (folder / f"{name}.json").exists():
            make().save(str(folder / f"{name}.json"), pretty=False)
    if not (folder / "missing-none.json").exists():
        for name, t in missing_bytes().items():
            t.save(str(folder / f"{name}.json"), pretty=False)
    for path in sorted(folder.glob("*.json")):
        dump(here / "ids" / path.name, ids(Tokenizer.from_file(str(path))))
    # The behaviours share one vocabulary: only the pre-tokenizer is another.
    out = []
    for name, pre in splits().items():
        t = Tokenizer.from_file(str(folder / "gpt2.json"))
        t.pre_tokenizer = pre
        out.append({"name": name, "pre_tokenizer": json.loads(t.to_str())["pre_tokenizer"],
                    "ids": [t.encode(text, add_special_tokens=False).ids for text in TRICKY[::4]]})
    dump(here / "ids" / "splits.json", out)
    dump(here / "ids" / "sentencepiece.json", sentencepiece_bpe())
    dump(here / "texts.json", {"texts": TRICKY, "pairs": PAIRS})
    print(tokenizers.__version__, len(TRICKY), "texts", len(PAIRS), "pairs")


if __name__ == "__main__":
    main()
