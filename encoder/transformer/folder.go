package transformer

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/modelcheck"
	"github.com/retort-ir/retort/internal/modelfolder"
	"github.com/retort-ir/retort/internal/tokenizer"
)

// Options override the settings of a model folder or supply missing ones. The zero value uses the folder's settings.
type Options struct {
	// QueryPrompt and PassagePrompt are prepended to every text of the role, with no space between; nil uses the
	// folder's.
	QueryPrompt, PassagePrompt *string
	// QueryTokens and PassageTokens limit the length of a text in tokens, [CLS], [SEP] and the prompt included. They
	// are at least 3 and at most the number of the model's positions; 0 uses the folder's limit.
	QueryTokens, PassageTokens int
	// Pooling is one of the poolings, or several joined by "+"; empty uses the folder's. A folder without modules.json does
	// not define it.
	Pooling string
	// TruncateDim is the number of leading values that a vector keeps, at most all; 0 uses the folder's truncate_dim.
	// Vectors of a model that ranks by cosine are normalised after the cut. A saved model keeps the cut.
	TruncateDim int

	// Precision is the precision of the matrix products. With retort.BF16, training on a CPU still computes attention
	// in float32, because the backward pass of attention in bfloat16 is slow on CPUs.
	Precision retort.Precision
	// BatchTokens is the largest number of tokens in one micro-batch of Encode, padding included; 0 means 256 for
	// each thread of a processor, between 512 and 4,096, and 4,096 on a GPU. In pure Go, which pads nothing, 0 means 512.
	BatchTokens int
	// Threads is the number of threads that the model may use; 0 means GOMAXPROCS.
	Threads int
	// Device is the device that the model computes on.
	Device retort.Device
	// Logger receives messages from Open about settings of the folder that have no effect, and about downloads; nil logs
	// nothing.
	Logger *slog.Logger
}

// Folder is the content of a model folder in the layout of Hugging Face or sentence-transformers, except for the values
// of the weights.
type Folder struct {
	Dir            string
	Query, Passage Side
	only           *encoder.Role // whose folder Only returned; nil: both
	similarity     modelfolder.Similarity
	dim            int // number of leading values that a vector keeps
	// notes are sentences about settings that encode_query and encode_document of sentence-transformers ignore,
	// although the folder's author may have intended otherwise.
	notes []string
}

// Side holds the tower, prompt and length limit of one role. Both roles may share a tower.
type Side struct {
	Tower  *Tower
	Prompt string // prepended to each text, with no space between
	Tokens int    // the length limit, special tokens and prompt included

	promptTokens int // at the start of each text, which the pooling leaves out
}

// Tower is one network with its tokenizer and pooling.
type Tower struct {
	Pooling Pooling
	// Normalize reports whether the folder's last module normalises embeddings. The embeddings of a model that ranks by
	// cosine are normalised in any case.
	Normalize bool
	// Dir is the folder of config.json and model.safetensors.
	Dir string

	withoutPrompt bool         // the pooling leaves out the prompt
	head          []headModule // the modules between the pooling and the last Normalize

	config    encodernet.Config
	tokenizer *tokenizer.Tokenizer
	pad       int32 // token that pads the shorter rows of a batch
	sbert     sentenceBERT
	notes     []string
}

// Side returns the side of a role.
func (f *Folder) Side(role encoder.Role) *Side {
	if role == encoder.Query {
		return &f.Query
	}
	return &f.Passage
}

// Shared reports whether both roles have the same tower.
func (f *Folder) Shared() bool { return f.Query.Tower == f.Passage.Tower }

// Dim returns the width of the vectors.
func (f *Folder) Dim() int { return f.dim }

// Normalized reports whether all vectors have L2 norm 1. It can be false for a model that ranks by dot product.
func (f *Folder) Normalized() bool {
	unit := f.Query.Tower.Normalize && f.Passage.Tower.Normalize && f.Dim() == f.Query.Tower.width()
	return f.similarity == modelfolder.Cosine || unit
}

