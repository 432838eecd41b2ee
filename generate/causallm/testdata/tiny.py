"""Writes the tiny models beside this file and what transformers computes with them: tiny.json.

usage: tiny.py   (needs torch, transformers and tokenizers)

The weights are random, but large enough that the next tokens differ. One byte-level BPE tokenizer serves all; one model is sharded.
"""

import json
import os
import shutil

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM, Gemma2Config, Gemma3TextConfig, GemmaConfig, LlamaConfig, PreTrainedTokenizerFast, Qwen2Config, Qwen3Config,
)

HERE = os.path.dirname(os.path.abspath(__file__))

CORPUS = """Passage: The retort is a vessel of glass in which a liquid is heated; its long neck bends down and cools the vapour.
Question: what is a retort used for
Passage: A goroutine is a function that runs beside others in one address space, and channels carry values between them.
Question: how do goroutines talk to each other
Passage: Green tea is made of leaves that were steamed soon after the harvest, so that they keep their colour.
Question: why is green tea green
Write a question that the passage answers. Claim: Title: Keywords: the of and in to is that for it as with was on be by
"""

TEXTS = [
    "Passage: Green tea is made of leaves. Question:",
    "Passage: The retort is a vessel of glass in which a liquid is heated. Question:",
    "naïve 冬 x",
]
CONTINUATIONS = [" what is a retort", " green tea", "?"]

COMMON = dict(
    hidden_size=48, intermediate_size=64, num_hidden_layers=2, max_position_embeddings=256, initializer_range=0.35, rms_norm_eps=1e-5,
    bos_token_id=0, eos_token_id=1, pad_token_id=None,
)

# Heads are wider than hidden_size / heads, and the window is shorter than the texts.
SMALL = dict(COMMON, hidden_size=32, intermediate_size=48, num_attention_heads=4, num_key_value_heads=2, head_dim=12)
GEMMA = dict(SMALL, tie_word_embeddings=True, hidden_activation="gelu_pytorch_tanh")


def configs(vocab):
    llama3 = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)
    linear = dict(rope_type="linear", rope_theta=10000.0, factor=2.0)
    plain = dict(rope_type="default", rope_theta=10000.0)
    return {
        # grouped queries, tied embeddings, as SmolLM2
        "llama-tied": LlamaConfig(vocab_size=vocab, num_attention_heads=6, num_key_value_heads=2, tie_word_embeddings=True, rope_parameters=plain, **COMMON),
        # as Llama 3.1, in two shards; the width of a head is not hidden_size / heads
        "llama3-sharded": LlamaConfig(
            vocab_size=vocab, num_attention_heads=4, num_key_value_heads=1, head_dim=16, tie_word_embeddings=False, rope_parameters=llama3, **COMMON
        ),
        # a key head for each query head, as Llama 2 7B
        "llama-linear": LlamaConfig(vocab_size=vocab, num_attention_heads=4, num_key_value_heads=4, tie_word_embeddings=False, rope_parameters=linear, **COMMON),
        "qwen2-tied": Qwen2Config(vocab_size=vocab, num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True, rope_parameters=plain, **COMMON),
        "qwen2": Qwen2Config(vocab_size=vocab, num_attention_heads=6, num_key_value_heads=2, tie_word_embeddings=False, rope_parameters=plain, **COMMON),
        "qwen3": Qwen3Config(vocab_size=vocab, tie_word_embeddings=True, rope_parameters=dict(plain, rope_theta=1000000.0), **SMALL),
        "gemma": GemmaConfig(vocab_size=vocab, hidden_act="gelu_pytorch_tanh", rope_parameters=plain, **GEMMA),
        # the caps are low, so that they bend what they cap
        "gemma2": Gemma2Config(
            vocab_size=vocab, query_pre_attn_scalar=12, sliding_window=9, attn_logit_softcapping=5.0, final_logit_softcapping=6.0, rope_parameters=plain, **GEMMA
        ),
        # the last of six layers sees all tokens
        "gemma3": Gemma3TextConfig(
            vocab_size=vocab, query_pre_attn_scalar=12, sliding_window=9,
            rope_parameters={"sliding_attention": plain, "full_attention": dict(linear, rope_theta=1000000.0)}, **dict(GEMMA, num_hidden_layers=6)
        ),
    }


def tokenizer():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=384, special_tokens=["<|bos|>", "<|eos|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    t.train_from_iterator(CORPUS.splitlines(), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=t, bos_token="<|bos|>", eos_token="<|eos|>",
        chat_template="{% for m in messages %}<|bos|>{{ m['role'] }}\n{{ m['content'] }}<|eos|>\n{% endfor %}{% if add_generation_prompt %}<|bos|>assistant\n{% endif %}",
    )


def build(name, config, tok):
    torch.manual_seed(sum(map(ord, name)))
    # The caps of Gemma 2 are left out in transformers' other implementations.
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager" if "gemma" in name else None).eval()
    for key, p in model.named_parameters():
        if key.endswith("bias") or "norm" in key:  # transformers sets them to 0 and 1, or to 0 where it adds 1
            torch.nn.init.normal_(p, mean=float("norm" in key and "gemma" not in name), std=0.3)
    folder = os.path.join(HERE, name)
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, max_shard_size="90KB" if "sharded" in name else "5GB")
    tok.save_pretrained(folder)
    return model


@torch.no_grad()
def golden(model, tok):
    out = {"texts": [], "likelihoods": []}
    for text in TEXTS:
        ids = tok(text, add_special_tokens=False)["input_ids"]
        logits = model(torch.tensor([ids])).logits[0]
        written = model.generate(torch.tensor([ids]), max_new_tokens=24, do_sample=False, eos_token_id=None)[0, len(ids):]
        out["texts"].append({
            "text": text, "ids": ids, "last": [round(v, 6) for v in logits[-1].tolist()], "first": [round(v, 6) for v in logits[0].tolist()],
            "sums": [round(v, 5) for v in logits.double().sum(-1).tolist()], "greedy": written.tolist(), "greedy_text": tok.decode(written),
        })
        for c in CONTINUATIONS:
            whole = tok(text + c, add_special_tokens=False)["input_ids"]
            assert whole[: len(ids)] == ids
            p = torch.log_softmax(model(torch.tensor([whole])).logits[0].double(), -1)
            total = sum(p[i - 1, whole[i]].item() for i in range(len(ids), len(whole)))
            out["likelihoods"].append({"prefix": text, "continuation": c, "sum": total, "tokens": len(whole) - len(ids)})
    return out


def main():
    torch.set_num_threads(1)
    tok = tokenizer()
    goldens = {}
    for name, config in configs(len(tok)).items():
        goldens[name] = golden(build(name, config, tok), tok)
    with open(os.path.join(HERE, "tiny.json"), "w") as f:
        json.dump(goldens, f)


if __name__ == "__main__":
    main()
