// Package chattemplate renders the chat templates of language models: Jinja programs in tokenizer_config.json or a GGUF
// file that turn a conversation into the text that the model was trained on. Templates may use the features that
// transformers enables (trim_blocks, lstrip_blocks, loop controls, raise_exception, strftime_now, tojson).
//
// github.com/ardanlabs/jinja runs a template. It is lax where Jinja is strict (an undefined operand, 'a' + 1), differs
// from Jinja in details (lstrip leaves U+00A0, a name set in a loop outlives its iteration, lstrip_blocks misses a tag
// between two tags), and has no bounds. A nearly right prompt is worse than none. The package therefore rewrites a
// template before the library reads it: it strips the white space around tags, adds a prefix to every name, and turns
// every operation into a call. The call checks by a table (ops.go) that the library computes the same as Jinja for
// operands of these kinds. Any other operation is refused by name when it runs: a template that formats tools in an
// unsupported way still renders a conversation without tools.
//
// Templates come with models from strangers. They see only the conversation, and their work is bounded: every
// iteration, macro and operation is a step; long operands and results are several steps.
//
// Reference: https://jinja.palletsprojects.com/en/stable/templates/ (language); transformers, chat_template_utils.py.
package chattemplate