// ReadFolder reads and checks a model folder without LibTorch and without reading the values of the weights. The model
// is of one of the families in docs/models.md. It has one tower or, as a sentence-transformers Router, one tower for
// each of the routes query and document.
//
// Prompts, length limits, special tokens, similarity and dimensions match encode_query and encode_document of
// sentence-transformers 6, except that Options and retort_config.json, which Save writes, may set other limits. An
// unsupported key that would change the vectors is an error that names the key; docs/model-folders.md lists all keys.
func ReadFolder(dir string, o Options) (*Folder, error) {
	if err := modelcheck.Folder(dir, configJSON, modulesJSON); err != nil {
		return nil, err
	}
	routes, err := readModules(dir)
	if err != nil {
		return nil, err
	}
	f := &Folder{Dir: dir}
	if f.Query.Tower, err = readTower(dir, routes.query, o); err != nil {
		return nil, err
	}
	if routes.missing {
		if err := checkNoModules(dir); err != nil {
			return nil, err
		}
	}
	f.Passage.Tower = f.Query.Tower
	if !routes.shared() {
		if f.Passage.Tower, err = readTower(dir, routes.document, o); err != nil {
			return nil, err
		}
	}
	if q, p := f.Query.Tower.width(), f.Passage.Tower.width(); q != p {
		return nil, fmt.Errorf("%s: the query tower's vectors have %d values, the document tower's %d", dir, q, p)
	}
	if err := f.readSentenceTransformers(o); err != nil {
		return nil, err
	}
	if err := f.readLimits(o); err != nil {
		return nil, err
	}
	for _, role := range []encoder.Role{encoder.Query, encoder.Passage} {
		if err := f.Side(role).countPrompt(); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", dir, role, err)
		}
	}
	for _, tower := range []*Tower{f.Query.Tower, f.Passage.Tower} {
		for _, note := range tower.notes {
			if !slices.Contains(f.notes, note) {
				f.notes = append(f.notes, note)
			}
		}
	}
	return f, nil
}

// readTower reads the modules of one route.
func readTower(root string, modules []modelfolder.Module, o Options) (*Tower, error) {
	t := &Tower{Pooling: Pooling(o.Pooling)}
	if len(modules) > 0 && modules[0].Kind == "StaticEmbedding" {
		return nil, fmt.Errorf("%s: the model is static embeddings, which package encoder/static opens",
			filepath.Join(root, modulesJSON))
	}
	if len(modules) == 0 || modules[0].Kind != "Transformer" {
		return nil, fmt.Errorf("%s: the first module is not a Transformer", filepath.Join(root, modulesJSON))
	}
	t.Dir = modules[0].Dir
	rest := modules[1:]
	if len(rest) > 0 && rest[0].Kind == "Pooling" {
		pooling, withoutPrompt, err := readPooling(rest[0].Dir)
		if err != nil {
			return nil, err
		}
		t.withoutPrompt = withoutPrompt
		if t.Pooling == "" {
			t.Pooling = pooling
		}
		rest = rest[1:]
	}
	for _, m := range rest {
		if m.Kind != "Dense" && m.Kind != "LayerNorm" && m.Kind != "Normalize" {
			return nil, fmt.Errorf("%s: module %s (%s) is not supported at this position; supported are Transformer, Pooling "+
				"and then Dense, LayerNorm, Normalize", filepath.Join(root, modulesJSON), m.Kind, m.Dir)
		}
	}
	if t.Pooling == "" {
		return nil, fmt.Errorf("%s: the folder has no %s, so the pooling is unknown; set Options.Pooling, to mean or cls for "+
			"most models", root, modulesJSON)
	}
	if err := t.Pooling.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", root, err)
	}
	if err := t.read(); err != nil {
		return nil, err
	}
	return t, t.readHead(rest)
}

// countPrompt counts the tokens of the prompt where the pooling leaves them out, as sentence-transformers does: those of
// the prompt alone, with the special tokens before it.
func (s *Side) countPrompt() error {
	if !s.Tower.withoutPrompt || s.Prompt == "" {
		return nil
	}
	ids, err := s.Tower.tokenizer.Encode(s.Prompt)
	if err != nil {
		return err
	}
	s.promptTokens = len(s.Tower.tokenizer.Prefix()) + len(ids)
	if s.promptTokens >= s.Tokens {
		return fmt.Errorf("the prompt, which the pooling leaves out, has %d of the %d tokens of a text; raise the limit",
			s.promptTokens, s.Tokens)
	}
	return nil
}

// read reads the Transformer's folder.
func (t *Tower) read() error {
	var err error
	if t.notes, err = checkNetwork(t.Dir); err != nil {
		return err
	}
	if t.config, err = encodernet.ReadConfig(filepath.Join(t.Dir, configJSON)); err != nil {
		return err
	}
	if t.sbert, err = readSentenceBERT(t.Dir, t.config.Causal); err != nil {
		return err
	}
	if err := t.readTokenizer(); err != nil {
		return err
	}
	w, err := t.openWeights()
	if errors.Is(err, errONNXOnly) {
		return nil
	}
	if err != nil {
		return err
	}
	return w.Close()
}

