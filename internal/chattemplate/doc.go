// Package chattemplate renders the chat templates of language models: Jinja programs in tokenizer_config.json or a GGUF
// file that turn a conversation into the text that the model was trained on. What they may use is what transformers gives
// them (trim_blocks, lstrip_blocks, loop controls, raise_exception, strftime_now, tojson), without Jinja's templates made
// of several files. A template that asks for more is refused by name when it is compiled: a prompt that is nearly right is
// worse than none.
//
// Templates come with models from strangers. They see nothing but the conversation, and what they compute is bounded.
//
// Reference: https://jinja.palletsprojects.com/en/stable/templates/ (language); transformers, chat_template_utils.py.
package chattemplate
