package causallm

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/retort-ir/retort/internal/gguf"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/modelcheck"
	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/tokenizer"
)

// description is all that a model's files say, with the weights still on disk.
type description struct {
	config  config
	weights weightReader
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

// quantised says whether some of the weights are.
func (d *description) quantised() bool {
	return d.file != nil && slices.ContainsFunc(d.file.Tensors(), func(t gguf.Tensor) bool { return t.Type.Quantised() })
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
	if err := d.text.tokenizer.CheckRows(path+": the model's number of embeddings", d.config.vocab); err != nil {
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
	words, err := tokenizer.Load(dir, tokenizer.Options{Prompts: true})
	if err != nil {
		return nil, err
	}
	t := &text{tokenizer: words, bos: -1, ends: ends(c.eos)}
	var j struct {
		BOS      specialToken  `json:"bos_token"`
		EOS      specialToken  `json:"eos_token"`
		AddBOS   *bool         `json:"add_bos_token"`
		Template chatTemplates `json:"chat_template"`
	}
	if err := jsonfile.Read(filepath.Join(dir, tokenizer.ConfigFile), &j); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	t.bosText, t.eosText = string(j.BOS), string(j.EOS)
	if t.bosText == "" && c.bos >= 0 {
		t.bosText = words.Token(c.bos)
	}
	if id, ok := words.ID(t.eosText); ok {
		t.ends[id] = true
	}
	if before := words.Prefix(); len(before) > 0 {
		t.bos = before[0]
	} else if id, ok := words.ID(t.bosText); ok && valueOr(j.AddBOS, false) {
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

func readGGUFText(f *gguf.File, c config) (*text, error) {
	v := tokenizer.Vocab{AddSpacePrefix: true}
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
	words, err := tokenizer.FromGGUF(v)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path(), err)
	}
	t := &text{tokenizer: words, bos: -1, ends: ends(c.eos)}
	if c.bos >= 0 {
		t.bosText = words.Token(c.bos)
		add, ok := f.Bool("tokenizer.ggml.add_bos_token")
		if !ok { // as llama.cpp takes it
			add = v.Model == "llama" || v.Pre == "llama3" || v.Pre == "llama-v3" || v.Pre == "llama-bpe"
		}
		if add {
			t.bos = c.bos
		}
	}
	if id, ok := f.Uint("tokenizer.ggml.eos_token_id"); ok && id < uint64(len(v.Tokens)) {
		t.eosText = words.Token(int32(id))
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
