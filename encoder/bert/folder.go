package bert

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/bertnet"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/modelcheck"
)

// Options override what a model folder says, or give what it lacks. The zero value takes the folder as it is.
type Options struct {
	// QueryPrompt and PassagePrompt are put in front of every text of the role, with no space between.
	QueryPrompt, PassagePrompt *string
	// QueryTokens and PassageTokens limit the length of a text, [CLS], [SEP] and the prompt included. They are at least
	// 3 and at most the model's positions; 0 takes the folder's.
	QueryTokens, PassageTokens int
	// Pooling is "mean" or "cls"; empty takes the folder's. A folder without modules.json says nothing about it.
	Pooling string

	// Precision is that of the matrix products: "fp32", which "" means too, or "bf16", with float32 for all else and for
	// the weights. bf16 is fast on a GPU and on processors with AMX or AVX512_BF16, and far slower elsewhere.
	// Training on a CPU computes attention in float32 too, where its bfloat16 backward is slow.
	Precision string
	// BatchTokens bounds the tokens of one micro-batch of Encode, padding included; 0 means 4,096.
	BatchTokens int
	// Threads is how many threads the model may use; 0 means GOMAXPROCS. GPU selects a CUDA device, counted from 1; 0
	// means the CPU.
	Threads, GPU int
}

// Folder is what a model folder in the layout of Hugging Face or sentence-transformers says about the model, all but the
// values of its weights.
type Folder struct {
	Dir            string
	Query, Passage Side
}

// Side is what one role needs: its tower, which both roles may share, its prompt and its length limit.
type Side struct {
	Tower  *Tower
	Prompt string // put in front of each text, with no space between
	Tokens int    // the length limit, special tokens and prompt included
}

// Tower is one BERT network with what stands around it.
type Tower struct {
	Config    Config
	Tokenizer *Tokenizer
	Pooling   Pooling
	// Normalize says whether the folder normalises embeddings. Retort always does.
	Normalize bool
	// Dir is the folder of config.json and model.safetensors.
	Dir string

	lowerCase bool // do_lower_case of sentence_bert_config.json
}

// Pooling says how the embedding of a text is made of those of its tokens.
type Pooling string

// The poolings.
const (
	Mean Pooling = "mean" // the mean over all tokens, special ones included
	CLS  Pooling = "cls"  // the first token
)

// Side returns the side of a role.
func (f *Folder) Side(role encoder.Role) *Side {
	if role == encoder.Query {
		return &f.Query
	}
	return &f.Passage
}

// Shared says whether both roles have the same tower.
func (f *Folder) Shared() bool { return f.Query.Tower == f.Passage.Tower }

// ReadFolder reads a model folder, and checks it, without LibTorch and without its weights' values. The model must be a
// BERT with absolute positions, mean or CLS pooling, in one tower or, in a sentence-transformers Router, one for the route
// query and one for the route document.
//
// A role's prompt is the first non-empty of the folder's prompts "query", or "document", "passage" and "corpus"; where
// none of them is there, the one that default_prompt_name names. (sentence-transformers 6 gives documents the prompt
// "document" alone, which is empty in folders that say "passage".) A role's length limit is max_seq_length of
// sentence_bert_config.json, else the smaller of the tokenizer's model_max_length and the model's positions.
// retort_config.json, which Save writes, has one for each role.
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
	f.Passage.Tower = f.Query.Tower
	if !routes.shared() {
		if f.Passage.Tower, err = readTower(dir, routes.document, o); err != nil {
			return nil, err
		}
	}
	if q, p := f.Query.Tower.Config.HiddenSize, f.Passage.Tower.Config.HiddenSize; q != p {
		return nil, fmt.Errorf("%s: hidden_size is %d in the query tower and %d in the document tower", dir, q, p)
	}
	if err := f.readPrompts(o); err != nil {
		return nil, err
	}
	if err := f.readLimits(o); err != nil {
		return nil, err
	}
	return f, nil
}

// readTower reads the modules of one route.
func readTower(root string, modules []module, o Options) (*Tower, error) {
	t := &Tower{Pooling: Pooling(o.Pooling)}
	if len(modules) == 0 || modules[0].kind != "Transformer" {
		return nil, fmt.Errorf("%s: the first module is not a Transformer", filepath.Join(root, modulesJSON))
	}
	t.Dir = modules[0].dir
	for i, m := range modules[1:] {
		switch {
		case m.kind == "Pooling" && i == 0:
			pooling, err := readPooling(m.dir)
			if err != nil {
				return nil, err
			}
			if t.Pooling == "" {
				t.Pooling = pooling
			}
		case m.kind == "Normalize" && i == len(modules)-2:
			t.Normalize = true
		default:
			return nil, fmt.Errorf("%s: module %s (%s) is not supported at its place; Transformer, Pooling, Normalize are",
				filepath.Join(root, modulesJSON), m.kind, m.dir)
		}
	}
	switch t.Pooling {
	case Mean, CLS:
	case "":
		return nil, fmt.Errorf("%s: no %s says which pooling the model needs; set Options.Pooling to mean or cls", root, modulesJSON)
	default:
		return nil, fmt.Errorf("%s: pooling %q is not supported; mean and cls are", root, t.Pooling)
	}
	return t, t.read()
}

