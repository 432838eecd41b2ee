"""Writes left.json: the ids that transformers makes of pairs where tokenizer_config.json of the folders bert,
roberta and xlmr says truncation_side left, by folder and length limit. Needs transformers:

    python3 make_left.py
"""

import json
import os
import pathlib
import shutil
import tempfile

os.environ["HF_HUB_OFFLINE"] = "1"

from transformers import AutoTokenizer

here = pathlib.Path(__file__).parent
PAIRS = [
    ["how do I read a file", "Scanner reads tokens, by default lines, from a reader, again and again until the end."],
    ["Scanner reads tokens, by default lines, from a reader, again and again until the end.", "read a file"],
    ["one two three four five six seven eight nine", "ten eleven twelve thirteen fourteen fifteen sixteen"],
    ["a", "b"],
    ["", "one two three four five six seven eight nine ten eleven twelve"],
]


def main():
    cases = []
    for name in ("bert", "roberta", "xlmr"):
        with tempfile.TemporaryDirectory() as d:
            folder = pathlib.Path(d) / "model"
            shutil.copytree(here / name, folder)
            path = folder / "tokenizer_config.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | {"truncation_side": "left"}))
            tokenizer = AutoTokenizer.from_pretrained(folder)
            for query, passage in PAIRS:
                for limit in (8, 13, 20, 40):
                    ids = tokenizer(query, passage, truncation="longest_first", max_length=limit)["input_ids"]
                    cases.append({"folder": name, "query": query, "passage": passage, "limit": limit, "ids": ids})
    (here / "left.json").write_text(json.dumps(cases).replace("}, {", "},\n{") + "\n")


if __name__ == "__main__":
    main()
