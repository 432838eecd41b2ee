package causallm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/gguf"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/safetensors"
)

// weights reads a network's parameters by their names in a Hugging Face folder,
// "model.layers.0.self_attn.q_proj.weight".
type weights interface {
	// read returns the values of a parameter, row-major, and an error where its shape is another.
	read(name string, shape ...int) ([]float32, error)
	close() error
}

// folderWeights are the safetensors files of a folder.
type folderWeights struct {
	dir   string
	files map[string]*safetensors.File // by their names in the folder
	in    map[string]string            // the file of each tensor
}

const (
	weightsFile = "model.safetensors"
	indexFile   = weightsFile + ".index.json"
)

func openFolderWeights(dir string) (*folderWeights, error) {
	w := &folderWeights{dir: dir, files: map[string]*safetensors.File{}, in: map[string]string{}}
	var index struct {
		Map map[string]string `json:"weight_map"`
	}
	err := jsonfile.Read(filepath.Join(dir, indexFile), &index)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = w.openAll(nil)
	case err == nil:
		err = w.openAll(index.Map)
	}
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

// openAll opens the one file of the folder where shards is nil, otherwise the file of each tensor.
func (w *folderWeights) openAll(shards map[string]string) error {
	if shards == nil {
		if err := w.open(weightsFile); err != nil {
			return w.explain(err)
		}
		for _, name := range w.files[weightsFile].Names() {
			w.in[name] = weightsFile
		}
		return nil
	}
	for name, file := range shards {
		if !filepath.IsLocal(file) || filepath.Base(file) != file {
			return fmt.Errorf("%s: tensor %q is said to be in %q, which is no file of the folder", filepath.Join(w.dir,
				indexFile), name, file)
		}
		if err := w.open(file); err != nil {
			return err
		}
		if w.files[file].DType(name) == "" {
			return fmt.Errorf("%s: no tensor %q, which %s says it holds", filepath.Join(w.dir, file), name, indexFile)
		}
		w.in[name] = file
	}
	return nil
}

func (w *folderWeights) open(file string) error {
	if w.files[file] != nil {
		return nil
	}
	f, err := safetensors.Open(filepath.Join(w.dir, file))
	if err != nil {
		return err
	}
	w.files[file] = f
	return nil
}

// explain says what to do about a folder that holds its weights in another form.
func (w *folderWeights) explain(err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if others, _ := filepath.Glob(filepath.Join(w.dir, "*.bin")); len(others) > 0 {
		return fmt.Errorf("%s: weights in %s are not read; save the model as safetensors: %w", w.dir,
			filepath.Base(others[0]), err)
	}
	if others, _ := filepath.Glob(filepath.Join(w.dir, "*.gguf")); len(others) > 0 {
		return fmt.Errorf("%s: no %s, but a GGUF file: give its path, %s: %w", w.dir, weightsFile, others[0], err)
	}
	return err
}

func (w *folderWeights) read(name string, shape ...int) ([]float32, error) {
	if w.in[name] == "" { // the base model alone, without the head
		if bare := strings.TrimPrefix(name, "model."); w.in[bare] != "" {
			name = bare
		}
	}
	file := w.in[name]
	if file == "" {
		return nil, fmt.Errorf("%s: no tensor %q", w.dir, name)
	}
	path := filepath.Join(w.dir, file)
	if got, _ := w.files[file].Shape(name); !slices.Equal(got, shape) {
		return nil, fmt.Errorf("%s: tensor %q has shape %v; by config.json it is %v", path, name, got, shape)
	}
	_, values, err := w.files[file].Tensor(name)
	return values, err
}

func (w *folderWeights) close() error {
	var err error
	for _, f := range w.files {
		err = errors.Join(err, f.Close())
	}
	return err
}

// ggufWeights are the tensors of a GGUF file.
type ggufWeights struct {
	file   *gguf.File
	config config
}

func (w *ggufWeights) close() error { return nil } // the file belongs to who opened it

func (w *ggufWeights) read(name string, shape ...int) ([]float32, error) {
	p, err := w.open(name, shape)
	if err != nil {
		return nil, err
	}
	values := make([]float32, p.Rows*p.Columns)
	p.read(values, 0, p.Rows)
	return values, nil
}

// packed returns a matrix as it is stored.
func (w *ggufWeights) packed(name string, rows, columns int) (packedPart, error) {
	return w.open(name, []int{rows, columns})
}

func (w *ggufWeights) open(name string, shape []int) (packedPart, error) {
	stored := ggufName(name)
	t, ok := w.file.Tensor(stored)
	if !ok {
		return packedPart{}, fmt.Errorf("%s: no tensor %q", w.file.Path(), stored)
	}
	if !slices.Equal(t.Shape, shape) {
		return packedPart{}, fmt.Errorf("%s: tensor %q has shape %v; by the file's metadata it is %v", w.file.Path(), stored,
			t.Shape, shape)
	}
	m, err := w.file.Matrix(stored)
	if err != nil {
		return packedPart{}, err
	}
	p := packedPart{Matrix: m}
	if w.config.arch == "llama" && len(shape) == 2 &&
		(strings.HasSuffix(stored, "attn_q.weight") || strings.HasSuffix(stored, "attn_k.weight")) {
		p.headDim = w.config.headDim
	}
	return p, nil
}

// storedRow returns where llama.cpp's converter has put a row of Llama's query and key matrices: a head's row 2i is row
// i of the original, 2i+1 is row i + headDim/2, so that the two that are rotated together are side by side.
func storedRow(row, headDim int) int {
	head, r := row/headDim*headDim, row%headDim
	if r < headDim/2 {
		return head + 2*r
	}
	return head + 2*(r-headDim/2) + 1
}

var ggufNames = strings.NewReplacer(
	"model.embed_tokens", "token_embd",
	"model.norm", "output_norm",
	"lm_head", "output",
	"model.layers.", "blk.",
	"input_layernorm", "attn_norm",
	"post_attention_layernorm", "ffn_norm",
	"self_attn.q_proj", "attn_q",
	"self_attn.k_proj", "attn_k",
	"self_attn.v_proj", "attn_v",
	"self_attn.o_proj", "attn_output",
	"mlp.gate_proj", "ffn_gate",
	"mlp.up_proj", "ffn_up",
	"mlp.down_proj", "ffn_down",
)

func ggufName(name string) string { return ggufNames.Replace(name) }

// isFolder says whether path is a folder that could hold a model.
func isFolder(path string) (bool, error) {
	info, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	return info.IsDir(), nil
}
