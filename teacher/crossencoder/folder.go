package crossencoder

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/modelcheck"
	"github.com/retort-ir/retort/internal/tokenizer"
)

// folder is what a model folder says, all but the values of its weights.
type folder struct {
	dir       string
	config    encodernet.Config
	head      head
	labels    int // of the classification head; 0: there is none
	maxTokens int
	tokenizer *tokenizer.Tokenizer
}

// readFolder reads and checks a folder. maxTokens 0 takes the folder's limit.
func readFolder(dir string, maxTokens int) (*folder, error) {
	if err := modelcheck.Folder(dir); err != nil {
		return nil, err
	}
	f := &folder{dir: dir}
	path := filepath.Join(dir, encodernet.ConfigFile)
	var err error
	if f.config, err = encodernet.ReadConfig(path); err != nil {
		return nil, err
	}
	if f.head, err = readHeadConfig(path, f.config); err != nil {
		return nil, err
	}
	if f.positions() < leastTokens {
		return nil, fmt.Errorf("%s: of max_position_embeddings %d, %d are left after pad_token_id %d; at least %d are needed",
			path, f.config.MaxPositions, f.positions(), f.config.Pad, leastTokens)
	}
	if err := f.readTokenizer(path); err != nil {
		return nil, err
	}
	if err := f.readLimit(maxTokens); err != nil {
		return nil, err
	}
	return f, f.checkWeights()
}

// positions returns how many tokens the network has positions for.
func (f *folder) positions() int { return f.config.MaxTokens() }

func (f *folder) readTokenizer(path string) error {
	var err error
	if f.tokenizer, err = tokenizer.Load(f.dir, tokenizer.Options{Class: f.config.Family().Tokenizer}); err != nil {
		return err
	}
	return f.tokenizer.CheckRows(path+": vocab_size", f.config.VocabSize)
}

const (
	leastTokens = 8   // four special tokens, and something of both texts
	usualTokens = 512 // where nothing else is said
)

// readLimit finds the length limit of a pair.
func (f *folder) readLimit(maxTokens int) error {
	if maxTokens != 0 {
		if maxTokens < leastTokens || maxTokens > f.positions() {
			return fmt.Errorf("crossencoder: Options.MaxTokens is %d, want %d to the %d positions of the model", maxTokens,
				leastTokens, f.positions())
		}
		f.maxTokens = maxTokens
		return nil
	}
	f.maxTokens = min(usualTokens, f.positions())
	if n, ok := f.tokenizer.ModelMaxLength(); ok && n != 0 {
		f.maxTokens = min(f.maxTokens, n)
	}
	if f.maxTokens < leastTokens {
		return fmt.Errorf("%s: model_max_length leaves %d tokens a pair; at least %d are needed (or set Options.MaxTokens)",
			filepath.Join(f.dir, tokenizer.ConfigFile), f.maxTokens, leastTokens)
	}
	return nil
}

// checkWeights makes sure that all of the network is in the file, and finds out about the head.
func (f *folder) checkWeights() (err error) {
	w, err := f.openWeights()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	shape, ok := w.File.Shape(f.head.out + ".weight")
	if isReranker, err := f.isReranker(); err != nil || !ok || !isReranker {
		return err
	}
	if len(shape) != 2 || shape[0] < 1 || shape[0] > 2 {
		return fmt.Errorf("%s: %s.weight has shape %v: heads of one or two labels are supported, [1 x %d] and [2 x %d]",
			w.File.Path(f.head.out+".weight"), f.head.out, shape, f.config.HiddenSize, f.config.HiddenSize)
	}
	f.labels = shape[0]
	for _, p := range f.headShapes(f.labels) {
		if _, err := w.ReadStored(p.Name, p.Dims); err != nil {
			return err
		}
	}
	return nil
}

func (f *folder) openWeights() (*encodernet.Weights, error) {
	return encodernet.OpenWeights(f.dir, f.config)
}

// isReranker reports whether config.json says so, or nothing: the head of another task, such as the classification of
// tokens, may have the same names.
func (f *folder) isReranker() (bool, error) {
	var j struct {
		Architectures []string `json:"architectures"`
	}
	err := jsonfile.Read(filepath.Join(f.dir, encodernet.ConfigFile), &j)
	return len(j.Architectures) == 0 || slices.ContainsFunc(j.Architectures, func(class string) bool {
		return strings.HasSuffix(class, "ForSequenceClassification")
	}), err
}
