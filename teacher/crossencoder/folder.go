package crossencoder

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/modelcheck"
	"github.com/retort-ir/retort/internal/tokenizer"
)

// family is what the two kinds of models call things. Both heads are out(tanh(dense(h))) of the first token's hidden
// state.
type family struct {
	architecture string // that ends in ForSequenceClassification
	prefix       string // of the network's weights
	dense, out   string // the head's
}

var (
	bertFamily = family{"BertForSequenceClassification", "bert.", "bert.pooler.dense", "classifier"}
	families   = map[string]family{
		"bert":        bertFamily,
		"roberta":     {"RobertaForSequenceClassification", "roberta.", "classifier.dense", "classifier.out_proj"},
		"xlm-roberta": {"XLMRobertaForSequenceClassification", "roberta.", "classifier.dense", "classifier.out_proj"},
	}
)

// folder is what a model folder says, all but the values of its weights.
type folder struct {
	dir           string
	family        family
	config        encodernet.Config
	firstPosition int
	pad           int32
	labels        int // of the classification head; 0: there is none
	maxTokens     int
	tokenizer     *tokenizer.Tokenizer
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
	var j struct {
		ModelType string `json:"model_type"`
		Pad       *int   `json:"pad_token_id"`
	}
	if err := jsonfile.Read(path, &j); err != nil {
		return nil, err
	}
	var ok bool
	if f.family, ok = families[j.ModelType]; !ok {
		return nil, fmt.Errorf("%s: model_type is %q; cross-encoders of %s are supported", path, j.ModelType,
			strings.Join(slices.Sorted(maps.Keys(families)), ", "))
	}
	if err := f.readPositions(path, j.Pad); err != nil {
		return nil, err
	}
	if err := f.readTokenizer(path); err != nil {
		return nil, err
	}
	if err := f.readLimit(maxTokens); err != nil {
		return nil, err
	}
	return f, f.checkWeights()
}

// readPositions finds the padding token, after whose id RoBERTa's positions begin.
func (f *folder) readPositions(path string, pad *int) error {
	isBERT := f.family == bertFamily
	id := 1
	if isBERT {
		id = 0
	}
	if pad != nil {
		id = *pad
	}
	if id < 0 || id >= f.config.VocabSize {
		return fmt.Errorf("%s: pad_token_id is %d, outside the vocabulary of %d", path, id, f.config.VocabSize)
	}
	f.pad = int32(id)
	if isBERT {
		return nil
	}
	f.firstPosition = id + 1
	if f.positions() < leastTokens {
		return fmt.Errorf("%s: of max_position_embeddings %d, %d are left after pad_token_id %d; at least %d are needed",
			path, f.config.MaxPositions, f.positions(), id, leastTokens)
	}
	return nil
}

// positions returns how many tokens the network has positions for.
func (f *folder) positions() int { return f.config.MaxPositions - f.firstPosition }

func (f *folder) readTokenizer(path string) error {
	var o tokenizer.Options
	if f.family == bertFamily {
		o.Class = "BertTokenizer"
	}
	var err error
	if f.tokenizer, err = tokenizer.Load(f.dir, o); err != nil {
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
	shape, ok := w.File.Shape(f.family.out + ".weight")
	if !ok {
		return nil
	}
	if len(shape) != 2 || shape[0] < 1 || shape[0] > 2 {
		return fmt.Errorf("%s: %s.weight has shape %v: heads of one or two labels are supported, [1 x %d] and [2 x %d]",
			w.File.Path(f.family.out+".weight"), f.family.out, shape, f.config.HiddenSize, f.config.HiddenSize)
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

// headShapes lists the head's weights by their whole names, in the order dense, out.
func (f *folder) headShapes(labels int) []encodernet.Shape {
	h := f.config.HiddenSize
	return []encodernet.Shape{
		{Name: f.family.dense + ".weight", Dims: []int{h, h}},
		{Name: f.family.dense + ".bias", Dims: []int{h}},
		{Name: f.family.out + ".weight", Dims: []int{labels, h}},
		{Name: f.family.out + ".bias", Dims: []int{labels}},
	}
}