// read reads the Transformer's folder.
func (t *Tower) read() error {
	var err error
	if t.Config, err = bertnet.ReadConfig(filepath.Join(t.Dir, configJSON), "bert"); err != nil {
		return err
	}
	if t.Tokenizer, err = LoadTokenizer(t.Dir); err != nil {
		return err
	}
	if n := t.Tokenizer.VocabSize(); n > t.Config.VocabSize {
		return fmt.Errorf("%s: vocab_size is %d, the tokenizer has ids up to %d", filepath.Join(t.Dir, configJSON), t.Config.VocabSize, n-1)
	}
	sbert, err := readSentenceBERT(t.Dir)
	if err != nil {
		return err
	}
	if sbert.LowerCase {
		t.lowerCase = true
		t.Tokenizer.lowerFirst()
	}
	w, err := t.openWeights()
	if err != nil {
		return err
	}
	return w.Close()
}

// openWeights opens the tower's weights and checks their shapes. The caller closes them.
func (t *Tower) openWeights() (*bertnet.Weights, error) {
	return bertnet.OpenWeights(t.Dir, t.Config, "bert.")
}

// readPrompts finds the prompts of both roles.
func (f *Folder) readPrompts(o Options) error {
	path := filepath.Join(f.Dir, sentenceTransformersJSON)
	var j struct {
		Prompts map[string]*string `json:"prompts"`
		Default *string            `json:"default_prompt_name"`
	}
	if err := jsonfile.Read(path, &j); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	otherwise := ""
	if j.Default != nil && *j.Default != "" {
		p, ok := j.Prompts[*j.Default]
		if !ok {
			return fmt.Errorf("%s: default_prompt_name is %q, which prompts lacks", path, *j.Default)
		}
		otherwise = valueOr(p, "")
	}
	f.Query.Prompt = valueOr(o.QueryPrompt, choosePrompt(j.Prompts, otherwise, "query"))
	f.Passage.Prompt = valueOr(o.PassagePrompt, choosePrompt(j.Prompts, otherwise, "document", "passage", "corpus"))
	return nil
}

func choosePrompt(prompts map[string]*string, otherwise string, names ...string) string {
	found := false
	for _, name := range names {
		p, ok := prompts[name]
		if ok && p != nil && *p != "" {
			return *p
		}
		found = found || ok
	}
	if found {
		return ""
	}
	return otherwise
}

// readLimits finds the length limits of both roles.
func (f *Folder) readLimits(o Options) error {
	path := filepath.Join(f.Dir, retortJSON)
	var own retortConfig
	if err := jsonfile.Read(path, &own); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, role := range []struct {
		tower           *Tower
		to              *int
		own, option     int
		field, optioned string
	}{
		{f.Query.Tower, &f.Query.Tokens, own.QueryTokens, o.QueryTokens, "query_tokens", "Options.QueryTokens"},
		{f.Passage.Tower, &f.Passage.Tokens, own.PassageTokens, o.PassageTokens, "passage_tokens", "Options.PassageTokens"},
	} {
		limit, source, err := role.tower.limit()
		if err != nil {
			return err
		}
		if role.own != 0 {
			limit, source = role.own, path+": "+role.field
		}
		if role.option != 0 {
			limit, source = role.option, f.Dir+": "+role.optioned
		}
		if limit < 3 {
			return fmt.Errorf("%s is %d; at least 3 are needed", source, limit)
		}
		if most := role.tower.Config.MaxPositions; limit > most {
			return fmt.Errorf("%s is %d; the model has %d positions (max_position_embeddings)", source, limit, most)
		}
		*role.to = limit
	}
	return nil
}

// limit returns the length limit that the tower's own folder gives, and where it stands.
func (t *Tower) limit() (limit int, source string, err error) {
	j, err := readSentenceBERT(t.Dir)
	if err != nil {
		return 0, "", err
	}
	sbert := filepath.Join(t.Dir, sentenceBERTJSON)
	for _, kwargs := range []*struct {
		MaxLength *int `json:"model_max_length"`
	}{j.Processor, j.Tokenizer} {
		if kwargs != nil && kwargs.MaxLength != nil {
			return *kwargs.MaxLength, sbert + ": model_max_length", nil
		}
	}
	if j.MaxSeqLength != nil {
		return *j.MaxSeqLength, sbert + ": max_seq_length", nil
	}
	limit = t.Config.MaxPositions
	if n := t.Tokenizer.modelMaxLength; n > 0 {
		limit = min(limit, n)
	}
	return limit, filepath.Join(t.Dir, tokenizerConfig) + ": model_max_length", nil
}
