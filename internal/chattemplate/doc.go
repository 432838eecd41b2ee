// Package chattemplate renders the chat templates of language models: Jinja programs in tokenizer_config.json or a
// GGUF file that turn a conversation into the text that the model was trained on. What they may use is what
// transformers gives them (trim_blocks, lstrip_blocks, loop controls, raise_exception, strftime_now, tojson).
//
// github.com/ardanlabs/jinja runs a template. It is lax where Jinja is strict (an undefined operand, 'a' + 1),
// differs from Jinja in details (lstrip leaves U+00A0, a name set in a loop outlives its iteration, lstrip_blocks
// misses a tag between two tags), and bounds nothing. A prompt that is nearly right is worse than none, so a template
// is rewritten before the library reads it: white space around tags is already stripped, every name has a prefix, and
// every operation is a call that checks, by a table (ops.go), that the library computes what Jinja computes for
// operands of these kinds. Everything else is refused by name, when it is reached: a template that formats tools in a
// way that is not supported still renders a conversation without tools.
//
// Templates come with models from strangers. They see nothing but the conversation, and what they compute is bounded:
// every iteration, macro and operation is a step, and long operands and results are several.
//
// Reference: https://jinja.palletsprojects.com/en/stable/templates/ (language); transformers, chat_template_utils.py.
package chattemplate
