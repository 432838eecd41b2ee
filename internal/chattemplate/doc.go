// Package chattemplate renders the chat templates of language models: Jinja programs in tokenizer_config.json or a GGUF
// file that turn a conversation into the text that the model was trained on. What they may use is what transformers gives
// them (trim_blocks, lstrip_blocks, loop controls, raise_exception, strftime_now, tojson), without Jinja's templates made
// of several files. A template that asks for more is refused by name when it is compiled: a prompt that is nearly right is
// worse than none.
//
// Templates come with models from strangers. They see nothing but the conversation, and what they compute is bounded:
// every operation is charged for the bytes that it reads and makes, and a value counts each of its parts as often as it
// occurs.
//
// The libraries github.com/ardanlabs/jinja and github.com/nikolalohinski/gonja/v2 were compared with this package.
// Neither bounds a template: a macro that calls itself overflows the stack and ends the process. Both render in silence
// what Jinja refuses or renders otherwise ('a' + 1, an undefined operand, none, -7 // 2), which is a wrong prompt for a
// model.
//
// Reference: https://jinja.palletsprojects.com/en/stable/templates/ (language); transformers, chat_template_utils.py.
package chattemplate
