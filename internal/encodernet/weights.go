package encodernet

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/retort-ir/retort/internal/weights"
)

// Weights reads the parameters of a network by their names in a model without a head, whatever the file's prefix
// (BERT's is "bert." if the model was saved with a head).
type Weights struct {
	File   *weights.Folder
	Prefix string
}

// OpenWeights opens a folder's weights and checks that they hold every parameter of the configuration in its
// shape, and no other in its layers. Names have the family's prefix or none. The caller closes it.
func OpenWeights(dir string, c Config) (*Weights, error) {
	file, err := weights.Open(dir)
	if err != nil {
		return nil, err
	}
	w := &Weights{File: file}
	if err := w.check(c); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// Close closes the files.
func (w *Weights) Close() error { return w.File.Close() }

// Read returns the values of a parameter of the network. It is a ReadFunc.
func (w *Weights) Read(name string, shape []int) ([]float32, error) {
	return w.ReadStored(w.Prefix+name, shape)
}

// View is Read without a copy where the file allows it. The values must not be changed, and are gone after Close.
func (w *Weights) View(name string, shape []int) ([]float32, error) {
	stored, err := w.find(w.Prefix+name, shape)
	if err != nil {
		return nil, err
	}
	return w.File.View(stored, shape)
}

// ReadStored returns the values of a tensor by its whole name.
func (w *Weights) ReadStored(name string, shape []int) ([]float32, error) {
	stored, err := w.find(name, shape)
	if err != nil {
		return nil, err
	}
	return w.File.Read(stored, shape)
}

func (w *Weights) check(c Config) error {
	family := c.Family()
	if err := w.findPrefix(family); err != nil {
		return err
	}
	// Compared before the loop, so that a huge num_hidden_layers is refused before its names are made.
	if names := len(w.File.Names()); c.Layers > names {
		return fmt.Errorf("%s: %d tensors cannot be the %d layers of %s (num_hidden_layers)",
			w.File.Path(""), names, c.Layers, ConfigFile)
	}
	known := map[string]bool{}
	for _, p := range Shapes(c) {
		stored, err := w.find(w.Prefix+p.Name, p.Dims)
		if err != nil {
			return err
		}
		known[stored] = true
	}
	return w.checkLayers(c, known)
}

// findPrefix finds the text before all names by the weight that every network has.
func (w *Weights) findPrefix(f *Family) error {
	for _, name := range w.File.Names() {
		prefix, ok := strings.CutSuffix(name, f.names.words+".weight")
		if !ok {
			continue
		}
		if prefix != "" && prefix != f.Prefix {
			return fmt.Errorf("%s: tensor %q has the prefix %q; none and %q are supported", w.File.Path(name), name, prefix,
				f.Prefix)
		}
		w.Prefix = prefix
	}
	return nil
}

// checkLayers refuses tensors of layers that the network lacks, whether whole layers or their biases.
func (w *Weights) checkLayers(c Config, known map[string]bool) error {
	list, _, _ := strings.Cut(w.Prefix+c.Family().names.layer, "%d")
	for _, name := range w.File.Names() {
		inner, ok := strings.CutPrefix(name, list)
		if !ok || known[name] || isIndex(name) {
			continue
		}
		number, _, _ := strings.Cut(inner, ".")
		if i, err := strconv.Atoi(number); err == nil && i >= c.Layers {
			return fmt.Errorf("%s: tensor %q is beyond the %d layers of %s (num_hidden_layers)",
				w.File.Path(name), name, c.Layers, ConfigFile)
		}
		return fmt.Errorf("%s: tensor %q has no place in a %s by %s", w.File.Path(name), name, c.Family().Architecture,
			ConfigFile)
	}
	return nil
}

// find returns the name of a tensor in the file: old files have gamma and beta in a LayerNorm.
func (w *Weights) find(stored string, shape []int) (string, error) {
	if old := oldName(stored); w.File.DType(stored) == "" && w.File.DType(old) != "" {
		stored = old
	}
	return stored, w.File.Check(stored, shape)
}

func oldName(name string) string {
	name = strings.Replace(name, "LayerNorm.weight", "LayerNorm.gamma", 1)
	return strings.Replace(name, "LayerNorm.bias", "LayerNorm.beta", 1)
}
