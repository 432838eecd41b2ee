"""Writes golden.json: the templates of this folder, and that of a GGUF file (not kept here) if one is given, rendered by
transformers. Needs transformers with jinja2, and the gguf package for a GGUF file:

    python3 make_golden.py [SmolLM2-135M-Instruct.Q4_1.gguf]
"""

import json
import pathlib
import sys

from transformers.utils.chat_template_utils import _compile_jinja_template

here = pathlib.Path(__file__).parent
conversations = {
    "question": [("user", "What is a retort?")],
    "system": [("system", "Be brief."), ("user", "  What is a retort?\n"), ("assistant", "A vessel."), ("user", "Of <glass> & \"brass\", naïve?")],
    "long": [("user", "a"), ("assistant", "<think>\nhm\n</think>\n\nb"), ("user", "c"), ("assistant", "d"), ("user", "e")],
    "answered": [("user", "a"), ("assistant", "b")],
    "twice": [("user", "a"), ("user", "b")],
    "system alone": [("system", "x")],
}
templates = {p.stem: p.read_text() for p in sorted(here.glob("*.jinja"))}
if len(sys.argv) > 1:
    from gguf import GGUFReader

    templates["smollm2"] = GGUFReader(sys.argv[1]).fields["tokenizer.chat_template"].contents()

golden = []
for name, source in templates.items():
    template = _compile_jinja_template(source)
    for title, turns in conversations.items():
        for prompt in (False, True):
            messages = [{"role": role, "content": content} for role, content in turns]
            case = {"template": name, "conversation": title, "messages": messages, "prompt": prompt}
            try:
                case["text"] = template.render(messages=messages, bos_token="<s>", eos_token="</s>", add_generation_prompt=prompt)
            except Exception as e:
                case["error"] = str(e)
            golden.append(case)
(here / "golden.json").write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")
