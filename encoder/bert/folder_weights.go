package bert

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

// firstWeight is there in every BERT; what stands before it in a file is the prefix of all names.
const firstWeight = "embeddings.word_embeddings.weight"

// weights reads the parameters of a tower by their names in a BertModel, whatever the file's prefix ("bert." where the
// model was saved with a head).
type weights struct {
	file   *safetensors.File
	path   string
	prefix string
}

// openWeights opens model.safetensors and checks that it holds every parameter of the configuration in its shape. The
// caller closes it.
func (t *Tower) openWeights() (*weights, error) {
	w := &weights{path: filepath.Join(t.Dir, weightsFile)}
	var err error
	if w.file, err = safetensors.Open(w.path); err != nil {
		return nil, missingWeights(t.Dir, err)
	}
	if err := w.check(t.Config); err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *weights) close() error { return w.file.Close() }

// read returns a parameter's values. The shape is that of parameterShapes.
func (w *weights) read(name string, shape []int) ([]float32, error) {
	stored, err := w.find(name, shape)
	if err != nil {
		return nil, err
	}
	_, values, err := w.file.Tensor(stored)
	return values, err
}

func (w *weights) check(c Config) error {
	for _, name := range w.file.Names() {
		if prefix, ok := strings.CutSuffix(name, firstWeight); ok {
			if prefix != "" && prefix != "bert." {
				return fmt.Errorf("%s: tensor %q has the prefix %q; none and \"bert.\" are supported", w.path, name, prefix)
			}
			w.prefix = prefix
		}
	}
	// Compared before the loop, so that a huge num_hidden_layers is refused before its names are made.
	if names := len(w.file.Names()); c.Layers > names {
		return fmt.Errorf("%s: %d tensors cannot be the %d layers of %s (num_hidden_layers)", w.path, names, c.Layers, configJSON)
	}
	for _, p := range parameterShapes(c) {
		if _, err := w.find(p.name, p.shape); err != nil {
			return err
		}
	}
	if extra := fmt.Sprintf("%sencoder.layer.%d.output.dense.weight", w.prefix, c.Layers); w.file.DType(extra) != "" {
		return fmt.Errorf("%s: tensor %q is beyond the %d layers of %s (num_hidden_layers)", w.path, extra, c.Layers, configJSON)
	}
	return nil
}

// find returns the name that a parameter has in the file: old files have gamma and beta in a LayerNorm.
func (w *weights) find(name string, shape []int) (string, error) {
	stored := w.prefix + name
	if old := oldName(stored); w.file.DType(stored) == "" && w.file.DType(old) != "" {
		stored = old
	}
	got, ok := w.file.Shape(stored)
	if !ok {
		return "", fmt.Errorf("%s: no tensor %q", w.path, stored)
	}
	if !slices.Equal(got, shape) {
		return "", fmt.Errorf("%s: tensor %q has shape %v; by %s it is %v", w.path, stored, got, configJSON, shape)
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
		return fmt.Errorf("%s: only pytorch_model.bin, which is not read; convert it to %s in Python: "+
			"from transformers import AutoModel; AutoModel.from_pretrained(%q).save_pretrained(%q, safe_serialization=True)",
			dir, weightsFile, dir, dir)
	case exists(weightsFile + ".index.json"):
		return fmt.Errorf("%s: the weights are in several files, which is not supported; save them as one %s", dir, weightsFile)
	}
	return err
}
