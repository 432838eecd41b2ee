package tokenizer

import (
	"fmt"
	"slices"
	"strings"
)

// bertTokens are the special tokens that every BertTokenizer has.
type bertTokens struct{ unk, sep, pad, cls, mask string }

// The special tokens of a folder that names none.
var (
	usualBERT  = bertTokens{"[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"}
	usualMPNet = bertTokens{"[UNK]", "</s>", "<pad>", "<s>", "<mask>"}
)

func (b *bertTokens) fields() map[string]*string {
	return map[string]*string{
		"unk_token": &b.unk, "sep_token": &b.sep, "pad_token": &b.pad, "cls_token": &b.cls, "mask_token": &b.mask,
	}
}

// byKey returns the tokens by their keys in tokenizer_config.json.
func (b bertTokens) byKey() map[string]string {
	all := map[string]string{}
	for key, content := range b.fields() {
		all[key] = *content
	}
	return all
}

// applyBERT replaces the settings of tokenizer.json by those of a BertTokenizer or MPNetTokenizer, and notes where they
// differ.
func (r *reader) applyBERT() error {
	b, templatesOf := usualBERT, bertTemplates
	if r.class == classMPNet {
		b, templatesOf = usualMPNet, robertaTemplates
	}
	fields := b.fields()
	for _, key := range namedTokens {
		to, ok := fields[key]
		if !ok {
			continue
		}
		if named, ok := r.names.named[key]; ok {
			*to = named.Content
		}
		// Without [CLS] and [SEP] transformers would take the tokens with ids 2 and 3, whatever they are.
		if file, ok := r.names.nulls[key]; ok && key != "mask_token" {
			return file.Errorf(key, "is null; name the token")
		}
	}
	lower := valueOr(r.switches.lower, true)
	normalizer := chain{bertNormalizer{
		clean: true, lower: lower, chinese: valueOr(r.switches.chinese, true),
		stripAccents: valueOr(r.switches.accents, lower),
	}}
	d := r.description
	templates := templatesOf(b.cls, b.sep, nil)
	if r.source == File {
		r.noteUnused([]member{
			{"normalizer", slices.Equal(d.normalizer, normalizer)},
			{"post_processor", d.templates.sameSingle(templates)},
			{"model.unk_token", valueOr(d.model.UnkToken, "[UNK]") == b.unk},
			{"model.continuing_subword_prefix", valueOr(d.model.Prefix, "##") == "##"},
			{"model.max_input_chars_per_word", valueOr(d.model.MaxChars, usualChars) == usualChars},
		})
	}
	d.normalizer, d.stages, d.templates = normalizer, []preTokenizer{bertWords{}}, templates
	d.model = jsonModel{Type: "WordPiece", UnkToken: &b.unk}
	r.bert = b
	return nil
}

// member is a member of tokenizer.json, and whether it agrees with the files beside tokenizer.json.
type member struct {
	name string
	same bool
}

// noteUnused notes the members of tokenizer.json that the class overrides.
func (r *reader) noteUnused(members []member) {
	for _, m := range members {
		if !m.same {
			r.notes = append(r.notes, fmt.Sprintf(
				"%s: %s differs from %s: the %s's value counts, as in transformers 5", r.path(File), m.name, ConfigFile,
				strings.TrimSuffix(r.className, "Fast")))
		}
	}
}

// setTemplates sets the ids of the special tokens in the templates.
func (b bertTokens) setTemplates(d *description, t *Tokenizer) error {
	d.templates.specials = map[string][]int64{}
	for _, special := range []struct{ name, content string }{
		{"class", b.cls}, {"separator", b.sep}, {"padding", b.pad},
	} {
		id, ok := t.ids[special.content]
		if !ok {
			return fmt.Errorf("the vocabulary lacks the %s token %s", special.name, special.content)
		}
		d.templates.specials[special.content] = []int64{int64(id)}
	}
	return nil
}