func (t *Tower) readTokenizer() (err error) {
	t.tokenizer, err = tokenizer.Load(t.Dir, tokenizer.Options{
		Class: t.config.Family().Tokenizer, AnySide: t.config.Causal, Lowercase: t.sbert.LowerCase,
	})
	if err != nil {
		return err
	}
	t.notes = append(t.notes, t.tokenizer.Notes()...)
	if err := checkTokenizerClass(t.Dir, t.config.Family().Tokenizer); err != nil {
		return err
	}
	var ok bool
	if t.pad, ok = t.tokenizer.PadID(); !ok {
		return fmt.Errorf("%s: the padding token is unknown; set pad_token", filepath.Join(t.Dir,
			tokenizer.ConfigFile))
	}
	return t.tokenizer.CheckRows(filepath.Join(t.Dir, configJSON)+": vocab_size", t.config.VocabSize)
}

// openWeights opens the tower's weights and checks their shapes. The caller closes them.
func (t *Tower) openWeights() (*encodernet.Weights, error) {
	w, err := encodernet.OpenWeights(t.Dir, t.config)
	if _, missing := os.Stat(filepath.Join(t.Dir, onnxFile)); missing == nil && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", t.Dir, errONNXOnly)
	}
	return w, err
}

// errONNXOnly is returned for a folder that ExportONNX wrote.
var errONNXOnly = errors.New("the weights are only in " + filepath.ToSlash(onnxFile) + ", which package encoder/onnx opens; " +
	"Retort trains and exports the folder that it was exported from")

// readLimits sets the length limits of both roles.
func (f *Folder) readLimits(o Options) error {
	path := filepath.Join(f.Dir, retortJSON)
	var own retortConfig
	if err := jsonfile.Read(path, &own); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, role := range []struct {
		role            encoder.Role
		tower           *Tower
		to              *int
		own, option     int
		field, optioned string
	}{
		{
			encoder.Query, f.Query.Tower, &f.Query.Tokens, own.QueryTokens, o.QueryTokens, "query_tokens",
			"Options.QueryTokens",
		},
		{
			encoder.Passage, f.Passage.Tower, &f.Passage.Tokens, own.PassageTokens, o.PassageTokens, "passage_tokens",
			"Options.PassageTokens",
		},
	} {
		limit, source := role.tower.limit(role.role)
		if role.own != 0 {
			limit, source = role.own, path+": "+role.field
		}
		if role.option != 0 {
			limit, source = role.option, f.Dir+": "+role.optioned
		}
		if limit < 3 {
			return fmt.Errorf("%s is %d; at least 3 are needed", source, limit)
		}
		if c := role.tower.config; limit > c.MaxTokens() && !c.Extends() {
			return fmt.Errorf("%s is %d; the model has %d positions (max_position_embeddings%s)", source, limit, c.MaxTokens(),
				reserved(c))
		}
		*role.to = limit
	}
	return nil
}

// reserved says how many rows of the position embeddings no text uses.
func reserved(c encodernet.Config) string {
	if c.FirstPosition == 0 {
		return ""
	}
	return fmt.Sprintf(" less the first %d", c.FirstPosition)
}

// limit returns the length limit of a role from the tower's own folder, and the setting that it comes from.
func (t *Tower) limit(role encoder.Role) (limit int, source string) {
	j := t.sbert
	forRole, key := j.QueryLength, "query_length"
	if role == encoder.Passage {
		forRole, key = j.DocumentLength, "document_length"
	}
	for _, given := range []struct {
		value *int
		key   string
	}{
		{j.CallLength, "processing_kwargs: max_length"},
		{forRole, key},
		{j.ModelMaxLength, "model_max_length"},
		{j.MaxSeqLength, "max_seq_length"},
	} {
		if given.value != nil {
			return *given.value, j.path + ": " + given.key
		}
	}
	limit = t.config.MaxTokens()
	if n, ok := t.tokenizer.ModelMaxLength(); ok {
		limit = min(limit, n)
	}
	return limit, filepath.Join(t.Dir, tokenizer.ConfigFile) + ": model_max_length"
}
