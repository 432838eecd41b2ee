package encodernet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/safetensors"
)

// firstWeight exists in every BERT; the text before it in a file is the prefix of all names.
const firstWeight = "embeddings.word_embeddings.weight"

// Weights reads the parameters of a network by their names in a BertModel, whatever the file's prefix ("bert." if the
// model was saved with a head).
type Weights struct {
	File   *safetensors.File
	Prefix string
	path   string
}

// OpenWeights opens a folder's model.safetensors and checks that it holds every parameter of the configuration in its
// shape. Names have one prefix, of prefixes, or none. The caller closes it.
func OpenWeights(dir string, c Config, prefixes ...string) (*Weights, error) {
	w := &Weights{path: filepath.Join(dir, WeightsFile)}
	var err error
	if w.File, err = safetensors.Open(w.path); err != nil {
		return nil, missingWeights(dir, err)
	}
	if err := w.check(c, prefixes); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// Close closes the file.
func (w *Weights) Close() error { return w.File.Close() }

// Read returns the values of a parameter of the network. It is a ReadFunc.
func (w *Weights) Read(name string, shape []int) ([]float32, error) {
	return w.ReadStored(w.Prefix+name, shape)
}

// ReadStored returns the values of a tensor by its whole name.
func (w *Weights) ReadStored(name string, shape []int) ([]float32, error) {
	stored, err := w.find(name, shape)
	if err != nil {
		return nil, err
	}
	_, values, err := w.File.Tensor(stored)
	return values, err
}

func (w *Weights) check(c Config, prefixes []string) error {
	for _, name := range w.File.Names() {
		if prefix, ok := strings.CutSuffix(name, firstWeight); ok {
			if prefix != "" && !slices.Contains(prefixes, prefix) {
				return fmt.Errorf("%s: tensor %q has the prefix %q; none and %q are supported",
					w.path, name, prefix, strings.Join(prefixes, ", "))
			}
			w.Prefix = prefix
		}
	}
	// Compared before the loop, so that a huge num_hidden_layers is refused before its names are made.
	if names := len(w.File.Names()); c.Layers > names {
		return fmt.Errorf("%s: %d tensors cannot be the %d layers of %s (num_hidden_layers)",
			w.path, names, c.Layers, ConfigFile)
	}
	for _, p := range Shapes(c) {
		if _, err := w.find(w.Prefix+p.Name, p.Dims); err != nil {
			return err
		}
	}
	if extra := fmt.Sprintf("%sencoder.layer.%d.output.dense.weight", w.Prefix, c.Layers); w.File.DType(extra) != "" {
		return fmt.Errorf("%s: tensor %q is beyond the %d layers of %s (num_hidden_layers)",
			w.path, extra, c.Layers, ConfigFile)
	}
	return nil
}

// find returns the name of a tensor in the file: old files have gamma and beta in a LayerNorm.
func (w *Weights) find(stored string, shape []int) (string, error) {
	if old := oldName(stored); w.File.DType(stored) == "" && w.File.DType(old) != "" {
		stored = old
	}
	got, ok := w.File.Shape(stored)
	if !ok {
		return "", fmt.Errorf("%s: no tensor %q", w.path, stored)
	}
	if !slices.Equal(got, shape) {
		return "", fmt.Errorf("%s: tensor %q has shape %v; by %s it is %v", w.path, stored, got, ConfigFile, shape)
	}
	return stored, nil
}

func oldName(name string) string {
	name = strings.Replace(name, "LayerNorm.weight", "LayerNorm.gamma", 1)
	return strings.Replace(name, "LayerNorm.bias", "LayerNorm.beta", 1)
}

// missingWeights says what to do about a folder that holds its weights in another form.
func missingWeights(dir string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}
	switch {
	case exists("pytorch_model.bin"):
		return fmt.Errorf("%s: the weights are in pytorch_model.bin, which is not supported; convert it to %s in Python: "+
			"from transformers import AutoModel; AutoModel.from_pretrained(%q).save_pretrained(%q, safe_serialization=True)",
			dir, WeightsFile, dir, dir)
	case exists(WeightsFile + ".index.json"):
		return fmt.Errorf("%s: the weights are in several files, which is not supported; save them as one %s",
			dir, WeightsFile)
	}
	return err
}
