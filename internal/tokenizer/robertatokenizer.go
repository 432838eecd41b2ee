package tokenizer

import (
	"cmp"
	"fmt"
	"slices"
)

// applyClass replaces the settings of tokenizer.json that the class does not read.
func (r *reader) applyClass() error {
	switch r.class {
	case classBERT, classMPNet:
		return r.applyBERT()
	case classRoBERTa:
		stages := []preTokenizer{byteLevel{prefixSpace: valueOr(r.switches.prefixSpace, false), pattern: true}}
		return r.applyRoBERTa("BPE", "cls_token", "sep_token", nil, stages)
	case classXLMRoBERTa:
		var kept chain
		for _, n := range r.description.normalizer {
			if _, ok := n.(*charsmap); ok && kept == nil {
				kept = chain{n}
			}
		}
		prefix := "always"
		if !valueOr(r.switches.prefixSpace, true) {
			prefix = "never"
		}
		stages := []preTokenizer{whitespaceSplit, metaspace{sign: "▁", prefix: prefix, cut: true}}
		return r.applyRoBERTa("Unigram", "bos_token", "eos_token", kept, stages)
	}
	return nil
}

// applyRoBERTa replaces the normalizers, the stages and the templates, and notes where they differ in more than spaces.
func (r *reader) applyRoBERTa(model, firstKey, lastKey string, kept chain, stages []preTokenizer) error {
	d := r.description
	if d.model.Type != model {
		return fmt.Errorf("%s: model.type is %s; a %s has %s", r.path(File), d.model.Type, r.className, model)
	}
	first := cmp.Or(r.names.named[firstKey].Content, "<s>")
	last := cmp.Or(r.names.named[lastKey].Content, "</s>")
	templates := robertaTemplates(first, last, d.templates.specials)
	dropped := slices.ContainsFunc(d.normalizer, func(n normalizer) bool {
		_, isMap := n.(*charsmap)
		_, isReplacement := n.(rewrite)
		return !isMap && !isReplacement
	})
	r.noteUnused([]member{
		{"normalizer", !dropped},
		{"pre_tokenizer", len(d.stages) > 0 && d.stages[len(d.stages)-1] == stages[len(stages)-1]},
		{"post_processor", d.templates.sameSingle(templates)},
	})
	d.normalizer, d.stages, d.templates = kept, stages, templates
	return nil
}
