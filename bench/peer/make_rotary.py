"""Writes an encoder with rotary positions for the comparisons: the sizes of gte-base-en-v1.5, random weights, and another
model's tokenizer, saved by sentence-transformers. No package carries such a model with its weights, and speed does not
depend on their values.

usage: make_rotary.py TOKENIZER-FOLDER FOLDER
"""

import os
import shutil
import sys

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from transformers import AutoTokenizer, GteConfig, GteModel

TOKENS = 512


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    tokenizer_folder, folder = sys.argv[1:]
    made = folder + ".new"
    shutil.rmtree(made, ignore_errors=True)
    torch.manual_seed(0)
    # Theta 500000 with the NTK factor 2 in heads of 64 values, in the words of transformers. Larger weights than those
    # that training begins with keep the vectors of the texts apart.
    config = GteConfig(
        vocab_size=30528, hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072, type_vocab_size=0,
        pad_token_id=0, max_position_embeddings=8192, initializer_range=0.05, hidden_dropout_prob=0.0,
        rope_parameters={"rope_type": "linear", "rope_theta": 1e6, "factor": 2 ** (2 / 64)},
    )
    GteModel(config).save_pretrained(made)
    AutoTokenizer.from_pretrained(tokenizer_folder, model_max_length=TOKENS).save_pretrained(made)
    modules = [Transformer(made), Pooling(config.hidden_size, "cls"), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(made, create_model_card=False)
    shutil.rmtree(folder, ignore_errors=True)
    os.rename(made, folder)


if __name__ == "__main__":
    main()
