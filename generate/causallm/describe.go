package causallm

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/retort-ir/retort/internal/gguf"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/modelcheck"
	"github.com/retort-ir/retort/internal/modelfolder"
	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/subword"
)

// description is all that a model's files say, with the weights still on disk.
type description struct {
	config  config
	weights weights
	text    *text
	file    *gguf.File // nil in a folder
}

func (d *description) close() error {
	err := d.weights.close()
	if d.file != nil {
		err = errors.Join(err, d.file.Close())
	}
	return err
}

// describe reads a folder or a GGUF file.
func describe(path string) (*description, error) {
	folder, err := isFolder(path)
	if err != nil {
		return nil, err
	}
	var d *description
	if folder {
		d, err = describeFolder(path)
	} else {
		d, err = describeGGUF(path)
	}
	if err != nil {
		return nil, err
	}
	if n := d.text.tokenizer.Len(); n > d.config.vocab {
		err := fmt.Errorf("%s: the tokenizer has ids up to %d, the model %d embeddings: they do not belong together", path, n-1, d.config.vocab)
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func describeFolder(dir string) (*description, error) {
	if err := modelcheck.Folder(dir); err != nil {
		return nil, err
	}
	c, err := readHFConfig(dir)
	if err != nil {
		return nil, err
	}
	t, err := readFolderText(dir, c)
	if err != nil {
		return nil, err
	}
	w, err := openFolderWeights(dir)
	if err != nil {
		return nil, err
	}
	return &description{config: c, weights: w, text: t}, nil
}

func describeGGUF(path string) (*description, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return nil, err
	}
	c, err := readGGUFConfig(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	t, err := readGGUFText(f, c)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &description{config: c, weights: &ggufWeights{file: f, config: c}, text: t, file: f}, nil
}

// readFolderText reads tokenizer.json, tokenizer_config.json and the chat template.
func readFolderText(dir string, c config) (*text, error) {
	path := filepath.Join(dir, "tokenizer.json")
	tokenizer, err := subword.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: a tokenizer.model alone is not read; load and save the tokenizer with transformers' AutoTokenizer", err)
	}
	if err != nil {
		return nil, err
	}
	// Prompts are not padded, and cut by their own rules.
	if _, err := modelfolder.CheckTokenizer(dir, "pad_token"); err != nil {
		return nil, err
	}
	t := &text{tokenizer: tokenizer, bos: -1, ends: ends(c.eos)}
	var j struct {
		BOS      specialToken  `json:"bos_token"`
		EOS      specialToken  `json:"eos_token"`
		AddBOS   *bool         `json:"add_bos_token"`
		Template chatTemplates `json:"chat_template"`
	}
	if err := jsonfile.Read(filepath.Join(dir, "tokenizer_config.json"), &j); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	t.bosText, t.eosText = string(j.BOS), string(j.EOS)
	if t.bosText == "" && c.bos >= 0 {
		t.bosText = tokenizer.Token(c.bos)
	}
	if id, ok := tokenizer.ID(t.eosText); ok {
		t.ends[id] = true
	}
	begins, err := beginsWith(path)
	if err != nil {
		return nil, err
	}
	if begins == "" && valueOr(j.AddBOS, false) {
		begins = t.bosText
	}
	if id, ok := tokenizer.ID(begins); ok {
		t.bos = id
	}
	source := string(j.Template)
	raw, err := regular.ReadFile(filepath.Join(dir, "chat_template.jinja"), regular.MaxText)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil {
		source = string(raw)
	}
	t.setTemplate(source, dir)
	return t, nil
}

// beginsWith returns the special token that a tokenizer.json's post-processor puts before a text, "" for none.
func beginsWith(path string) (string, error) {
	type processor struct {
		Type   string `json:"type"`
		Single []struct {
			Special *struct {
				ID string `json:"id"`
			} `json:"SpecialToken"`
		} `json:"single"`
	}
	var j struct {
		Post *struct {
			processor
			Processors []processor `json:"processors"`
		} `json:"post_processor"`
	}
	if err := jsonfile.Read(path, &j); err != nil {
		return "", err
	}
	if j.Post == nil {
		return "", nil
	}
	for _, p := range append(j.Post.Processors, j.Post.processor) {
		if p.Type == "TemplateProcessing" && len(p.Single) > 0 && p.Single[0].Special != nil {
			return p.Single[0].Special.ID, nil
		}
	}
	return "", nil
}

func readGGUFText(f *gguf.File, c config) (*text, error) {
	v := subword.Vocab{AddSpacePrefix: true}
	var ok bool
	if v.Tokens, ok = f.Strings("tokenizer.ggml.tokens"); !ok {
		return nil, fmt.Errorf("%s: no tokenizer.ggml.tokens: the file has no tokenizer", f.Path())
	}
	v.Model, _ = f.String("tokenizer.ggml.model")
	v.Pre, _ = f.String("tokenizer.ggml.pre")
	v.Merges, _ = f.Strings("tokenizer.ggml.merges")
	types, _ := f.Ints("tokenizer.ggml.token_type")
	for _, kind := range types {
		v.Types = append(v.Types, int32(kind))
	}
	scores, _ := f.FloatArray("tokenizer.ggml.scores")
	for _, score := range scores {
		v.Scores = append(v.Scores, float32(score))
	}
	if add, ok := f.Bool("tokenizer.ggml.add_space_prefix"); ok {
		v.AddSpacePrefix = add
	}
	tokenizer, err := subword.FromGGUF(v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path(), err)
	}
	t := &text{tokenizer: tokenizer, bos: -1, ends: ends(c.eos)}
	if c.bos >= 0 {
		t.bosText = tokenizer.Token(c.bos)
		add, ok := f.Bool("tokenizer.ggml.add_bos_token")
		if !ok { // as llama.cpp takes it
			add = v.Model == "llama" || v.Pre == "llama3" || v.Pre == "llama-v3" || v.Pre == "llama-bpe"
		}
		if add {
			t.bos = c.bos
		}
	}
	if id, ok := f.Uint("tokenizer.ggml.eos_token_id"); ok && id < uint64(len(v.Tokens)) {
		t.eosText = tokenizer.Token(int32(id))
	}
	source, _ := f.String("tokenizer.chat_template")
	t.setTemplate(source, f.Path())
	return t, nil
}

func ends(ids []int32) map[int32]bool {
	set := map[int32]bool{}
	for _, id := range ids {
		set[id] = true
	}
	return set
}
