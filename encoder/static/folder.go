package static

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/modelcheck"
	"github.com/retort-ir/retort/internal/modelfolder"
	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/tokenizer"
	"github.com/retort-ir/retort/internal/weights"
)

const configJSON = "config.json"

// Holds reports whether a folder holds static embeddings: modules.json begins with StaticEmbedding, or there is none and
// config.json is that of model2vec.
func Holds(dir string) bool {
	modules, err := readModules(dir)
	return err == nil && len(modules) > 0 && modules[0].Kind == "StaticEmbedding"
}

// readModules reads modules.json. A folder of model2vec may lack it.
func readModules(dir string) ([]modelfolder.Module, error) {
	modules, err := modelfolder.ReadModules(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return modules, err
	}
	var config struct {
		ModelType string `json:"model_type"`
		Normalize bool   `json:"normalize"`
	}
	if err := jsonfile.Read(filepath.Join(dir, configJSON), &config); err != nil || config.ModelType != "model2vec" {
		return nil, err
	}
	modules = []modelfolder.Module{{Kind: "StaticEmbedding", Dir: dir}}
	if config.Normalize {
		modules = append(modules, modelfolder.Module{Kind: "Normalize", Dir: dir})
	}
	return modules, nil
}

// read reads the folder.
func (m *Model) read(dir string, o Options) error {
	if err := modelcheck.Folder(dir, modelfolder.ModulesFile, configJSON); err != nil {
		return err
	}
	modules, err := readModules(dir)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, modelfolder.ModulesFile)
	if len(modules) == 0 || modules[0].Kind != "StaticEmbedding" {
		return fmt.Errorf("%s: the first module is not a StaticEmbedding", path)
	}
	for i, next := range modules[1:] {
		if next.Kind != "Normalize" || i > 0 {
			return fmt.Errorf("%s: module %s (%s) is not supported at this position; supported are StaticEmbedding, Normalize",
				path, next.Kind, next.Dir)
		}
	}
	if err := m.readTable(modules[0].Dir); err != nil {
		return err
	}
	if err := m.readTokenizer(modules[0].Dir); err != nil {
		return err
	}
	return m.readSettings(dir, len(modules) > 1, o)
}

// readTable reads the embeddings: "embedding.weight" of sentence-transformers, or "embeddings" of model2vec, with a row
// for each id unless "mapping" says which row an id has. "weights" are factors, one an id.
func (m *Model) readTable(dir string) (err error) {
	f, err := weights.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	name := "embedding.weight"
	if f.DType(name) == "" {
		name = "embeddings"
	}
	shape, ok := f.Shape(name)
	if !ok {
		return fmt.Errorf("%s: no tensor \"embedding.weight\" or \"embeddings\"", f.Path(""))
	}
	if len(shape) != 2 || shape[0] < 1 || shape[1] < 1 {
		return fmt.Errorf("%s: tensor %q has shape %v; a table of vectors is wanted", f.Path(name), name, shape)
	}
	m.rows, m.width = shape[0], shape[1]
	if m.table, err = readNumbers(f, name, shape); err != nil {
		return err
	}
	for _, other := range f.Names() {
		switch other {
		case name:
		case "mapping":
			err = m.readMapping(f, other)
		case "weights":
			shape, _ := f.Shape(other)
			if len(shape) != 1 {
				return fmt.Errorf("%s: tensor %q has shape %v; one number a token is wanted", f.Path(other), other, shape)
			}
			m.factors, err = f.Read(other, shape)
		default:
			return fmt.Errorf("%s: tensor %q has no place in static embeddings", f.Path(other), other)
		}
		if err != nil {
			return err
		}
	}
	if m.mapping != nil && m.factors != nil && len(m.mapping) != len(m.factors) {
		return fmt.Errorf("%s: mapping has %d tokens, weights %d", f.Path("mapping"), len(m.mapping), len(m.factors))
	}
	return nil
}

// readNumbers reads floats, or the integers that model2vec quantises to.
func readNumbers(f *weights.Folder, name string, shape []int) ([]float32, error) {
	if f.DType(name) != "I8" {
		return f.Read(name, shape)
	}
	ints, err := f.ReadInts(name, shape)
	values := make([]float32, len(ints))
	for i, v := range ints {
		values[i] = float32(v)
	}
	return values, err
}

func (m *Model) readMapping(f *weights.Folder, name string) error {
	shape, _ := f.Shape(name)
	if len(shape) != 1 {
		return fmt.Errorf("%s: tensor %q has shape %v; one row a token is wanted", f.Path(name), name, shape)
	}
	rows, err := f.ReadInts(name, shape)
	if err != nil {
		return err
	}
	m.mapping = make([]int32, len(rows))
	for id, row := range rows {
		if row < 0 || row >= int64(m.rows) {
			return fmt.Errorf("%s: mapping of token %d is row %d of %d", f.Path(name), id, row, m.rows)
		}
		m.mapping[id] = int32(row)
	}
	return nil
}

// tokens returns the number of ids that have a vector.
func (m *Model) tokens() int {
	switch {
	case m.mapping != nil:
		return len(m.mapping)
	case m.factors != nil:
		return min(len(m.factors), m.rows)
	}
	return m.rows
}

// readTokenizer reads tokenizer.json as it is, with its truncation but without its special tokens and padding.
func (m *Model) readTokenizer(dir string) error {
	path := filepath.Join(dir, tokenizer.File)
	data, err := regular.ReadFile(path, regular.MaxJSON)
	if err != nil {
		return err
	}
	if m.tokenizer, err = tokenizer.Parse(data); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	var j struct {
		Truncation *struct {
			MaxLength int    `json:"max_length"`
			Direction string `json:"direction"`
		} `json:"truncation"`
	}
	if err := jsonfile.Unmarshal(data, &j); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if t := j.Truncation; t != nil {
		if t.MaxLength < 1 {
			return fmt.Errorf("%s: truncation.max_length is %d", path, t.MaxLength)
		}
		m.limits = [2]int{t.MaxLength, t.MaxLength}
		m.cutsLeft = strings.EqualFold(t.Direction, "left")
	}
	return m.tokenizer.CheckRows(dir+": the number of embeddings", m.tokens())
}

// readSettings reads the settings of sentence-transformers and applies the options.
func (m *Model) readSettings(dir string, normalize bool, o Options) error {
	st, err := modelfolder.ReadSentenceTransformers(dir)
	if err != nil {
		return err
	}
	m.normalizes = normalize
	m.cosine = st.Similarity == modelfolder.Cosine
	if m.dim, err = st.Dim(m.width, o.TruncateDim); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	m.prompts = [2]string{st.Prompt("query"), st.Prompt("document")}
	for i, given := range []struct {
		prompt *string
		tokens int
		name   string
	}{{o.QueryPrompt, o.QueryTokens, "Options.QueryTokens"}, {o.PassagePrompt, o.PassageTokens, "Options.PassageTokens"}} {
		if given.tokens < 0 {
			return fmt.Errorf("%s: %s is %d", dir, given.name, given.tokens)
		}
		if given.prompt != nil {
			m.prompts[i] = *given.prompt
		}
		if given.tokens > 0 {
			m.limits[i] = given.tokens
		}
	}
	if o.Logger != nil {
		for _, note := range st.PromptNotes(o.QueryPrompt != nil, o.PassagePrompt != nil) {
			o.Logger.Warn(note)
		}
	}
	return nil
}
