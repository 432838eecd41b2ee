"""Checks that every card *.md of a folder is read by huggingface_hub, and rendered without a link, an image or HTML:

    python3 check_card.py DIR

Prints how many cards it has read, as JSON.
"""

import json
import pathlib
import sys

from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

# linkify needs linkify-it-py, which few machines have; the strict rules of CommonMark and tables do without.
markdown = MarkdownIt("commonmark").enable("table")
allowed = {"heading", "paragraph", "bullet_list", "list_item", "table", "thead", "tbody", "tr", "th", "td", "inline", "fence"}

cards = 0
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.md")):
    card = ModelCard.load(path)
    assert card.data.library_name == "sentence-transformers", card.data
    assert card.data.pipeline_tag == "sentence-similarity", card.data
    assert len(card.data.tags) == 2 and card.data.tags[0] == "retort", card.data
    assert card.data.license is None, card.data
    for token in markdown.parse(card.text):
        kind = token.type.removesuffix("_open").removesuffix("_close")
        assert kind in allowed, (path, kind, token.content)
        for child in token.children or []:
            assert child.type in {"text", "text_special"}, (path, child.type, child.content)
    cards += 1
print(json.dumps({"cards": cards}))
